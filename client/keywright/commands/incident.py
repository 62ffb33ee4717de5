"""keywright incident and its kin: turn every password in a folder now, watch, cancel, resume."""

import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from keywright import names
from keywright.client import folder_query
from keywright.commands import options, screen
from keywright.commands.endings import ROTATION_FAILED
from keywright.commands.rotation import FAILED, SUCCEEDED
from keywright.errors import Unavailable, Unexpected, Unreachable
from keywright.printable import printable

PACE = 1.0
"""Seconds between two looks at an incident."""
INTERRUPTED = 130
Shows = Callable[[dict[str, Any]], None]
"""Shows how far an incident is, as it was told now."""
IncidentId = Annotated[str, typer.Argument(metavar="ID", help="The incident.")]


def incident(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", help="At any depth; / for the whole environment.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")],
    emergency: Annotated[
        bool, typer.Option("--emergency", help="The former passwords die at once: promises are cut short.")
    ] = False,
    per_minute: Annotated[
        int, typer.Option("--per-minute", metavar="N", min=1, help="How many begin in a minute, at most.")
    ] = 60,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be turned, in which order.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    watch: Annotated[bool, typer.Option("--watch/--no-watch", help="Follow it until all are turned.")] = True,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Turn every password in a folder now, and watch.

    The server goes on by itself: watching can be left at any time.
    """
    with options.place(address, environment) as place:
        body = {"folder": folder_query(folder), "reason": reason, "emergency": emergency, "per_minute": per_minute}
        path = place.within("/incidents")
        if dry_run or not yes:
            plan = _plan(place.door.post(path, body | {"dry_run": True}).body)
            if dry_run:
                _tell(plan, as_json)
                return
            _confirm(plan, emergency)
        # The key makes it safe that a proxy sends this twice.
        told = _incident(place.door.post(path, body, key=uuid.uuid4().hex).body)
        if not as_json:
            screen.say(f"incident {told['id']}: {_turning(told)} connections")
        _follow_or_dump(place, told, watch, as_json)


def incidents(
    address: options.Address = None, environment: options.Environment = None, as_json: options.Json = False
) -> None:
    """List incidents, the youngest first."""
    with options.place(address, environment) as place:
        found = list(place.door.items(place.within("/incidents")))
        if as_json:
            screen.dump(found)
            return
        rows = [
            [told["id"], told.get("folder") or "/", told["state"], _line(told), told.get("created_at"), told["reason"]]
            for told in map(_incident, found)
        ]
        screen.table(["ID", "FOLDER", "STATE", "PROGRESS", "BEGUN", "REASON"], rows)


def watch(
    id_: IncidentId,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Follow an incident until all of its passwords are turned."""
    with options.place(address, environment) as place:
        told = _incident(place.door.get(f"/incidents/{names.identifier(id_)}").body)
        _follow_or_dump(place, told, True, as_json)


def cancel(
    id_: IncidentId,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Begin no further rotations of an incident; those under way go on."""
    _hand(id_, "cancel", address, environment, as_json)


def resume(
    id_: IncidentId,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Go on with a cancelled incident."""
    _hand(id_, "resume", address, environment, as_json)


def _hand(id_: str, hand: str, address: str | None, environment: str | None, as_json: bool) -> None:
    with options.place(address, environment) as place:
        told = _incident(place.door.post(f"/incidents/{names.identifier(id_)}/{hand}", {}).body)
        screen.dump(told) if as_json else screen.say(f"incident {told['id']} is {told['state']}: {_line(told)}")


def _tell(plan: dict[str, Any], as_json: bool) -> None:
    if as_json:
        screen.dump(plan)
        return
    for name in plan["connections"]:
        screen.say(str(name))
    for skipped in plan["skipped"]:
        screen.say(f"{skipped.get('connection')} is left out: {skipped.get('reason')}")
    screen.say(_summary(plan))


def _summary(plan: dict[str, Any]) -> str:
    left_out = f", {len(plan['skipped'])} left out" if plan["skipped"] else ""
    number = len(plan["connections"])
    if number == 1 and not plan["lasts"]:
        return f"1 connection{left_out}; it begins at once"
    return f"{number} connections{left_out}; the last one begins after {plan['lasts']:g} s"


def _confirm(plan: dict[str, Any], emergency: bool) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is nobody to ask here: give --yes, after a look with --dry-run")
    cost = "their former passwords die at once" if emergency else "their former passwords drain as promised"
    typer.confirm(printable(f"{_summary(plan)}; {cost}. Go on?"), abort=True, err=True)


def _follow_or_dump(place: options.Place, told: dict[str, Any], follow: bool, as_json: bool) -> None:
    if follow:
        try:
            with _display(as_json) as show:
                told = _follow(place, told, show)
        except KeyboardInterrupt:
            screen.complain(
                f"incident {told['id']} goes on without you: see `keywright incident-watch {told['id']}`; "
                f"`keywright incident-cancel {told['id']}` begins no more"
            )
            raise typer.Exit(INTERRUPTED) from None
    if as_json:
        screen.dump(told)
    if not follow:
        return
    if not as_json:
        _end(told)
    if told["state"] == "cancelled" or any(trouble.get("stage") in FAILED for trouble in told["troubles"]):
        raise typer.Exit(ROTATION_FAILED)


def _end(told: dict[str, Any]) -> None:
    draining = told["stages"].get("draining", 0)
    if draining:
        screen.say(f"{draining} former passwords still work until they have drained; nothing more is needed")
    if told["state"] == "cancelled":
        screen.complain(f"incident {told['id']} was cancelled, and {told['waiting']} connections were not begun")
    for trouble in told["troubles"]:
        screen.complain(
            f"{trouble.get('connection')} is {trouble.get('stage')}: {trouble.get('reason')} "
            f"(`keywright rotation {trouble.get('rotation')}`)"
        )


def _follow(place: options.Place, told: dict[str, Any], show: Shows) -> dict[str, Any]:
    """The incident when all are turned or failed, or it was cancelled. Bears a server that is away for a while."""
    path = f"/incidents/{names.identifier(str(told['id']))}"
    while True:
        show(told)
        if told["state"] != "running" or (not told["waiting"] and _done(told) == _turning(told)):
            return told
        time.sleep(PACE)
        try:
            told = _incident(place.door.get(path).body)
        except (Unreachable, Unavailable) as error:
            screen.complain(f"{error.message}; trying again")


@contextmanager
def _display(quiet: bool) -> Iterator[Shows]:
    """A bar for a terminal, lines where they are kept, nothing beside JSON."""
    if quiet:
        yield lambda _: None
    elif sys.stdout.isatty():
        columns = (BarColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=Console(highlight=False)) as bar:
            task = bar.add_task("")
            yield lambda told: bar.update(
                task, description=printable(_line(told)), completed=_done(told), total=_turning(told)
            )
    else:
        said: list[str] = []

        def say(told: dict[str, Any]) -> None:
            if said[-1:] != [_line(told)]:
                said.append(_line(told))
                screen.say(said[-1])

        yield say


def _turning(told: dict[str, Any]) -> int:
    return int(told["total"]) - len(told["skipped"])


def _done(told: dict[str, Any]) -> int:
    return sum(number for stage, number in told["stages"].items() if stage in SUCCEEDED | FAILED)


def _line(told: dict[str, Any]) -> str:
    stages = [f"{number} {stage}" for stage, number in told["stages"].items()]
    waiting = [f"{told['waiting']} waiting"] if told["waiting"] else []
    return f"{_done(told)} of {_turning(told)} done: " + ", ".join(waiting + stages)


def _plan(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or not all(isinstance(body.get(key), list) for key in ("connections", "skipped")):
        raise _unknown()
    return body


def _incident(body: Any) -> dict[str, Any]:
    texts, lists, numbers = ("id", "state", "reason"), ("skipped", "troubles"), ("total", "waiting")
    known = isinstance(body, dict) and isinstance(body.get("stages"), dict)
    known = known and all(isinstance(body.get(key), str) for key in texts)
    known = known and all(isinstance(body.get(key), list) for key in lists)
    if not known or not all(isinstance(body.get(key), int) for key in numbers):
        raise _unknown()
    return dict(body)


def _unknown() -> Unexpected:
    return Unexpected("the server's incident has not the form that this client knows: update one of them")
