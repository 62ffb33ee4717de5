"""KV version 2: reading the current version, or any by its number, and the keys of one."""

from dataclasses import dataclass, field
from typing import Any

from service.core.errors import Absent, Conflict
from service.core.variable import VersionState
from service.http.vault import secret
from service.http.vault.answer import Answer, told
from service.http.vault.ask import Ask, aside
from service.http.vault.errors import Refused
from service.http.vault.mounts import Place
from service.keeper.values import Fetched, Wanted


@dataclass(frozen=True)
class Found:
    """A version; its value is None if it was deleted or destroyed."""

    value: dict[str, Any] | None = field(repr=False)
    metadata: dict[str, Any]

    @property
    def status(self) -> int:
        """A version that was deleted is answered all the same, but with 404."""
        return 404 if self.value is None else 200


async def read(ask: Ask, place: Place) -> Answer:
    """A version with its value. Raises Absent, Conflict."""
    if number := _number(ask, "version"):
        found = await _numbered(ask, place, number)
    else:
        live = await live_or_gone(ask, place)
        if isinstance(live, Fetched):
            return Answer(secret.found(live))
        found = live
    return told({"data": found.value, "metadata": found.metadata}, status=found.status)


async def subkeys(ask: Ask, place: Place) -> Answer:
    """The keys of a version, without a value."""
    depth = _number(ask, "depth")
    if number := _number(ask, "version"):
        found = await _numbered(ask, place, number)
    else:
        live = await live_or_gone(ask, place)
        found = _of(live) if isinstance(live, Fetched) else live
    return told({"metadata": found.metadata, "subkeys": secret.keys_of(found.value, depth)}, status=found.status)


async def fetched(ask: Ask, place: Place) -> Fetched:
    """The live version. Raises Absent, Conflict where none is live or what it is composed of is not there."""
    asked = ask.keeper.values.asked(ask.who, place.environment, Wanted((place.name,)))
    found: Fetched = (await ask.fetch(asked))[0]
    return found


async def live_or_gone(ask: Ask, place: Place) -> Fetched | Found:
    """The live version, or what is left of the current one if it was deleted. Raises Absent, Conflict."""
    try:
        return await fetched(ask, place)
    except Conflict:
        definition = await aside(ask.keeper.variables.get, await ask.caller(), place.environment, place.name)
        if definition.variable.live is not None:
            raise  # what it is composed of is not there
    now = secret.current(definition)
    if now is None or now.state not in secret.GONE:
        raise Absent("no version of it is live")
    return Found(None, secret.metadata(now, definition.variable.notes))


async def _numbered(ask: Ask, place: Place, number: int) -> Found:
    got = await aside(ask.keeper.versions.get, await ask.caller(), place.environment, place.name, number)
    metadata = secret.metadata(got.version, got.variable.notes)
    if got.value is not None:
        return Found(secret.object_of(got.value), metadata)
    if got.version.state is VersionState.LIVE:  # what it stands for is not kept here
        live = await fetched(ask, place)
        if live.version != number:
            raise Conflict(f"version {number} of {place.name} is not the live one any more")
        return _of(live)
    return Found(None, metadata)


def _of(live: Fetched) -> Found:
    return Found(secret.read(live), secret.told_of(live))


def _number(ask: Ask, name: str) -> int:
    said = ask.query(name)
    if said and not (said.isascii() and said.isdecimal() and len(said) < 10):
        raise Refused(400, f"Field validation failed: {name} must be a number")
    return int(said or "0")
