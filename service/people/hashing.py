"""Hashing of people's passwords: argon2id (RFC 9106).

One hash takes 46 MiB and a twentieth of a second or so. As many as AT_ONCE are worked on; further ones wait their turn,
and are told to come again where too many wait: whoever floods the door with sign-ins takes no more memory than that,
and no processor from others for longer than the queue is.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type

from service.core.errors import Unavailable
from service.core.secret import Secret

ITERATIONS, MEMORY_KIB, LANES = 1, 46 * 1024, 1
"""OWASP, Password Storage Cheat Sheet, the first of its settings. One lane: fetches want the other processors."""
SALT, LENGTH = 16, 32
"""Bytes. RFC 9106, 3.1 and 4."""
AT_ONCE = 2
"""92 MiB at the most."""
PATIENCE = 15.0
"""Seconds that somebody waits for a turn."""
_DECOY = "$argon2id$v=19$m=47104,t=1,p=1$a2V5d3JpZ2h0LW5vYm9keQ$pXXQQO1QnkzR0kG3eqlzM+8ixEtVeqJ30PqaZ9a77MM"
"""Of no password: looked at where there is none, so that this takes as long."""


class Hashing:
    """For one process. `look` and `hashed` are for whoever has a turn."""

    def __init__(self, at_once: int = AT_ONCE, patience: float = PATIENCE) -> None:
        self._hasher = PasswordHasher(ITERATIONS, MEMORY_KIB, LANES, LENGTH, SALT, type=Type.ID)
        self._turns = threading.BoundedSemaphore(at_once)
        self._patience = patience
        self.looked = 0
        """How often a password was held against a hash, a decoy's too."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn. Raises Unavailable."""
        if not self._turns.acquire(timeout=self._patience):
            raise Unavailable("as many passwords are being looked at as this server allows: try again in a while")
        try:
            yield
        finally:
            self._turns.release()

    def right(self, kept: str | None, password: Secret) -> bool:
        """Is it the password of this hash? The same work where there is none."""
        self.looked += 1
        try:
            self._hasher.verify(kept or _DECOY, password.reveal())
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def hashed(self, password: Secret) -> str:
        """What is kept of it, with the cost of today."""
        return self._hasher.hash(password.reveal())

    def dated(self, kept: str) -> bool:
        """Was it made with another cost than that of today?"""
        return self._hasher.check_needs_rehash(kept)
