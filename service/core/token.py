"""Tokens: how machines prove who they are.

    kw_<id>_<secret>     id: 16 hex digits, to find it by; secret: 43 characters of base64url, 256 random bits

Only SHA-256 of the secret is stored; it is compared in constant time. (A slow hash guards passwords that
people choose; 256 random bits cannot be guessed.)

A token may be bound to client certificates (RFC 8705, section 3), and is then of use over a connection that showed one
of them only. Where it has no secret, the certificate alone stands for its caller (RFC 8705, section 2).

A token may be a machine's (`machine.py`): its name, grants and allowlist are the machine's, as they stand now. Or it
is a person's (`person.py`): a session, or a token of its own; its grants are the person's, as they stand now.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.core.access import Grant
from service.core.errors import Invalid
from service.core.person import Session
from service.core.sealed import Randomness
from service.core.secret import Secret

NO_SECRET = b""
"""The `hash` of a token that nobody can present."""
MOST_CERTIFICATES = 2
"""The present one, and the one that replaces it."""
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_SHAPE = re.compile(r"kw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_SHOWN = re.compile(r"(k[ws]_[0-9a-f]{16}_)[A-Za-z0-9_-]+")


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
    certificates: tuple[str, ...] = ()
    """SHA-256 of those that it is bound to, one of which must be shown; none: it is not bound."""
    machine_id: str = ""
    """Whose it is; empty for one that stands for itself."""
    renewable_until: datetime | None = None
    """It can be made to last until then, if a login gave it out."""
    user_id: str = ""
    """Whose it is, if it is a person's."""
    label: str = ""
    """What that person calls it; empty for sessions."""
    session: Session | None = None

    @property
    def bearer(self) -> bool:
        """Has it a secret? If not, a certificate alone stands for its caller."""
        return self.hash != NO_SECRET


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that the client of a connection showed, and whose key it proved to have."""

    sha256: str
    """Of its DER, in hex: what RFC 8705, 3.1 calls `x5t#S256`, in other letters."""
    ends: datetime
    """Its `notAfter`: a connection may last longer."""


def make(randomness: Randomness) -> tuple[str, Secret, bytes]:
    """A new token: its id, the whole text that is shown once, and the hash to store."""
    token_id = randomness(8).hex()
    secret = base64.urlsafe_b64encode(randomness(32)).rstrip(b"=").decode()
    return token_id, Secret(f"kw_{token_id}_{secret}"), hashed(secret)


def split(text: str) -> tuple[str, str] | None:
    """Id and secret of a presented token, or None for what is no token."""
    found = _SHAPE.fullmatch(text)
    return (found[1], found[2]) if found else None


def masked(text: str) -> str:
    """A text without the secrets of the tokens and secret ids that stand in it, also of those that were cut off."""
    return _SHOWN.sub(r"\1…", text)


def hashed(secret: str) -> bytes:
    """What is stored of a token's secret."""
    return hashlib.sha256(secret.encode()).digest()


def fingerprints(texts: Sequence[str]) -> tuple[str, ...]:
    """Certificates' SHA-256 (of their DER) as they are kept: 64 hex digits each, in the order given.

    `openssl x509 -fingerprint -sha256` puts colons between the digits. Raises Invalid.
    """
    found = tuple(dict.fromkeys(text.replace(":", "").lower() for text in texts))
    if not all(map(_FINGERPRINT.fullmatch, found)):
        raise Invalid(
            "certificates must hold SHA-256 fingerprints of certificates: 64 hex digits each", field="certificates"
        )
    if len(found) > MOST_CERTIFICATES:
        raise Invalid(f"certificates: {MOST_CERTIFICATES} are the most", field="certificates")
    return found


def usable_over(bound_to: Collection[str], shown: Shown | None, now: datetime) -> bool:
    """May a token be used over a connection whose client showed this certificate, or none?

    A token that is bound to certificates is of use over a connection that showed one of them only: whoever copies
    the token does not have the key. `bound_to` is empty for a token that is not bound.
    """
    if not bound_to:
        return True
    if shown is None or shown.ends <= now:
        return False
    equal = [hmac.compare_digest(each, shown.sha256) for each in bound_to]  # all of them, whichever it is
    return any(equal)
