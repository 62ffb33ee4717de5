"""Data keys: one or more for each environment, wrapped by a master key that the ledger never sees.

    master key (a KeyWrapper: file, environment variable, AWS KMS, transit)
        └── wraps  data key 1, 2, 3 … of an environment; the highest number seals, all of them open
                       └── seals  every secret of that environment

Deleting an environment deletes its wrapped data keys, and with them everything that they sealed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.core.errors import SealBroken
from service.core.sealed import Context, Opening, Randomness, key_number, seal
from service.core.secret import Secret

SYSTEM = "system"
"""The id that stands for the installation itself: its data key feeds the event chain."""


def tag_key(data_key: bytes) -> bytes:
    """The key of the tags that stand for values in ETags (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"keywright value tags 1").derive(data_key)


class KeyWrapper(Protocol):
    """Wraps and unwraps data keys of 32 bytes. One implementation per home of a master key.

    Raises KeyMissing, KeyWrong or KeyUnreachable (`service.core.errors`). `context` is bound to the
    result: unwrapping under another context fails with KeyWrong.
    """

    @property
    def name(self) -> str:
        """Which wrapper and key this is, for people and for the ledger's notes; holds no secret."""

    def wrap(self, data_key: bytes, context: Context) -> bytes:
        """Encrypt a data key under the master key."""

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """The data key again."""


@dataclass(frozen=True)
class Keyring:
    """The unwrapped data keys of one environment, in memory only."""

    environment_id: str
    keys: Mapping[int, bytes] = field(repr=False)
    _ciphers: dict[int, AESGCM] = field(default_factory=dict, repr=False, compare=False)

    @property
    def newest(self) -> int:
        """The number of the key that seals what is new."""
        return max(self.keys)

    def seal(self, plain: Secret, context: Context, randomness: Randomness) -> bytes:
        """Seal under the newest key."""
        number = self.newest
        return seal(plain, key=self.keys[number], key_number=number, context=context, randomness=randomness)

    def unseal(self, sealed: bytes, context: Context) -> Secret:
        """Open with whichever key sealed it. Raises SealBroken."""
        return self.opening(sealed, context).open()

    def opening(self, sealed: bytes, context: Context) -> Opening:
        """Ready to be opened with whichever key sealed it. Raises SealBroken."""
        number = key_number(sealed)
        cipher = self._ciphers.get(number)
        if cipher is None:
            if number not in self.keys:
                raise SealBroken(f"a stored value was sealed under data key {number}, which the ledger does not hold")
            # Kept: making one costs as much as opening a password.
            cipher = self._ciphers[number] = AESGCM(self.keys[number])
        return Opening(sealed, cipher, context)
