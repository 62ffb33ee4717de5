"""keywright health: what a person should look at, and nothing else."""

from collections.abc import Iterator
from typing import Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.commands.endings import FAILING


def run(
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Tell which connections are not well, which rotations are stuck, and whether rotations are held.

    Overdue rotations are findings of their connections. Looks at every environment that you may see when none
    is named. Ends with 1 when something is failing: a connection, or a stuck rotation.
    """
    with options.place(address, environment) as place:
        unwell, stuck = [], []
        for name in _environments(place):
            unwell += list(_unwell(place, name))
            stuck += list(place.door.items(f"/environments/{name}/rotations", {"stage": "stuck"}))
        latest: dict[str, Any] | None = next(iter(place.door.items("/restorations", {"limit": "1"})), None)
    held = latest is not None and not latest.get("ended_at")
    counts = (latest or {}).get("counts") or {}
    # Of those that a finished restoration could not settle; what each of them says is among the connections.
    waiting = 0 if held else int(counts.get("stuck") or 0)
    failing = bool(stuck) or any(connection["state"] == "failing" for connection in unwell)
    if as_json:
        screen.dump(
            {"failing": failing, "held": held, "connections_held": waiting, "connections": unwell, "rotations": stuck}
        )
    else:
        _show(unwell, stuck, held, waiting)
    if failing:
        raise typer.Exit(FAILING)


def _environments(place: options.Place) -> list[str]:
    """The one that was named; else all that may be seen."""
    if place.found.environment is not None:
        return [place.found.named_environment()]
    return [names.segment(str(entry.get("name"))) for entry in place.door.items("/environments")]


def _unwell(place: options.Place, environment: str) -> Iterator[dict[str, Any]]:
    """Connections whose state is not `well`; one that this client does not know counts as failing."""
    for entry in place.door.items(f"/environments/{environment}/connections"):
        health = entry.get("health") or {}
        state = health.get("state")
        if state != "well":
            yield {
                "environment": environment,
                "connection": entry.get("name"),
                "state": state if state == "warned" else "failing",
                "findings": [str(finding) for finding in health.get("findings") or ()],
            }


def _show(unwell: list[dict[str, Any]], stuck: list[dict[str, Any]], held: bool, waiting: int) -> None:
    if held:
        screen.say("every rotation is held, while logins are probed: see `keywright restoration`")
    if waiting:
        screen.say(
            f"held until somebody has looked, with what they administer: {waiting} connections; "
            "see `keywright restoration --finding stuck`"
        )
    if unwell:
        screen.table(
            ["STATE", "ENVIRONMENT", "CONNECTION", "FINDING"],
            [
                [c["state"], c["environment"], c["connection"], finding]
                for c in sorted(unwell, key=lambda c: c["state"] != "failing")
                for finding in c["findings"] or [""]
            ],
        )
    if stuck:
        screen.say("stuck, until a person has looked; `keywright rotation ID` tells what can be done:")
        keys = ("id", "environment", "connection", "reason")
        screen.table([key.upper() for key in keys], [[entry.get(key) for key in keys] for entry in stuck])
    if not (unwell or stuck or held or waiting):
        screen.say("all is well")
