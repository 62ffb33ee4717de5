"""Machines, their proofs, and the secret ids of approles."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from service.core.machine import HeldProof, Lives, Machine, SecretId
from service.core.proof import AppRole, Certificate, Jwt, Kubernetes, Proof, Signer
from service.ledger.changes import Kind as Changed
from service.ledger.identities import grants, machines, proofs, secret_ids, tokens
from service.ledger.ledger import Transaction
from service.ledger.tokens import grant_of


def _machine(tx: Transaction, row: Row[Any]) -> Machine:
    held = tx.sql.execute(select(grants).where(grants.c.machine_id == row.id).order_by(grants.c.id)).all()
    shown = tx.sql.execute(select(proofs).where(proofs.c.machine_id == row.id).order_by(proofs.c.created_at)).all()
    return Machine(
        row.id,
        row.name,
        row.enabled,
        tuple(row.allowlist),
        Lives(timedelta(seconds=row.token_ttl), timedelta(seconds=row.token_max_life)),
        row.revision,
        row.created_at,
        row.created_by,
        tuple(map(grant_of, held)),
        tuple(map(_held, shown)),
    )


def find(tx: Transaction, name: str) -> Machine | None:
    """By name."""
    row = tx.sql.execute(select(machines).where(machines.c.name == name)).one_or_none()
    return _machine(tx, row) if row else None


def get(tx: Transaction, machine_id: str) -> Machine | None:
    """By id."""
    row = tx.sql.execute(select(machines).where(machines.c.id == machine_id)).one_or_none()
    return _machine(tx, row) if row else None


def every(tx: Transaction, after: str, limit: int) -> list[Machine]:
    """By name, behind `after`."""
    query = select(machines).where(machines.c.name > after).order_by(machines.c.name).limit(limit)
    return [_machine(tx, row) for row in tx.sql.execute(query).all()]


def _row(machine: Machine) -> dict[str, Any]:
    return {
        "name": machine.name,
        "enabled": machine.enabled,
        "allowlist": list(machine.allowlist),
        "token_ttl": int(machine.lives.ttl.total_seconds()),
        "token_max_life": int(machine.lives.most.total_seconds()),
        "revision": machine.revision,
        "created_at": machine.created_at,
        "created_by": machine.created_by,
    }


def add(tx: Transaction, machine: Machine) -> None:
    """A new one, without grants and proofs."""
    tx.sql.execute(insert(machines).values(_row(machine) | {"id": machine.id}))
    tx.touch(Changed.MACHINE, machine.id)


def change(tx: Transaction, machine: Machine) -> None:
    """What it is from now on, but for its grants and proofs."""
    tx.sql.execute(update(machines).where(machines.c.id == machine.id).values(_row(machine)))
    tx.touch(Changed.MACHINE, machine.id)


def remove(tx: Transaction, machine_id: str) -> None:
    """With everything that is its own."""
    tx.touch(Changed.TOKEN, *tx.sql.execute(select(tokens.c.id).where(tokens.c.machine_id == machine_id)).scalars())
    tx.touch(Changed.MACHINE, machine_id)
    tx.sql.execute(delete(machines).where(machines.c.id == machine_id))


# -- proofs


def _held(row: Row[Any]) -> HeldProof:
    return HeldProof(row.id, _proof(row.kind, row.definition), row.created_at, row.created_by)


def _proof(kind: str, kept: dict[str, Any]) -> Proof:
    match kind:
        case AppRole.kind:
            return AppRole(**kept)
        case Certificate.kind:
            return Certificate(tuple(kept["certificates"]))
        case Jwt.kind:
            claims = {name: tuple(patterns) for name, patterns in kept["claims"].items()}
            return Jwt(_signer(kept["signer"]), tuple(kept["audiences"]), kept["subject"], claims)
        case _:
            signer = _signer(kept["signer"]) if kept["signer"] else None
            lists = {name: tuple(kept[name]) for name in ("namespaces", "service_accounts", "audiences")}
            return Kubernetes(**lists, signer=signer)


def _signer(kept: dict[str, Any]) -> Signer:
    lists = {name: tuple(kept[name]) for name in ("keys", "algorithms")}
    return Signer(**kept | lists | {"skew": timedelta(seconds=kept["skew"])})


def _kept(proof: Proof) -> dict[str, Any]:
    kept = asdict(proof)
    if kept.get("signer"):
        kept["signer"]["skew"] = int(kept["signer"]["skew"].total_seconds())
    return kept


def add_proof(tx: Transaction, machine_id: str, held: HeldProof) -> None:
    """One more way."""
    role_id = held.proof.role_id if isinstance(held.proof, AppRole) else None
    row = {"machine_id": machine_id, "kind": held.proof.kind, "role_id": role_id, "definition": _kept(held.proof)}
    tx.sql.execute(
        insert(proofs).values(row | {name: getattr(held, name) for name in ("id", "created_at", "created_by")})
    )


def owner(tx: Transaction, proof_id: str) -> Machine | None:
    """Whose proof it is."""
    machine_id = tx.sql.execute(select(proofs.c.machine_id).where(proofs.c.id == proof_id)).scalar_one_or_none()
    return get(tx, machine_id) if machine_id else None


def named(tx: Transaction, *, proof_id: str = "", secret_id: str = "") -> str:
    """The name of the machine that has this proof, or secret id; empty for none. One question, whatever there is."""
    query = select(machines.c.name).join(proofs, proofs.c.machine_id == machines.c.id)
    if secret_id:
        query = query.join(secret_ids, secret_ids.c.proof_id == proofs.c.id).where(secret_ids.c.id == secret_id)
    else:
        query = query.where(proofs.c.id == proof_id)
    return str(tx.sql.execute(query).scalar_one_or_none() or "")


def role(tx: Transaction, role_id: str) -> bool:
    """Has somebody this role id?"""
    return tx.sql.execute(select(proofs.c.id).where(proofs.c.role_id == role_id)).first() is not None


def remove_proof(tx: Transaction, proof_id: str) -> None:
    """With its secret ids."""
    tx.sql.execute(delete(proofs).where(proofs.c.id == proof_id))


# -- secret ids


def _secret_id(row: Row[Any]) -> SecretId:
    return SecretId(
        row.id,
        row.proof_id,
        row.hash,
        row.uses_left,
        tuple(row.allowlist),
        row.created_at,
        row.created_by,
        row.expires_at,
    )


def add_secret_id(tx: Transaction, made: SecretId) -> None:
    """One more."""
    tx.sql.execute(insert(secret_ids).values(vars(made) | {"allowlist": list(made.allowlist)}))


def presented(tx: Transaction, secret_id: str) -> tuple[SecretId, HeldProof, Machine] | None:
    """A secret id with its proof and machine; one question, whatever is known of it."""
    query = (
        select(secret_ids, proofs.c.kind, proofs.c.definition, proofs.c.machine_id)
        .join(proofs, proofs.c.id == secret_ids.c.proof_id)
        .where(secret_ids.c.id == secret_id)
    )
    row = tx.sql.execute(query).one_or_none()
    machine = get(tx, row.machine_id if row else "")
    if row is None or machine is None:
        return None
    return _secret_id(row), HeldProof(row.proof_id, _proof(row.kind, row.definition), row.created_at, ""), machine


def secret_ids_of(tx: Transaction, proof_ids: Iterable[str], after: str, limit: int) -> list[SecretId]:
    """Of these proofs, those that are not over, by id."""
    query = select(secret_ids).where(secret_ids.c.proof_id.in_(list(proof_ids)), secret_ids.c.id > after, _good(tx))
    return [_secret_id(row) for row in tx.sql.execute(query.order_by(secret_ids.c.id).limit(limit))]


def count_secret_ids(tx: Transaction, proof_id: str) -> int:
    """How many a proof has that are not over."""
    query = select(func.count()).select_from(secret_ids).where(secret_ids.c.proof_id == proof_id, _good(tx))
    return int(tx.sql.execute(query).scalar_one())


def _good(tx: Transaction) -> Any:
    return or_(secret_ids.c.expires_at.is_(None), secret_ids.c.expires_at > tx.now)


def use(tx: Transaction, used: SecretId) -> None:
    """Once more, or for the last time: then it is gone."""
    if used.uses_left is None:
        return
    own = secret_ids.c.id == used.id
    left = used.uses_left - 1
    tx.sql.execute(update(secret_ids).where(own).values(uses_left=left) if left else delete(secret_ids).where(own))


def remove_secret_id(tx: Transaction, secret_id: str) -> None:
    """It is of no use any more."""
    tx.sql.execute(delete(secret_ids).where(secret_ids.c.id == secret_id))


def sweep(tx: Transaction, limit: int) -> None:
    """Secret ids that have expired go, so many of them."""
    over = select(secret_ids.c.id).where(secret_ids.c.expires_at <= tx.now).limit(limit)
    tx.sql.execute(delete(secret_ids).where(secret_ids.c.id.in_(over)))
