"""Signed statements: JSON Web Tokens (RFC 7519, with the advice of RFC 8725), verified by joserfc.

Which algorithm is allowed is said by the proof, never by the token, and only signatures by private keys are. A key is
tried only for what it is made for: its type, `use` and `alg` (RFC 7517, 4). `exp` is required.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from service.core.proof import ALGORITHMS, Signer, Unproven
from service.core.secret import Secret

MOST_TRIED = 8
"""Keys that are tried for one statement which names none."""
SHORTEST_RSA = 2048
"""Bits (RFC 7518, 3.3)."""

_KINDS: dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_MADE_FOR = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
_Key = RSAKey | ECKey | OKPKey


class Keys(Protocol):
    """Where the keys of an issuer come from, if a proof does not hold them."""

    def of(self, signer: Signer, kid: str | None) -> list[dict[str, Any]]:
        """Those that may have made a signature which names `kid`, or names none. Raises Unavailable."""
        ...


class SignedStatements:
    """Verifies them: the port `Verifier`."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def verified(self, jwt: Secret, signer: Signer, audiences: Sequence[str], now: datetime) -> Mapping[str, Any]:
        """See `Verifier`."""
        registry = jws.JWSRegistry(algorithms=signer.algorithms, strict_check_header=False)
        registry.max_header_length = 4096
        text = jwt.reveal().encode("utf-8", "replace")
        try:
            found = jws.extract_compact(text, registry=registry)
            headers = found.headers()
        except (JoseError, ValueError, RecursionError):
            raise Unproven("no JWT") from None
        algorithm, kid = headers.get("alg"), headers.get("kid")
        if algorithm not in signer.algorithms or algorithm not in ALGORITHMS:
            raise Unproven("algorithm")
        if kid is not None and not isinstance(kid, str):
            raise Unproven("key id")
        for key in self._fitting(signer, str(algorithm), kid):
            try:
                if jws.validate_compact(found, key, registry=registry):
                    return _stated(found.payload, signer, audiences, now)
            except (JoseError, ValueError):
                continue
        raise Unproven("signature")

    def _fitting(self, signer: Signer, algorithm: str, kid: str | None) -> Iterator[_Key]:
        kind = _MADE_FOR[algorithm[:2]]
        held: list[Any] = list(signer.keys) if signer.keys else self._keys.of(signer, kid)
        tried = 0
        for each in held:
            if isinstance(each, dict):
                fits = each.get("kty") == kind and each.get("use", "sig") == "sig"
                if not fits or each.get("alg", algorithm) != algorithm:
                    continue
            try:
                key = _KINDS[kind].import_key(each)
            except (JoseError, ValueError, TypeError, KeyError):
                continue
            if isinstance(key, RSAKey) and key.public_key.key_size < SHORTEST_RSA:
                continue
            tried += 1
            if tried > MOST_TRIED:
                return
            yield key


def _stated(payload: bytes, signer: Signer, audiences: Sequence[str], now: datetime) -> Mapping[str, Any]:
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        raise Unproven("no claims")
    registry = JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=int(signer.skew.total_seconds()),
        iss={"essential": True, "value": signer.issuer},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
    )
    try:
        registry.validate(claims)
    except ExpiredTokenError:
        raise Unproven("expired") from None
    except (InvalidClaimError, MissingClaimError) as error:
        raise Unproven(f"claim {error.claim}") from None
    except JoseError:
        raise Unproven("claims") from None
    return claims
