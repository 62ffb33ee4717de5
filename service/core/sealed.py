"""Sealing: AES-256-GCM under a data key, bound to where the ciphertext belongs.

Stored format of a sealed value, version 1:

    byte 0        format version, 0x01
    bytes 1-4     number of the data key, big endian (which key of the environment opens it)
    bytes 5-16    nonce, 96 random bits (NIST SP 800-38D, 8.2.2)
    bytes 17-     ciphertext followed by the 128-bit tag

The associated data is the header (bytes 0-4) and a context from one of the functions below. Contexts
name immutable *ids*, never names: a ciphertext that is moved to another row does not open, and a rename
re-seals nothing. A context's first word is a tag that is never used again for another meaning, and the
parts are length-prefixed, so that no two different contexts have the same bytes.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NewType

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.core.errors import SealBroken
from service.core.secret import Secret

Context = NewType("Context", bytes)
Randomness = Callable[[int], bytes]
"""Gives that many unpredictable bytes; `secrets.token_bytes` in production."""

FORMAT = 1
KEY_BYTES = 32
_HEADER = 5
_NONCE = 12
_TAG = 16


def _context(tag: str, *parts: str) -> Context:
    fields = [tag.encode(), *(part.encode() for part in parts)]
    return Context(b"".join(len(field).to_bytes(4, "big") + field for field in fields))


@lru_cache(8192)
def version_context(environment_id: str, variable_id: str, version: int) -> Context:
    """For one version of a variable."""
    return _context("version", environment_id, variable_id, str(version))


def credential_context(environment_id: str, login_id: str, credential_id: str) -> Context:
    """For one password of a login."""
    return _context("credential", environment_id, login_id, credential_id)


def reply_context(environment_id: str, token_id: str, key: str) -> Context:
    """For an answer that is kept to be given again to a repeated `Idempotency-Key`."""
    return _context("reply", environment_id, token_id, key)


def wrapping_context(environment_id: str, wrapping_id: str) -> Context:
    """For an answer that is kept to be opened once, by whoever has its token."""
    return _context("wrapping", environment_id, wrapping_id)


def webhook_context(environment_id: str, webhook_id: str, number: int) -> Context:
    """For a signing secret of a webhook."""
    return _context("webhook", environment_id, webhook_id, str(number))


def pending_context(environment_id: str, kind: str, hash_: bytes) -> Context:
    """For what waits for its other half."""
    return _context("pending", environment_id, kind, hash_.hex())


def factor_context(environment_id: str, factor_id: str) -> Context:
    """For a second factor of a user."""
    return _context("factor", environment_id, factor_id)


def provider_context(environment_id: str, provider_id: str) -> Context:
    """For what we prove to an identity provider who we are with."""
    return _context("identity-provider", environment_id, provider_id)


def approval_context(environment_id: str, approval_id: str) -> Context:
    """For what is to be done once somebody agrees."""
    return _context("approval", environment_id, approval_id)


def copy_context(environment_id: str, store: str, location: str, credential_id: str) -> Context:
    """For what was read of a store, while it is kept in memory to be answered again."""
    return _context("copy", environment_id, store, location, credential_id)


def data_key_context(environment_id: str, number: int) -> Context:
    """For a data key while the master key wraps it."""
    return _context("data-key", environment_id, str(number))


def escrow_key_context() -> Context:
    """For the data key of an escrow file while the master key wraps it."""
    return _context("escrow-key")


def escrow_context(connection_id: str) -> Context:
    """For one entry of an escrow file."""
    return _context("escrow", connection_id)


def seal(plain: Secret, *, key: bytes, key_number: int, context: Context, randomness: Randomness) -> bytes:
    """Seal `plain` under data key `key`, which is the environment's key number `key_number`."""
    header = bytes([FORMAT]) + key_number.to_bytes(4, "big")
    nonce = randomness(_NONCE)
    return header + nonce + AESGCM(key).encrypt(nonce, plain.reveal().encode(), header + context)


def key_number(sealed: bytes) -> int:
    """Which of the environment's data keys opens `sealed`. Raises SealBroken if it is no sealed value."""
    if len(sealed) < _HEADER + _NONCE + _TAG or sealed[0] != FORMAT:
        raise SealBroken("a stored value is not in any known sealed format: the ledger was damaged or altered")
    return int.from_bytes(sealed[1:_HEADER], "big")


class Opening:
    """A sealed value made ready to be opened often: what is the same each time is worked out once. Holds no plaintext.

    Raises SealBroken if it is no sealed value.
    """

    __slots__ = ("_body", "_bound", "_cipher", "_nonce")

    def __init__(self, sealed: bytes, cipher: AESGCM, context: Context) -> None:
        key_number(sealed)
        self._cipher = cipher
        self._nonce = sealed[_HEADER : _HEADER + _NONCE]
        self._body = memoryview(sealed)[_HEADER + _NONCE :]  # no copy: many are kept of one value
        self._bound = sealed[:_HEADER] + context

    def open(self) -> Secret:
        """The plaintext. Raises SealBroken if it was changed, or sealed for another place or key."""
        try:
            return Secret(self._cipher.decrypt(self._nonce, self._body, self._bound).decode())
        except InvalidTag:
            raise SealBroken("a stored value does not open: it was altered, or moved here from another place") from None


def unseal(sealed: bytes, *, key: bytes, context: Context) -> Secret:
    """Open `sealed`. Raises SealBroken if it was changed, or sealed for another place or key."""
    return Opening(sealed, AESGCM(key), context).open()
