"""Credentials: what a connection offers, as an application gets it.

{"connection", "engine", "endpoints": [{"host", "port", "part", "required"}], "database",
 "tls": {"mode", "ca"}, "options": {}, "generation", "rotates_at": RFC 3339 or null,
 "credentials": [{"state", "username", "password", "url", "valid_from", "good_until"}]}      best first
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from keywright.errors import Unexpected


@dataclass(frozen=True)
class Endpoint:
    """One address of the database. `part` is `primary` (takes changes) or `replica`."""

    host: str
    port: int
    part: str = "primary"


@dataclass(frozen=True)
class Tls:
    """How to protect the connection: `verify-full`, `verify-ca`, `require` or `disable`; `ca` is PEM text."""

    mode: str
    ca: str | None = None


@dataclass(frozen=True)
class Entry:
    """One username and password. `state`: `live`, `next` or `draining`; it works until `good_until` at least.

    `repr` shows neither the password nor the URL that holds it.
    """

    state: str
    username: str
    password: str = field(repr=False)
    url: str = field(repr=False)
    valid_from: datetime | None
    good_until: datetime | None


@dataclass(frozen=True)
class Credential:
    """What to connect with: try the entries in their order. `stale` when the server could not be asked just now."""

    connection: str
    engine: str
    endpoints: tuple[Endpoint, ...]
    database: str
    tls: Tls
    options: Mapping[str, Any]
    generation: int
    rotates_at: datetime | None
    entries: tuple[Entry, ...]
    stale: bool = False

    @property
    def best(self) -> Entry:
        """The entry to try first."""
        return self.entries[0]

    @property
    def primary(self) -> Endpoint:
        """The endpoint that takes changes; the first one when none says so."""
        return next((e for e in self.endpoints if e.part == "primary"), self.endpoints[0])

    def promised(self, moment: datetime) -> "Credential | None":
        """This credential, stale, with the entries that are promised to work at `moment`; None without any."""
        entries = tuple(e for e in self.entries if e.good_until is not None and moment < e.good_until)
        return replace(self, entries=entries, stale=True) if entries else None


def from_wire(body: object) -> Credential:
    """A credential from the server's answer. Raises Unexpected, quoting nothing, when it is not one."""
    try:
        return _credential(body)
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):  # their texts could quote a password
        raise Unexpected(
            "the server's credential has not the form that this client knows: update one of them"
        ) from None


def _credential(body: Any) -> Credential:
    entries = tuple(
        Entry(
            state=str(e["state"]),
            username=_text(e["username"]),
            password=_text(e["password"]),
            url=_text(e["url"]),
            valid_from=moment(e.get("valid_from")),
            good_until=moment(e.get("good_until")),
        )
        for e in body["credentials"]
    )
    endpoints = tuple(Endpoint(_text(e["host"]), int(e["port"]), str(e["part"])) for e in body["endpoints"])
    if not entries or not endpoints:
        raise ValueError("a credential needs an entry and an endpoint")
    tls = body.get("tls") or {}
    return Credential(
        connection=_text(body["connection"]),
        engine=_text(body["engine"]),
        endpoints=endpoints,
        database=_text(body["database"]),
        tls=Tls(str(tls.get("mode", "verify-full")), tls.get("ca")),
        options=dict(body.get("options") or {}),
        generation=int(body["generation"]),
        rotates_at=moment(body.get("rotates_at")),
        entries=entries,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not text")
    return value


def moment(text: str | None) -> datetime | None:
    """A moment of the wire (RFC 3339); without an offset it is UTC. Raises ValueError, TypeError."""
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
