"""Second factors: what a person shows beside a password, or beside what an identity provider says.

begun ──(a first code, or an authenticator's first answer)──► held ──► removed
a pending, for minutes                                        a row; `used` only grows

totp           a shared secret (RFC 6238). `used` is the last time step of which a code was taken: a code is good once
passkey        a key pair of an authenticator (W3C Web Authentication). `used` is its signature counter, which grows
               with each use, or stays 0 with authenticators that do not count
recovery code  one of ten, good once, for who has lost the others. Only their hashes are kept; they go with the last
               factor

recovery code: `abcd-efgh-jkmn-pqrs`, 16 letters and digits of which none looks like another: 80 random bits
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.core.errors import Invalid
from service.core.sealed import Randomness
from service.core.secret import Secret

MOST = 10
"""Of one user."""
LONGEST_NAME = 64
CODES = 10
BEGUN = timedelta(minutes=10)
"""How long a factor waits for its first code, a challenge for its answer, and a sign-in for its second factor."""
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32: without i, l, o and u."""


class FactorKind(StrEnum):
    """What is shown."""

    TOTP = "totp"
    PASSKEY = "passkey"


@dataclass(frozen=True)
class Factor:
    """A second factor that counts. `sealed` holds the secret, or the public key: nobody can put another one there."""

    id: str
    user_id: str
    kind: FactorKind
    name: str
    sealed: bytes
    credential_id: str | None
    """Of a passkey, in base64url: what its authenticator calls it."""
    used: int
    created_at: datetime
    last_used_at: datetime | None


def named(text: str, field: str = "name") -> str:
    """What its owner calls a factor. Raises Invalid."""
    found = text.strip()
    if not 1 <= len(found) <= LONGEST_NAME or not found.isprintable():
        raise Invalid(f"{field} must have 1 to {LONGEST_NAME} characters, none of them a control", field=field)
    return found


def make_codes(randomness: Randomness) -> tuple[Secret, ...]:
    """New recovery codes, as they are shown once."""
    return tuple(Secret(_written(randomness(10))) for _ in range(CODES))


def _written(random: bytes) -> str:
    number = int.from_bytes(random, "big")
    text = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(text[at : at + 4] for at in range(0, 16, 4))


def code_hash(text: str) -> bytes:
    """What is kept of a recovery code, however it is written. 80 random bits need no slow hash."""
    plain = re.sub(r"[\s-]", "", text).lower().replace("o", "0").replace("i", "1").replace("l", "1")
    return hashlib.sha256(b"recovery code\0" + plain.encode(errors="replace")).digest()


def matching(shown: bytes, kept: Iterable[tuple[str, bytes]]) -> str | None:
    """The id of the one that was shown. All of them are compared, whichever it is."""
    found = [each for each, hashed in kept if hmac.compare_digest(hashed, shown)]
    return found[0] if found else None
