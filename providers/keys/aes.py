"""Wrapping a data key under a master key that is held here: AES-256-GCM.

Stored format of a wrapped data key, version 1:

    byte 0        format version, 0x01
    bytes 1-12    nonce, 96 random bits (NIST SP 800-38D, 8.2.2)
    bytes 13-     the data key encrypted (32 bytes), followed by the 128-bit tag

The associated data is byte 0 and the context. A master key is written as the base64 text of its 32 bytes.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from service.core.errors import KeyWrong
from service.core.sealed import KEY_BYTES, Context, Randomness
from service.core.secret import Secret

_FORMAT = b"\x01"
_NONCE = 12
_LENGTH = 1 + _NONCE + KEY_BYTES + 16


def wrapped(data_key: bytes, *, master: bytes, context: Context, randomness: Randomness) -> bytes:
    """Encrypt a data key of 32 bytes."""
    if len(data_key) != KEY_BYTES:
        raise ValueError(f"a data key has {KEY_BYTES} bytes")
    nonce = randomness(_NONCE)
    return _FORMAT + nonce + AESGCM(master).encrypt(nonce, data_key, _FORMAT + context)


def unwrapped(stored: bytes, *, master: bytes, context: Context, name: str) -> bytes:
    """The data key again. Raises KeyWrong, which names the wrapper by `name`."""
    if len(stored) != _LENGTH or stored[:1] != _FORMAT:
        raise KeyWrong(f"{name} did not wrap this ledger's data keys: name the wrapper that did, or restore the ledger")
    nonce, body = stored[1 : 1 + _NONCE], stored[1 + _NONCE :]
    try:
        return AESGCM(master).decrypt(nonce, body, _FORMAT + context)
    except InvalidTag:
        raise KeyWrong(
            f"the master key {name} does not open this ledger's data keys: put back the key that it was made with"
        ) from None


def encoded(master: bytes) -> Secret:
    """A master key as text."""
    return Secret(base64.b64encode(master).decode())


def decoded(text: Secret, name: str) -> bytes:
    """A master key from its text. Raises KeyWrong if it is not the base64 of 32 bytes."""
    try:
        master = base64.b64decode(text.reveal().strip(), validate=True)
    except (binascii.Error, ValueError):
        master = b""
    if len(master) != KEY_BYTES:
        raise KeyWrong(f"{name} does not hold the base64 text of {KEY_BYTES} bytes: put the whole key there")
    return master
