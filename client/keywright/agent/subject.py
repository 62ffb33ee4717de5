"""What is followed: one value, a folder of values, or one credential; and the last that was heard of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from keywright import names
from keywright.client import Value, batches, folder_query, pair, pairs
from keywright.credential import Credential, from_wire
from keywright.door import Reply
from keywright.errors import Unexpected

RENEWED = 30.0
"""Seconds, at least, between two whole answers that are asked for only to have a promise renewed."""


class Kind(StrEnum):
    """What a subject is."""

    VALUE = "value"
    VALUES = "values"
    FOLDER = "folder"
    CREDENTIAL = "credential"


@dataclass(frozen=True, order=True)
class Subject:
    """A kind and a name, checked. The folder "" is the whole environment; several values have a comma between."""

    kind: Kind
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name or '(all)'}"

    def question(self, environment: str) -> tuple[str, dict[str, str]]:
        """Path and query of its fetch."""
        place = f"/environments/{environment}"
        if self.kind is Kind.FOLDER:
            return f"{place}/values", {"folder": self.name}
        if self.kind is Kind.VALUES:
            return f"{place}/values", {"names": self.name}
        return f"{place}/{'values' if self.kind is Kind.VALUE else 'credentials'}/{self.name}", {}


def value(name: str) -> Subject:
    """Raises Invalid when it is not a name."""
    return Subject(Kind.VALUE, names.path(name))


def values(names: Iterable[str]) -> list[Subject]:
    """All of these, in as few as possible. Raises Invalid when one is not a name."""
    return [Subject(Kind.VALUES, query["names"]) for query in batches(names)]


def folder(name: str) -> Subject:
    """Raises Invalid when it is not a name."""
    return Subject(Kind.FOLDER, folder_query(name))


def credential(name: str) -> Subject:
    """Raises Invalid when it is not a name."""
    return Subject(Kind.CREDENTIAL, names.path(name, "connection"))


@dataclass(frozen=True)
class Known:
    """The last answer about a subject. `body` is as it came, and of the form that its subject has.

    `told` is our clock when it came whole, `heard` when it was last confirmed, in seconds since 1970; `skew` is the
    server's clock less ours. `sealed`: it was read from the disk, and nobody confirmed it since.
    """

    subject: Subject
    body: Any = field(repr=False)
    etag: str | None
    told: float
    heard: float
    skew: float = 0.0
    sealed: bool = False

    def __post_init__(self) -> None:
        {Kind.VALUE: pair, Kind.CREDENTIAL: from_wire}.get(self.subject.kind, pairs)(self.body)

    def value(self) -> Value:
        """Of a value."""
        return pair(self.body)[1]

    def values(self) -> list[tuple[str, Value]]:
        """Of several, or of a folder."""
        return pairs(self.body)

    def credential(self) -> Credential:
        """Of a credential."""
        return from_wire(self.body)

    def age(self, now: float) -> float:
        """Seconds since the server last said that it is so."""
        return max(0.0, now - self.heard)

    def good_until(self) -> float | None:
        """By our clock; None for what is promised nothing, as a value."""
        if self.subject.kind is not Kind.CREDENTIAL:
            return None
        until = self.credential().best.good_until
        return None if until is None else until.timestamp() - self.skew

    def promised(self) -> float | None:
        """For how many seconds, when it was told whole."""
        until = self.good_until()
        return None if until is None else max(0.0, until - self.told)

    def past(self, now: float) -> bool:
        """Is the promise over, as far as we were told?"""
        until = self.good_until()
        return until is not None and now >= until

    def renewal(self) -> float | None:
        """When it is to be asked for in whole again: a 304 would not renew `good_until`."""
        until = self.good_until()
        return None if until is None else self.told + max(RENEWED, (until - self.told) / 2)

    def differs(self, other: "Known | None") -> bool:
        """Is there more to it than another moment, age or promise?"""
        return other is None or _essence(self.body) != _essence(other.body)


def known(subject: Subject, reply: Reply, former: Known | None, now: float) -> Known:
    """What is known after an answer. Raises Unexpected when it has not the form that it should have."""
    skew = reply.at - now
    if reply.status != 304:
        return Known(subject, reply.body, reply.etag, told=now, heard=now, skew=skew)
    if former is None:
        raise Unexpected("the server answered 304 to a question without If-None-Match: a cache between?")
    return replace(former, etag=reply.etag or former.etag, heard=now, skew=skew, sealed=False)


def moment(at: float) -> str:
    """As logs and status tell it."""
    try:
        return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError):  # of a server whose clock is centuries off
        return f"{at:.0f} seconds after 1970"


_PASSING = frozenset({"age", "stale", "good_until", "valid_from", "rotates_at"})


def _essence(body: Any) -> Any:
    if isinstance(body, Mapping):
        return {key: entry if key == "value" else _essence(entry) for key, entry in body.items() if key not in _PASSING}
    return [_essence(entry) for entry in body] if isinstance(body, list) else body
