"""What a fetch asks for and what it was answered, whoever asked."""

from collections.abc import Iterable, Iterator
from typing import Any

from keywright import names as naming
from keywright.answers import Reply
from keywright.credential import from_wire
from keywright.errors import Invalid, Unexpected
from keywright.keeping import Answer

Value = str | dict[str, Any]
"""A variable's value: text, or a JSON object."""

_QUERY = 3000  # characters of names in one URL; servers and proxies take 8,000 for the whole


def answer(address: str, reply: Reply, etag: str | None) -> Answer:
    """What was answered to a question for a credential with this ETag. Raises Unexpected, quoting nothing."""
    if reply.status == 304:
        if etag is None:
            raise Unexpected(f"{address} answered 304 to a question without If-None-Match: a cache between?")
        return Answer(None, reply.etag, reply.at)
    return Answer(from_wire(reply.body), reply.etag, reply.at)


def queries(names: Iterable[str] | None, folder: str | None) -> Iterable[dict[str, str]]:
    """The queries for either names or a folder. Raises Invalid for both and for neither."""
    if (names is None) == (folder is None) or isinstance(names, str):
        raise Invalid("give either a list of names or a folder", field="names")
    return [{"folder": folder_query(folder)}] if names is None else batches(names)


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
