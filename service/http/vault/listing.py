"""Listing: what lies directly in a folder, in an environment, or behind a mount."""

from service.core.access import Caller
from service.core.errors import Absent, TooLarge
from service.http.vault.answer import Answer, told
from service.http.vault.ask import Ask, aside
from service.http.vault.mounts import Place
from service.keeper.keeper import Keeper

MOST = 10_000
"""Keys in one answer."""
_PAGE = 500
_LAST = "\x7f"
"""Behind everything that a name may hold."""


async def listed(ask: Ask, place: Place, *, connections: bool = False) -> Answer:
    """The keys, folders with a `/` at their end; nothing there is absent. Raises Absent, Invalid, TooLarge."""
    caller = await ask.caller()
    if place.environment:
        keys = await aside(_inside, ask.keeper, caller, place, connections)
    else:
        keys = await aside(_environments, ask.keeper, caller)
    if not keys:
        raise Absent("nothing is there")
    return told({"keys": keys})


def _environments(keeper: Keeper, caller: Caller) -> list[str]:
    keys: list[str] = []
    while page := keeper.environments.listed(caller, keys[-1] if keys else "", _PAGE):
        keys += [it.name for it in page]
        _bounded(keys)
    return [f"{name}/" for name in keys]


def _inside(keeper: Keeper, caller: Caller, place: Place, connections: bool) -> list[str]:
    keys: list[str] = []
    begin = f"{place.name}/" if place.name else ""
    after = ""
    while page := _names(keeper, caller, place, after, connections):
        for name in page:
            if name <= after:
                continue  # of a folder that is listed already
            first, folder, _ = name.removeprefix(begin).partition("/")
            keys.append(first + folder)
            # What else is in the folder is passed over.
            after = f"{begin}{first}/{_LAST}" if folder else name
        _bounded(keys)
        if len(page) < _PAGE:
            break
    return keys


def _names(keeper: Keeper, caller: Caller, place: Place, after: str, connections: bool) -> list[str]:
    if connections:
        shown = keeper.connections.listed(caller, place.environment, place.name, after, _PAGE)
        return [it.stored.name for it in shown]
    found = keeper.variables.listed(caller, place.environment, place.name, after, _PAGE)
    return [variable.name for variable, _ in found]


def _bounded(keys: list[str]) -> None:
    if len(keys) > MOST:
        raise TooLarge(f"more than {MOST} keys: list its folders one by one")
