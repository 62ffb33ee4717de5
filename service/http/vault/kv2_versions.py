"""KV version 2: deleting, undeleting and destroying versions.

What is so already is passed over, but by whoever might change it only.
"""

import contextlib
from typing import Any

from service.core.access import Caller, Level
from service.core.errors import Conflict, Outdated
from service.core.variable import Version, VersionState
from service.http.vault import secret
from service.http.vault.answer import NOTHING, Answer
from service.http.vault.ask import Ask, aside
from service.http.vault.errors import Refused
from service.http.vault.mounts import Place
from service.keeper.keeper import Keeper

_MOST = 100
"""Versions in one request: each is a change of its own."""
_BECOMES = {"delete": VersionState.DELETED, "undelete": VersionState.KEPT, "destroy": VersionState.DESTROYED}


async def delete_current(ask: Ask, place: Place) -> Answer:
    """Delete the live version; it can be undeleted. Raises Absent, Forbidden."""
    caller = await ask.caller()
    await aside(_delete_live, ask.keeper, caller, place)
    return NOTHING


async def change(ask: Ask, place: Place, kind: str) -> None:
    """Delete, undelete or destroy these versions. Raises Absent, Forbidden, Refused."""
    numbers = _numbers((await ask.body()).get("versions"))
    await aside(_change, ask.keeper, await ask.caller(), place, _BECOMES[kind], numbers)


def _delete_live(keeper: Keeper, caller: Caller, place: Place) -> None:
    live = keeper.variables.get(caller, place.environment, place.name, Level.EDIT).variable.live
    if live is not None:
        keeper.variables.set_state(caller, place.environment, place.name, live, VersionState.DELETED)


def _change(keeper: Keeper, caller: Caller, place: Place, state: VersionState, numbers: list[int]) -> None:
    level = Level.OWN if state is VersionState.DESTROYED else Level.EDIT
    before = keeper.variables.get(caller, place.environment, place.name, level)
    meant = [version for version in before.versions if version.number in numbers and _changes(version, state)]
    after = before
    for version in meant:
        with contextlib.suppress(Conflict):  # somebody else was quicker
            after = keeper.variables.set_state(caller, place.environment, place.name, version.number, state)
    now = secret.current(before)
    # What was current and is undeleted is live again, as in Vault; if somebody made another one live, that stays.
    if state is VersionState.KEPT and now is not None and now in meant and after.variable.live is None:
        with contextlib.suppress(Conflict, Outdated):
            keeper.variables.activate(
                caller, place.environment, place.name, now.number, if_match=after.variable.revision
            )


def _changes(version: Version, state: VersionState) -> bool:
    match state:
        case VersionState.DELETED:
            return version.state not in secret.GONE
        case VersionState.KEPT:
            return version.state is VersionState.DELETED
    return version.state is not VersionState.DESTROYED


def _numbers(said: Any) -> list[int]:
    """Numbers, their texts, or texts with commas between, as clients send them."""
    listed = said.split(",") if isinstance(said, str) else said
    if not listed:
        raise Refused(400, "No version number provided")
    texts = [str(one).strip() for one in listed] if isinstance(listed, list) else [""]
    if not all(text.isascii() and text.isdecimal() and len(text) < 10 for text in texts):
        raise Refused(400, "versions must be a list of numbers")
    if len(texts) > _MOST:
        raise Refused(400, f"versions: {_MOST} at once are the most")
    return [int(text) for text in texts]
