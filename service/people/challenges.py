"""Challenges for passkeys: made without keeping anything, taken once.

    challenge = base64url( moment it ends, 8 bytes ‖ 16 random bytes ‖ HMAC-SHA-256(key, moment ‖ random ‖ what for) )

What it is for (a sign-in, this session, this enrolment) is not in it, but told again by whoever takes it: one that
was made for something else is none. Nobody fills the ledger by asking for challenges: only those that were answered
are remembered, until they end.
"""

import base64
import hmac
from datetime import UTC, datetime

from service.core.factor import BEGUN
from service.core.sealed import Randomness
from service.ledger import pendings
from service.ledger.ledger import Transaction

KIND = "challenge"
_AT, _RANDOM, _MAC = 8, 16, 32


class Challenges:
    """Made and taken under one key, which all replicas have."""

    def __init__(self, key: bytes, randomness: Randomness) -> None:
        self._key = hmac.digest(key, b"keywright passkey challenge 1", "sha256")
        self._randomness = randomness

    def make(self, now: datetime, purpose: str, of: str = "") -> str:
        """A new one. `of` tells more closely what it is for: a session, a user."""
        told = int((now + BEGUN).timestamp()).to_bytes(_AT, "big") + self._randomness(_RANDOM)
        return base64.urlsafe_b64encode(told + self._mac(told, purpose, of)).rstrip(b"=").decode()

    def take(self, tx: Transaction, challenge: str, purpose: str, of: str = "") -> bool:
        """Is it one of ours, for this, in time, and not taken before? If so, it is taken now, on every replica."""
        try:
            raw = base64.urlsafe_b64decode(challenge + "=" * (-len(challenge) % 4))
        except ValueError:
            return False
        told, shown = raw[: _AT + _RANDOM], raw[_AT + _RANDOM :]
        if len(shown) != _MAC or not hmac.compare_digest(self._mac(told, purpose, of), shown):
            return False
        ends = datetime.fromtimestamp(int.from_bytes(told[:_AT], "big"), UTC)
        # By the bytes: base64 has several texts for some of them.
        return tx.now < ends and pendings.mark(tx, KIND, raw.hex(), ends)

    def _mac(self, told: bytes, purpose: str, of: str) -> bytes:
        return hmac.digest(self._key, told + f"{len(purpose)}:{purpose}{of}".encode(), "sha256")
