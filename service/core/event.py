"""Events: the audit log, and the chain that shows whether it was altered.

Events are stored in batches. A batch's *body* is canonical JSON: a list of events in which the fields
that can name a person (`name`, `address`) are salted SHA-256 digests. The plain fields stand beside the
body with their salts, so that a person can be erased (salt and plain field removed) while the chain still
verifies.

    hash(n) = HMAC-SHA-256(chain key, hash(n-1) ‖ first sequence number ‖ count ‖ body(n))
    hash(0) = 32 zero bytes

The chain key comes from the installation's own data key, so that whoever can write to the ledger but
does not hold the master key cannot make a chain that verifies. A cut tail is found only against a hash
that was noted outside the ledger.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.core.access import Caller
from service.core.sealed import Randomness

GENESIS = bytes(32)
Detail = str | int | bool | None


class Outcome(StrEnum):
    """How an operation ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"  # by Keywright: not permitted, absent, malformed
    FAILED = "failed"  # by something outside: a store, a database, a key wrapper


@dataclass(frozen=True)
class Event:
    """One entry of the audit log: who did what to which resource, and how it ended. Never a secret."""

    at: datetime
    caller: Caller
    action: str
    outcome: Outcome
    environment: str = ""
    resource: str = ""
    detail: Mapping[str, Detail] = field(default_factory=dict)

    def entry(self, salt: str) -> dict[str, object]:
        """As it enters the chain, persons digested."""
        return {
            "at": self.at.isoformat(),
            "actor": self.caller.id,
            "kind": self.caller.kind,
            "name": digest(salt, self.caller.name),
            "address": digest(salt, self.caller.address),
            "request": fit(self.caller.request_id),
            "action": self.action,
            "outcome": self.outcome.value,
            "environment": fit(self.environment)[:LONGEST_ENVIRONMENT],
            "resource": fit(self.resource),
            "detail": {key: fit(told) if isinstance(told, str) else told for key, told in self.detail.items()},
        }


@dataclass(frozen=True)
class Batch:
    """Events as they are stored: the chained body, and the persons beside it."""

    body: str
    persons: str
    count: int


_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
LONGEST_ENVIRONMENT = 200


def fit(text: str) -> str:
    """Text of a request as it may enter the log: what no name can hold (controls, surrogates) is replaced."""
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def digest(salt: str, text: str) -> str:
    """What stands in the chain for a field that can name a person."""
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()


def batch(events: Sequence[Event], randomness: Randomness) -> Batch:
    """Events made ready to be chained."""
    entries, persons = [], []
    for event in events:
        salt = randomness(16).hex()
        entries.append(event.entry(salt))
        persons.append({"salt": salt, "name": event.caller.name, "address": event.caller.address})
    return Batch(_canonical(entries), _canonical(persons), len(entries))


def chain_key(data_key: bytes) -> bytes:
    """The key of the chain, from the installation's first data key (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"keywright event chain 1").derive(data_key)


def link(key: bytes, former: bytes, first: int, made: Batch) -> bytes:
    """The hash of a batch whose first event has sequence number `first`, after a batch with hash `former`."""
    message = former + first.to_bytes(8, "big") + made.count.to_bytes(4, "big") + made.body.encode()
    return hmac.digest(key, message, "sha256")


def persons_match(made: Batch) -> bool:
    """Do the plain fields beside a body still agree with the digests in it? Erased ones do."""
    entries, persons = json.loads(made.body), json.loads(made.persons)
    return len(entries) == len(persons) and all(
        person is None
        or (digest(person["salt"], person["name"]), digest(person["salt"], person["address"]))
        == (entry["name"], entry["address"])
        for entry, person in zip(entries, persons, strict=True)
    )


def _canonical(data: object) -> str:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
