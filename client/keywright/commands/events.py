"""keywright events: the audit log, asked, followed and verified."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from keywright.commands import options, screen
from keywright.commands.endings import FAILING
from keywright.errors import Unavailable, Unexpected, Unreachable

PACE = 2.0
"""Seconds between two looks at the end of the log."""
PIECE = 5
"""Seconds of work in one answer of a verification: shorter than anybody between lets a request wait."""
MOST = 5_000
"""Events that one look shows, at most: nobody reads more in two seconds."""
_PAGE = 500
_GLANCE = 50
_LOOKS = "event.list"


class Outcome(StrEnum):
    """How what was done ended."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


def listed(
    ctx: typer.Context,
    actor: Annotated[str, typer.Option("--actor", metavar="A", help="Only by this caller: its id or name.")] = "",
    action: Annotated[str, typer.Option("--action", metavar="A", help="Only this, as in rotation.published.")] = "",
    resource: Annotated[str, typer.Option("--resource", metavar="R", help="Only what touched this.")] = "",
    outcome: Annotated[Outcome | None, typer.Option("--outcome", metavar="O", help="Only what ended so.")] = None,
    since: Annotated[str, typer.Option("--since", metavar="TIME", help="As 2026-11-22T12:00:00Z.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Before this.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="How many, at most.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on: show what is recorded from now on.")] = False,
    address: options.Address = None,
    environment: Annotated[
        str | None, typer.Option("--env", "-e", "--environment", metavar="NAME", help="Only in this one; else in all.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the latest events, the youngest first; or follow them, the oldest first.

    Followed, your own looks at the log are left out.
    """
    if ctx.invoked_subcommand is not None:
        return
    if follow and until:
        raise typer.BadParameter("--until does not go with --follow")
    asked = {
        "actor": actor,
        "action": action,
        "resource": resource,
        "environment": environment or "",
        "outcome": outcome.value if outcome else "",
        "since": since,
        "until": until,
    }
    query = {name: text for name, text in asked.items() if text}
    with options.place(address, environment) as place:
        found = _youngest(place, query, limit)
        if follow:
            _follow(place, query, found, as_json)
        elif as_json:
            screen.dump(found)
        else:
            columns = ["ID", "AT", "OUTCOME", "WHO", "ADDRESS", "ACTION", "WHERE", "DETAIL"]
            screen.table(columns, [_row(event) for event in found])


def verify(
    index: Annotated[bool, typer.Option("--index", help="Hold the log's query index against it, too.")] = False,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Follow the chain of events: finds what was changed, removed or reordered. Ends with 1 when it finds something.

    A tail that was cut is found against a checkpoint only: `keywrightd events verify --checkpoint`.
    """
    with options.place(address, None) as place, _progress(as_json) as tell:
        query, differs = {"seconds": str(PIECE)} | ({"index": "true"} if index else {}), ""
        while True:
            proof = _proof(place.door.get("/events/verify", query).body)
            differs = differs or str(proof.get("index") or "")
            tell(proof["events"] + proof["pruned"], proof["last"])
            if not proof.get("next"):
                break
            query["cursor"] = str(proof["next"])
    if index:
        proof["index"] = differs or proof.get("index")
    if as_json:
        screen.dump(proof)
    else:
        screen.say(f"{proof['finding']}: {proof['events']} events, end {proof['end']}")
        if proof["whole"] and proof.get("index") is not None:
            screen.say(differs or "the query index has what the log has")
    if differs or not proof["whole"]:
        raise typer.Exit(FAILING)


def checkpoint(
    address: options.Address = None,
    as_json: options.Json = False,  # noqa: ARG001 - it is JSON anyway; read by `shape.Command`, for errors
) -> None:
    """Tell where the chain has come to, signed, as JSON: keep it where the server's owner cannot write."""
    with options.place(address, None) as place:
        screen.dump(place.door.get("/events/checkpoint").body)


def _youngest(place: options.Place, query: dict[str, str], limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in place.door.items("/events", query | {"limit": str(min(limit, _PAGE))}):
        found.append(_event(event))
        if len(found) == limit:
            break
    return found


def _follow(place: options.Place, query: dict[str, str], found: list[dict[str, Any]], as_json: bool) -> None:
    """Until somebody interrupts it. Bears a server that is away for a while."""
    own = None if query.get("action") == _LOOKS else str(place.door.get("/me").body.get("id"))
    reached = 0
    while True:
        for event in reversed(found):
            if own is None or (event["action"], event["actor"]) != (_LOOKS, own):
                screen.line(event) if as_json else screen.say(_line(event))
        reached = max([reached, *(int(event["id"]) for event in found)])
        time.sleep(PACE)
        try:
            found = _behind(place, query, reached)
        except (Unreachable, Unavailable) as error:
            screen.complain(f"{error.message}; trying again")
            found = []


def _behind(place: options.Place, query: dict[str, str], reached: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in place.door.items("/events", query | {"limit": str(_GLANCE)}):
        if int(_event(event)["id"]) <= reached:
            break
        if len(found) == MOST:
            screen.complain(f"more than {MOST} events in {PACE:g} seconds: the older ones of them are left out")
            break
        found.append(event)
    return found


def _row(event: dict[str, Any]) -> list[object]:
    detail = event.get("detail") or {}
    told = " ".join(f"{name}={text}" for name, text in detail.items()) if isinstance(detail, dict) else ""
    who = event.get("name") or event["actor"]
    where = f"{event['environment']}:{event['resource']}" if event.get("environment") else event.get("resource")
    keys = ("id", "at", "outcome")
    return [*(event[key] for key in keys), who, event.get("address"), event["action"], where, told]


def _line(event: dict[str, Any]) -> str:
    return " ".join(str(cell) for cell in _row(event) if cell not in (None, ""))


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _, __: None
        return
    columns = (TextColumn("verifying", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda reached, end: bar.update(task, completed=reached, total=end)


def _event(body: dict[str, Any]) -> dict[str, Any]:
    texts = ("id", "at", "actor", "action", "outcome")
    if not all(isinstance(body.get(key), str) for key in texts) or not body["id"].isdecimal():
        raise Unexpected("the server's event has not the form that this client knows: update one of them")
    return body


def _proof(body: Any) -> dict[str, Any]:
    known = isinstance(body, dict) and isinstance(body.get("whole"), bool)
    if not known or not all(isinstance(body.get(key), int) for key in ("events", "pruned", "last")):
        raise Unexpected("the server's proof has not the form that this client knows: update one of them")
    return dict(body)
