"""keywright stream: what is changed, as it is changed."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from keywright.commands import options, screen
from keywright.errors import Unavailable, Unexpected, Unreachable

PACE = 2.0
"""Seconds before a stream that broke off is resumed."""
SILENT = 50.0
"""Seconds without a sign of life, of which the server gives one every 15."""
LONGEST = 64 * 1024
"""Characters of one signal, at most."""


def run(
    kinds: Annotated[
        list[str] | None,
        typer.Option("--kind", metavar="KIND", help="Only these; `rotation` for all of those. May be repeated."),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="ID", help="Begin behind this signal; 0 for the oldest kept.")
    ] = None,
    count: Annotated[int, typer.Option("--count", metavar="N", min=0, help="End after so many; 0: never.")] = 0,
    address: options.Address = None,
    environment: Annotated[
        str | None, typer.Option("--env", "-e", "--environment", metavar="NAME", help="Only in this one; else in all.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show what is changed, as it is changed. A stream that breaks off is resumed without a gap."""
    query = {"environment": environment or "", "kind": ",".join(kinds or ())}
    shown = 0
    with options.place(address, environment) as place:
        for signal in _signals(place, {name: text for name, text in query.items() if text}, since):
            screen.line(signal) if as_json else screen.say(_line(signal))
            shown += 1
            if shown == count:
                return


def _signals(place: options.Place, query: dict[str, str], last: str | None) -> Iterator[dict[str, Any]]:
    """Without an end. Bears a server that is away for a while."""
    while True:
        try:
            event: dict[str, str] = {}
            for line in place.door.lines("/stream", query, last, SILENT):
                name, _, text = line.partition(":")
                if len(line) > LONGEST:
                    raise _unknown()
                if line:
                    event[name] = text.removeprefix(" ")
                    continue
                last = event.get("id", last)
                if "data" in event:
                    yield _signal(event["data"])
                event = {}
        except (Unreachable, Unavailable) as error:
            screen.complain(f"{error.message}; trying again")
        time.sleep(PACE)


def _line(signal: dict[str, Any]) -> str:
    if signal["kind"] == "reset":
        return f"{signal['id']} reset: what was changed before is not known any more; look at everything anew"
    where = f"{signal['environment']}:{signal.get('resource') or '/'}" if signal.get("environment") else ""
    rest = {k: v for k, v in signal.items() if k not in ("id", "at", "kind", "environment", "resource")}
    told = [f"{name}={text}" for name, text in rest.items()]
    return " ".join(str(part) for part in (signal["id"], signal.get("at"), signal["kind"], where, *told) if part)


def _signal(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        raise _unknown() from None
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in ("id", "kind")):
        raise _unknown()
    return found


def _unknown() -> Unexpected:
    return Unexpected("the server's signal has not the form that this client knows: update one of them")
