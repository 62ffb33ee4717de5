"""KV version 2: a new version, put or patched, if nobody else put one meanwhile."""

from typing import Any

from service.core.access import Caller
from service.core.errors import Absent, Conflict, Outdated
from service.core.variable import ValueKind
from service.http.problems import WrongType
from service.http.vault import secret
from service.http.vault.answer import Answer, told
from service.http.vault.ask import Ask, aside
from service.http.vault.errors import MISMATCH, Refused
from service.http.vault.kv2_read import fetched
from service.http.vault.mounts import Place
from service.keeper.keeper import Keeper
from service.keeper.variables import Definition, NewValue

PATCH = "application/merge-patch+json"
_TRIES = 5
"""Of what somebody else was quicker at, where that may still be what the client means."""


async def write(ask: Ask, place: Place) -> Answer:
    """A new version, which is live. Raises Absent, Forbidden, Refused, Conflict for a template or a reference."""
    body = await ask.body()
    data, cas = _data(body), _cas(body)
    return told(await aside(_written, ask.keeper, await ask.caller(), place, data, cas))


async def patch(ask: Ask, place: Place) -> Answer:
    """A new version: the live one with these changes (RFC 7396). Raises Absent, Forbidden, Refused, Conflict."""
    must_merge(ask)
    body = await ask.body()
    data, cas, caller = _data(body), _cas(body), await ask.caller()
    for _ in range(_TRIES):
        definition = await aside(ask.keeper.variables.get, caller, place.environment, place.name)
        now = secret.current(definition)
        if cas is not None and cas != (now.number if now else 0):
            raise Refused(400, MISMATCH)
        if now is None or definition.variable.live is None:
            if now is not None and now.state in secret.GONE:
                return told(secret.metadata(now, definition.variable.notes), status=404)
            raise Absent("no version of it is live")
        if now.kind is not ValueKind.LITERAL:
            raise Conflict(f"variable {place.name} is a {now.kind.value}: put the whole value, or change it there")
        live = await fetched(ask, place)
        if live.version != now.number:
            continue
        value = secret.merged(secret.read(live), data)
        try:
            return told(await aside(_put, ask.keeper, caller, place, value, definition.variable.revision))
        except Outdated:
            continue
    raise Outdated(f"variable {place.name} is changed too often to be patched")


def must_merge(ask: Ask) -> None:
    """Raises WrongType for a patch of another kind."""
    kind = ask.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != PATCH:
        raise WrongType(f"PATCH requires Content-Type of {PATCH}")


def _written(keeper: Keeper, caller: Caller, place: Place, data: dict[str, Any], cas: int | None) -> dict[str, Any]:
    if cas is None:
        return _put(keeper, caller, place, data, None)
    for _ in range(_TRIES):
        number, revision = _standing(keeper, caller, place)
        if number != cas:
            break
        try:
            return _put(keeper, caller, place, data, revision)
        except Outdated:
            continue  # perhaps by a note: the version that is meant may stand
    raise Refused(400, MISMATCH)


def _standing(keeper: Keeper, caller: Caller, place: Place) -> tuple[int, int]:
    """Number of the current version and revision of the variable; zeros where there is none."""
    try:
        definition = keeper.variables.get(caller, place.environment, place.name)
    except Absent:
        return 0, 0
    now = secret.current(definition)
    return now.number if now else 0, definition.variable.revision


def _put(keeper: Keeper, caller: Caller, place: Place, data: Any, revision: int | None) -> dict[str, Any]:
    value = NewValue(ValueKind.LITERAL, secret.value_of(data))
    definition, _ = keeper.variables.put(
        caller, place.environment, place.name, value, secret=None, activate=True, if_match=revision, same_kind=True
    )
    return _told(definition)


def _told(definition: Definition) -> dict[str, Any]:
    newest = definition.versions[0]
    return secret.metadata(newest, definition.variable.notes)


def _data(body: dict[str, Any]) -> dict[str, Any]:
    data = body.get("data")
    if data is None:
        raise Refused(400, "no data provided")
    if not isinstance(data, dict):
        raise Refused(400, 'the field "data" must be an object')
    return data


def _cas(body: dict[str, Any]) -> int | None:
    options = body.get("options") or {}
    cas = options.get("cas") if isinstance(options, dict) else options
    if cas is None:
        return None
    if isinstance(cas, str) and cas.isascii() and cas.isdecimal() and len(cas) < 10:
        return int(cas)
    if isinstance(cas, int) and not isinstance(cas, bool):
        return cas
    raise Refused(400, 'the option "cas" must be a number')
