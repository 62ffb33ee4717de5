"""Who is still on the former credential of a rotation, as `keywright rotation` tells it."""

from typing import Any

from keywright.commands import screen


def show(told: Any) -> None:
    """A rotation's `drain`, for people; nothing for one that does not drain."""
    if not isinstance(told, dict):
        return
    screen.say(
        f"draining since {told.get('since')}: the former credential works at least until {told.get('not_before')}, "
        f"and is waited for until {told.get('limit_at')}"
    )
    sessions, callers = told.get("sessions"), told.get("callers")
    if sessions is None or callers is None:
        screen.say("who is still on it is told to those who may edit the connection")
        return
    if told.get("seen_at"):
        _sessions(sessions, told["seen_at"])
    else:
        screen.say("nobody has looked yet who is connected")
    _callers(callers, bool(told.get("more")))
    for sentence in told.get("unknown") or ():
        screen.say(f"not known: {sentence}")
    if told.get("lag"):
        screen.say(f"the youngest {told['lag']} events of the log are not counted in yet")


def _sessions(sessions: list[dict[str, Any]], at: str) -> None:
    if not sessions:
        screen.say(f"no session was seen on it at {at}")
        return
    screen.say(f"sessions on it, as seen at {at}:")
    keys = ("username", "application", "address", "since")
    screen.table(
        ["USERNAME", "APPLICATION", "ADDRESS", "SINCE"],
        [[session.get(key) or "unknown" for key in keys] for session in sessions],
    )


def _callers(callers: list[dict[str, Any]], more: bool) -> None:
    if not callers:
        screen.say("no caller holds it: all of them fetched a newer one")
        return
    screen.say("callers who fetched no newer one yet:")
    rows = [[c.get("name"), c.get("generation"), c.get("at"), c.get("address") or "unknown"] for c in callers]
    screen.table(["CALLER", "GENERATION", "FETCHED", "ADDRESS"], rows)
    if more:
        screen.say("…and more")
