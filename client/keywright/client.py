"""The library's face: a client that applications keep for as long as they run."""

import os
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from keywright import names as naming
from keywright.cache import Answer, Cache
from keywright.certificate import Certificate
from keywright.credential import Credential, from_wire
from keywright.discovery import discover
from keywright.door import Door
from keywright.errors import Invalid, Unexpected

Value = str | dict[str, Any]
"""A variable's value: text, or a JSON object."""

_QUERY = 3000  # characters of names in one URL; servers and proxies take 8,000 for the whole


class Client:
    """Fetches values and credentials of one environment. Safe to share between threads and across a fork.

    What is not given is discovered: see `keywright.discovery`. Every call may raise any of `keywright.errors`.
    """

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        environment: str | None = None,
        *,
        timeout: float = 10.0,
        ca: str | None = None,
        certificate: Certificate | None = None,
        max_age: float = 30.0,
    ) -> None:
        """`timeout` and `max_age` in seconds: the wait for an answer, and how long a credential is given again
        without asking. `ca` is a PEM file, trusted alone; `certificate` is shown to the server. Raises Unauthenticated
        or Invalid when something lacks.
        """
        found = discover(address, token, environment, ca, certificate=certificate)
        self.environment = found.named_environment()
        self.address = found.address
        self._door = Door(found.address, found.token, timeout=timeout, ca=found.ca, certificate=found.certificate)
        self._max_age = max_age
        self._cached = os.getpid(), Cache(self._ask, max_age)

    def __repr__(self) -> str:
        return f"Client({self.address!r}, environment={self.environment!r})"

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._door.close()

    def value(self, name: str) -> Value:
        """The resolved value of one variable, now."""
        body = self._door.get(f"/environments/{self.environment}/values/{naming.path(name)}").body
        return pair(body)[1]

    def values(self, names: Iterable[str] | None = None, *, folder: str | None = None) -> dict[str, Value]:
        """The resolved values of the variables named, or of all in a folder ("" for the whole environment)."""
        if (names is None) == (folder is None) or isinstance(names, str):
            raise Invalid("give either a list of names or a folder", field="names")
        queries = [{"folder": folder_query(folder)}] if names is None else batches(names)
        found: dict[str, Value] = {}
        for query in queries:
            found.update(pairs(self._door.get(f"/environments/{self.environment}/values", query).body))
        return found

    def credential(self, connection: str, *, fresh: bool = False) -> Credential:
        """What to log in to a connection with. Cheap enough to call before every login.

        `fresh` asks the server even so: for when the database has just refused the password.
        Without an answer the last one is given, with `stale` true, for as long as it is promised to work.
        """
        pid, cache = self._cached
        if pid != os.getpid():  # after a fork another thread of the parent may hold the cache's locks for ever
            cache = Cache(self._ask, self._max_age)
            self._cached = os.getpid(), cache
        return cache.get(naming.path(connection, "connection"), fresh=fresh)

    def _ask(self, name: str, etag: str | None) -> Answer:
        reply = self._door.get(f"/environments/{self.environment}/credentials/{name}", etag=etag)
        if reply.status == 304 and etag is None:
            raise Unexpected(f"{self.address} answered 304 to a question without If-None-Match: a cache between?")
        return Answer(None if reply.status == 304 else from_wire(reply.body), reply.etag, reply.at)


def folder_query(folder: str | None) -> str:
    """A folder for a query, without a trailing slash. Raises Invalid when it cannot be one."""
    stripped = (folder or "").removesuffix("/")
    return naming.path(stripped, "folder") if stripped else ""


def batches(names: Iterable[str]) -> Iterator[dict[str, str]]:
    """Queries that together name all of `names`, each short enough for a URL."""
    batch: list[str] = []
    for name in names:
        if sum(map(len, batch)) + len(batch) + len(naming.path(name)) > _QUERY:
            yield {"names": ",".join(batch)}
            batch = []
        batch.append(name)
    if batch:
        yield {"names": ",".join(batch)}


def pairs(body: object) -> list[tuple[str, Value]]:
    """Names and values from an answer with several. Raises Unexpected, quoting nothing, when it is not one."""
    if not isinstance(body, dict) or not isinstance(body.get("values"), list):
        raise Unexpected("the server's values have not the form that this client knows: update one of them")
    return [pair(entry) for entry in body["values"]]


def pair(entry: object) -> tuple[str, Value]:
    """A name and its value from the answer with one. Raises as `pairs`."""
    if isinstance(entry, dict):
        name, value = entry.get("name"), entry.get("value")
        if isinstance(name, str) and isinstance(value, str | dict):
            return name, value
    raise Unexpected("the server's value has not the form that this client knows: update one of them")
