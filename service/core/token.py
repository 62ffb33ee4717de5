"""Tokens: how machines prove who they are.

    kw_<id>_<secret>     id: 16 hex digits, to find it by; secret: 43 characters of base64url, 256 random bits

Only SHA-256 of the secret is stored; it is compared in constant time. (A slow hash guards passwords that
people choose; 256 random bits cannot be guessed.)
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime

from service.core.access import Grant
from service.core.errors import Invalid
from service.core.sealed import Randomness
from service.core.secret import Secret

_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_SHAPE = re.compile(r"kw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Token:
    """What the ledger knows of a token."""

    id: str
    name: str
    hash: bytes
    grants: tuple[Grant, ...]
    allowlist: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None


def make(randomness: Randomness) -> tuple[str, Secret, bytes]:
    """A new token: its id, the whole text that is shown once, and the hash to store."""
    token_id = randomness(8).hex()
    secret = base64.urlsafe_b64encode(randomness(32)).rstrip(b"=").decode()
    return token_id, Secret(f"kw_{token_id}_{secret}"), hashed(secret)


def split(text: str) -> tuple[str, str] | None:
    """Id and secret of a presented token, or None for what is no token."""
    found = _SHAPE.fullmatch(text)
    return (found[1], found[2]) if found else None


def hashed(secret: str) -> bytes:
    """What is stored of a token's secret."""
    return hashlib.sha256(secret.encode()).digest()


def fingerprint(text: str) -> str:
    """A certificate's SHA-256 (of its DER) as it is kept: 64 hex digits. `openssl x509 -fingerprint -sha256` puts
    colons between them. Raises Invalid."""
    digits = text.replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(digits):
        raise Invalid(
            "certificate must be the SHA-256 fingerprint of a certificate: 64 hex digits", field="certificate"
        )
    return digits


def usable_over(bound_to: str, shown: str | None) -> bool:
    """May a token be used over a connection whose client showed this certificate, or none?

    A token that is bound to a certificate (RFC 8705, section 3) is of use over a connection that showed it only:
    whoever copies the token does not have the key. `bound_to` is empty for a token that is not bound.
    """
    return not bound_to or (shown is not None and hmac.compare_digest(bound_to, shown))
