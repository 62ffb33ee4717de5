"""What was pruned from the event log: the record that stands in its place, and at which `verify` begins.

    signed = b"keywright pruned 1\\n" ‖ canonical JSON of {at, hash, installation, seq}

Events 1 to `seq` are gone, and `hash` is the chain's hash there: what follows must be chained to it. The signature is
Ed25519 (RFC 8032), by the key that signs checkpoints, so whoever can write to the ledger but does not hold the master
key cannot make it tell of more, or of less, than was pruned.
"""

import json
from dataclasses import dataclass, replace

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PURPOSE = b"keywright pruned 1"


@dataclass(frozen=True)
class Pruned:
    """Events up to `seq` were pruned, the last of them at `at` (RFC 3339)."""

    installation: bytes
    """The hash of the log's first batch, which is gone with them."""
    seq: int
    hash: bytes
    at: str
    signature: bytes = b""


def signed(key: Ed25519PrivateKey, record: Pruned) -> Pruned:
    """The record with its signature."""
    return replace(record, signature=key.sign(_message(record)))


def authentic(key: Ed25519PrivateKey, record: Pruned) -> bool:
    """Is it as it was signed?"""
    try:
        key.public_key().verify(record.signature, _message(record))
    except InvalidSignature:
        return False
    return True


def _message(it: Pruned) -> bytes:
    told = {"installation": it.installation.hex(), "seq": it.seq, "hash": it.hash.hex(), "at": it.at}
    return _PURPOSE + b"\n" + json.dumps(told, sort_keys=True, separators=(",", ":")).encode()
