"""Proofs of machines, between the wire and the core."""

from typing import Any

from service.core.machine import HeldProof
from service.core.proof import AppRole, Certificate, Jwt, Kubernetes, Proof, Signer
from service.core.schedule import duration, duration_text
from service.http import shapes


def proof(body: Any) -> Proof:
    """What is asked for. Raises Invalid."""
    match body:
        case shapes.PutAppRole():
            return AppRole(body.role_id or "")
        case shapes.PutJwt():
            claims = {name: tuple(patterns) for name, patterns in body.claims.items()}
            return Jwt(_signer(body.signer), tuple(body.audiences), body.subject or "", claims)
        case shapes.PutKubernetes():
            lists = (tuple(body.namespaces), tuple(body.service_accounts), tuple(body.audiences))
            return Kubernetes(*lists, signer=_signer(body.signer) if body.signer else None)
        case _:
            return Certificate(tuple(body.certificates))


def _signer(body: shapes.PutSigner) -> Signer:
    return Signer(
        body.issuer,
        tuple(body.keys),
        body.jwks_url or "",
        body.ca or "",
        tuple(body.algorithms),
        duration(body.skew, "skew"),
    )


def shown(held: HeldProof) -> dict[str, Any]:
    """As it is answered: what is not of its kind is null."""
    its = held.proof
    fields: dict[str, Any] = {"kind": its.kind}
    match its:
        case AppRole():
            fields["role_id"] = its.role_id
        case Jwt():
            fields |= {"signer": _shown(its.signer), "audiences": its.audiences, "subject": its.subject or None}
            fields["claims"] = its.claims
        case Kubernetes():
            fields |= {"namespaces": its.namespaces, "service_accounts": its.service_accounts}
            fields["audiences"] = its.audiences
            fields["signer"] = _shown(its.signer) if its.signer else None
        case Certificate():
            fields["certificates"] = its.certificates
    return {"id": held.id, "created_at": held.created_at, "created_by": held.created_by, **fields}


def _shown(signer: Signer) -> dict[str, Any]:
    return {
        "issuer": signer.issuer,
        "keys": list(signer.keys),
        "jwks_url": signer.jwks_url or None,
        "ca": signer.ca or None,
        "algorithms": list(signer.algorithms),
        "skew": duration_text(signer.skew),
    }
