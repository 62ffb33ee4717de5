"""Events: the audit log, and the chain that shows whether it was altered.

Events are stored in batches: those that were recorded together. What several events of a batch share is
written once. A batch's *body* is canonical JSON:

    {"callers": [[id, kind, digest of the name, digest of the address], …],
     "deeds":   [[action, outcome, environment, resource, detail], …],
     "events":  [[microseconds since 1970, caller, deed, request], …]}     caller, deed: places in the lists above

The fields that can name a person (name and address of a caller) enter it as salted SHA-256 digests. In plain
they stand beside the body with their salt, one object for each caller of the body, so that a person can be
erased (the object becomes null) while the chain still verifies.

    hash(n) = HMAC-SHA-256(chain key, hash(n-1) ‖ first sequence number ‖ count ‖ body(n))
    hash(0) = 32 zero bytes

The chain key comes from the installation's own data key, so that whoever can write to the ledger but
does not hold the master key cannot make a chain that verifies. A cut tail is found only against a hash
that was noted outside the ledger.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from service.core.access import Caller
from service.core.sealed import Randomness

GENESIS = bytes(32)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
Detail = str | int | bool | None


class Outcome(StrEnum):
    """How an operation ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"  # by Keywright: not permitted, absent, malformed
    FAILED = "failed"  # by something outside: a store, a database, a key wrapper

    __hash__ = str.__hash__  # that of an Enum is a call of Python's own, and every event takes one


@dataclass(slots=True)  # not frozen: that takes three times as long to make, and every fetch makes one
class Event:
    """One entry of the audit log: who did what to which resource, and how it ended. Never a secret."""

    at: datetime
    caller: Caller
    action: str
    outcome: Outcome
    environment: str = ""
    resource: str = ""
    detail: Mapping[str, Detail] = field(default_factory=dict)
    request_id: str = ""
    """Of the request that it was done in, if the caller was not made out for that one alone."""


@dataclass(frozen=True)
class Batch:
    """Events as they are stored: the chained body, and the persons beside it."""

    body: str
    persons: str
    count: int


_UNFIT = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
LONGEST_ENVIRONMENT = 200
_LARGEST = 2**63
"""Numbers of a detail from here on are written as text: what writes batches takes 64 bits."""


def fit(text: str) -> str:
    """Text of a request as it may enter the log: what no name can hold (controls, surrogates) is replaced."""
    if text.isascii() and text.isprintable():
        return text  # nearly always, and quicker seen
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)


def digest(salt: str, text: str) -> str:
    """What stands in the chain for a field that can name a person."""
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()


def batch(events: Sequence[Event], randomness: Randomness) -> Batch:
    """Events made ready to be chained."""
    callers: dict[tuple[str, str, str, str], int] = {}
    places: dict[int, int] = {}  # by the object: the events hold it, and it does not change
    deeds: dict[_Deed, int] = {}
    lines = []
    for event in events:
        who = event.caller
        place = places.get(id(who))
        if place is None:
            place = callers.setdefault((who.actor, who.kind, who.name, who.address), len(callers))
            places[id(who)] = place
        deed = (event.action, event.outcome, event.environment, event.resource, tuple(event.detail.items()))
        at = (event.at - _EPOCH) // _MICROSECOND
        lines.append((at, place, deeds.setdefault(deed, len(deeds)), fit(event.request_id or who.request_id)))
    salts = randomness(16 * len(callers)).hex()
    persons = [
        {"salt": salts[32 * number : 32 * number + 32], "name": name, "address": address}
        for number, (_, _, name, address) in enumerate(callers)
    ]
    body = {
        "callers": [
            (id_, kind, digest(person["salt"], name), digest(person["salt"], address))
            for (id_, kind, name, address), person in zip(callers, persons, strict=True)
        ],
        "deeds": [_deed(*deed) for deed in deeds],
        "events": lines,
    }
    return Batch(_canonical(body), _canonical(persons), len(lines))


_Deed = tuple[str, Outcome, str, str, tuple[tuple[str, Detail], ...]]


def _deed(action: str, outcome: Outcome, environment: str, resource: str, told: tuple[tuple[str, Detail], ...]) -> Any:
    detail = {key: _fitting(said) for key, said in told}
    return [action, outcome.value, fit(environment)[:LONGEST_ENVIRONMENT], fit(resource), detail]


class Opened:
    """A stored batch, taken apart: each of its events can be shown, or passed over for little.

    Raises ValueError (or KeyError, TypeError, IndexError) for what `batch` never made.
    """

    __slots__ = ("_beside", "_persons", "callers", "deeds", "lines")

    def __init__(self, made: Batch) -> None:
        body = orjson.loads(made.body)
        self._beside = made.persons
        self._persons: list[dict[str, str] | None] | None = None
        self.callers: list[tuple[str, ...]] = body["callers"]
        self.deeds: list[tuple[str, str, str, str, dict[str, Detail]]] = body["deeds"]
        """Action, outcome, environment, resource, detail."""
        self.lines: list[tuple[int, int, int, str]] = body["events"]
        """Microseconds since 1970, places of caller and deed, request."""

    @property
    def persons(self) -> list[dict[str, str] | None]:
        """Name and address of each caller; None where they were erased. Read only where somebody asks."""
        if self._persons is None:
            self._persons = orjson.loads(self._beside)
        return self._persons

    def entry(self, place: int) -> dict[str, Any]:
        """One event as it is shown; `name` and `address` are None where the person was erased."""
        at, who, deed, request = self.lines[place]
        (actor, kind, *_), person = self.callers[who], self.persons[who]
        action, outcome, environment, resource, detail = self.deeds[deed]
        return {
            "at": moment(at).isoformat(),
            "actor": actor,
            "kind": kind,
            "name": person["name"] if person else None,
            "address": person["address"] if person else None,
            "request": request,
            "action": action,
            "outcome": outcome,
            "environment": environment,
            "resource": resource,
            "detail": detail,
        }


def microseconds(at: datetime) -> int:
    """A moment as it stands in a body."""
    return (at - _EPOCH) // _MICROSECOND


def moment(stamp: int) -> datetime:
    """The moment of a stamp in a body."""
    return _EPOCH + stamp * _MICROSECOND


def chain_key(data_key: bytes) -> bytes:
    """The key of the chain, from the installation's first data key (HKDF, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"keywright event chain 1").derive(data_key)


def link(key: bytes, former: bytes, first: int, made: Batch) -> bytes:
    """The hash of a batch whose first event has sequence number `first`, after a batch with hash `former`."""
    message = former + first.to_bytes(8, "big") + made.count.to_bytes(4, "big") + made.body.encode()
    return hmac.digest(key, message, "sha256")


def intact(made: Batch) -> bool:
    """Does the body hold as many events as it should, and do the plain fields beside it still agree with the digests
    in it? Erased ones do."""
    try:
        body, persons = orjson.loads(made.body), orjson.loads(made.persons)
        callers = body["callers"]
        return (
            len(body["events"]) == made.count
            and len(callers) == len(persons)
            and all(
                person is None
                or [digest(person["salt"], person["name"]), digest(person["salt"], person["address"])] == digests
                for person, (_, _, *digests) in zip(persons, callers, strict=True)
            )
        )
    except (ValueError, KeyError, TypeError):
        return False


def _fitting(said: Detail) -> Detail:
    if isinstance(said, str):
        return fit(said)
    return said if said is None or -_LARGEST <= said < _LARGEST else str(said)


def _canonical(made: Any) -> str:
    # A sixth of the time that the standard library takes, for the same text.
    return orjson.dumps(made, option=orjson.OPT_SORT_KEYS).decode()
