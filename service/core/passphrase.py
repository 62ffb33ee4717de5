"""Passwords that people choose, as far as they can be judged without looking anything up.

    given ──► normal form ──► length ──► known from a breach?  ──► strength      (`service/people/strength.py`)

(Those that Keywright makes for databases are in `password.py`.)
"""

import unicodedata
from typing import Protocol

from service.core.errors import Invalid
from service.core.secret import Secret

LONGEST = 256
"""Characters. NIST SP 800-63B, 3.1.1.2, asks for 64 at least; without an end, hashing one would cost anything."""


class Breaches(Protocol):
    """Passwords that are known from breaches."""

    def hold(self, sha1: str) -> bool:
        """Is the password with this SHA-1 (40 hex digits, capitals) among them? Raises Unavailable."""
        ...


class NoBreaches:
    """Where no list is at hand."""

    def hold(self, sha1: str) -> bool:  # noqa: ARG002 - the port's
        """Nothing is known."""
        return False


def normal(given: Secret, field: str = "password") -> Secret:
    """In the form that is hashed: the same letters are the same password on every keyboard (NFKC). Raises Invalid."""
    text = given.reveal()
    if not text or len(text) > LONGEST:
        raise Invalid(f"{field} must have 1 to {LONGEST} characters", field=field)
    return Secret(unicodedata.normalize("NFKC", text))
