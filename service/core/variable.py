"""Variables, their immutable versions, and templates that compose them.

    version:  live ⇄ kept → deleted → destroyed        one version at most is live; the pointer is the
                      ↑________|                       variable's `live`; numbers are never used again
                       undelete

What is sealed for a version is JSON text: the string or object of a literal, the text of a reference
(`vault:…`) or of a template.

A template is text with placeholders: `${shop/db/HOST}` is a variable's value, `${connection:shop/db#url}`
a field of what a connection offers; `$${` stands for a plain `${`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.core import names
from service.core.errors import Invalid, TooLarge

Value = str | dict[str, object]
LONGEST_VALUE = 64 * 1024
"""Bytes of a literal or of what a store gives, at most."""
DEEPEST = 16
"""How many templates may lie within one another, at most."""
MOST_PARTS = 200
"""Placeholders of one template, at most: each may stand for a whole value, and all are filled at every fetch."""
CREDENTIAL_FIELDS = ("username", "password", "host", "port", "database", "url")


class ValueKind(StrEnum):
    """Where a version's value comes from."""

    LITERAL = "literal"
    REFERENCE = "reference"
    TEMPLATE = "template"


class VersionState(StrEnum):
    """What has become of a version."""

    LIVE = "live"
    KEPT = "kept"
    DELETED = "deleted"
    DESTROYED = "destroyed"


@dataclass(frozen=True)
class Variable:
    """A named value in an environment. `live` is the number of its live version, `newest` the last one given.

    It may stand before its first version does: `newest` is 0 then.
    """

    id: str
    environment_id: str
    name: str
    secret: bool
    live: int | None
    newest: int
    revision: int
    updated_at: datetime
    notes: str | None = None
    """What its editors noted of it, a JSON object of texts: no secret, and shown to everybody who may use it."""


@dataclass(frozen=True)
class Version:
    """One immutable value of a variable. `sealed` is gone once the version is destroyed."""

    variable_id: str
    number: int
    kind: ValueKind
    state: VersionState
    sealed: bytes | None
    created_at: datetime
    created_by: str
    deleted_at: datetime | None = None
    """When it was deleted, or destroyed without that."""


@dataclass(frozen=True)
class VariablePart:
    """A placeholder for a variable's value."""

    name: str


@dataclass(frozen=True)
class ConnectionPart:
    """A placeholder for one field of a connection's first credential."""

    connection: str
    field: str


Part = str | VariablePart | ConnectionPart

_PLACEHOLDER = re.compile(r"\$\$\{|\$\{([^{}]*)\}")


def parse_template(text: str, field: str = "template") -> tuple[Part, ...]:
    """The parts of a template. Raises Invalid naming `field`."""
    if text.count("${") > MOST_PARTS:
        raise Invalid(f"{field} has more than {MOST_PARTS} placeholders", field=field)
    return tuple(_parts(text, field))


def _parts(text: str, field: str) -> Iterator[Part]:
    position = 0
    for found in _PLACEHOLDER.finditer(text):
        yield _plain(text[position : found.start()], field)
        position = found.end()
        yield "${" if found[1] is None else _placeholder(found[1], field)
    yield _plain(text[position:], field)


def _plain(text: str, field: str) -> str:
    if "${" in text:
        raise Invalid(f"{field} has a '${{' that is never closed; write '$${{' for a plain one", field=field)
    return text


def _placeholder(inside: str, field: str) -> Part:
    if not inside.startswith("connection:"):
        return VariablePart(names.path(inside, field))
    connection, _, wanted = inside.removeprefix("connection:").partition("#")
    if wanted not in CREDENTIAL_FIELDS:
        raise Invalid(f"{field}: a connection offers {', '.join(CREDENTIAL_FIELDS)}, not '{wanted[:40]}'", field=field)
    return ConnectionPart(names.path(connection, field), wanted)


def variables_in(parts: tuple[Part, ...]) -> tuple[str, ...]:
    """The names of the variables that a template uses."""
    return tuple(part.name for part in parts if isinstance(part, VariablePart))


def refuse_cycle(name: str, uses: Callable[[str], tuple[str, ...]], field: str = "template") -> None:
    """Raises Invalid if following `uses` from `name` comes back to it, or goes deeper than DEEPEST."""
    trail: list[str] = []
    height: dict[str, int] = {}

    def walk(here: str) -> int:
        if here in trail:
            raise Invalid(f"{field} goes in a circle: {' → '.join([*trail[trail.index(here) :], here])}", field=field)
        if here not in height:
            trail.append(here)
            height[here] = 1 + max((walk(used) for used in dict.fromkeys(uses(here))), default=-1)
            trail.pop()
        if len(trail) + height[here] > DEEPEST:
            raise Invalid(f"{field}: more than {DEEPEST} templates lie within one another", field=field)
        return height[here]

    walk(name)


def fill(parts: tuple[Part, ...], value_of: Mapping[Part, str]) -> str:
    """The template's text, each placeholder replaced. Raises TooLarge, before it is put together."""
    texts = [part if isinstance(part, str) else value_of[part] for part in parts]
    if sum(map(len, texts)) <= LONGEST_VALUE:
        text = "".join(texts)
        if len(text.encode(errors="surrogatepass")) <= LONGEST_VALUE:
            return text
    raise TooLarge(f"the composed value is longer than {LONGEST_VALUE} bytes")
