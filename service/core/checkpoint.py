"""Checkpoints: where the chain of events had come to, signed, to be kept outside of the ledger.

    signed = b"keywright checkpoint 1\\n" ‖ canonical JSON of {at, hash, installation, seq}

The signature is Ed25519 (RFC 8032). Its key is derived from the installation's first data key (HKDF, RFC 5869), so
whoever can write to the ledger but does not hold the master key cannot make one. `key` is the public half: note it
once, and checkpoints can be checked against it without asking Keywright.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.core.errors import Invalid

_PURPOSE = b"keywright checkpoint 1"


@dataclass(frozen=True)
class Checkpoint:
    """Event `seq` was the last one, and `hash` the end of the chain. Bytes in hex, the time in RFC 3339."""

    installation: str
    """The hash of the log's first batch: no two ledgers have the same."""
    seq: int
    hash: str
    at: str
    key: str
    signature: str = ""


def signing_key(data_key: bytes) -> Ed25519PrivateKey:
    """The key that signs an installation's checkpoints."""
    return Ed25519PrivateKey.from_private_bytes(
        HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(data_key)
    )


def signed(key: Ed25519PrivateKey, installation: bytes, seq: int, end: bytes, at: datetime) -> Checkpoint:
    """A checkpoint."""
    public = key.public_key().public_bytes_raw().hex()
    made = Checkpoint(installation.hex(), seq, end.hex(), at.isoformat(), public)
    return Checkpoint(**vars(made) | {"signature": key.sign(_message(made)).hex()})


def read(text: str) -> Checkpoint:
    """A checkpoint as it was exported. Raises Invalid for what is none."""
    try:
        told = json.loads(text)
        words = {name: str(told[name]) for name in ("installation", "hash", "at", "key", "signature")}
        made = Checkpoint(seq=int(told["seq"]), **words)
        if any(len(bytes.fromhex(each)) != 32 for each in (made.installation, made.hash, made.key)):
            raise ValueError
        bytes.fromhex(made.signature)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid("this is no checkpoint: `events checkpoint` writes one, as JSON") from None
    return made


def check(given: Checkpoint, own: Ed25519PrivateKey) -> None:
    """Is it one of this installation's, as it was signed? Raises Invalid."""
    public = own.public_key().public_bytes_raw().hex()
    if given.key.lower() != public:
        raise Invalid(
            f"the checkpoint was signed with the key {given.key[:16]}…, and this installation's is {public[:16]}…: "
            "it is of another installation"
        )
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            bytes.fromhex(given.signature), _message(given)
        )
    except InvalidSignature:
        raise Invalid("the checkpoint's signature does not fit: it was changed since it was exported") from None


def _message(it: Checkpoint) -> bytes:
    told = {"installation": it.installation, "seq": it.seq, "hash": it.hash, "at": it.at}
    return _PURPOSE + b"\n" + json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
