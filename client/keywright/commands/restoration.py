"""keywright restoration: what was found after the ledger came back from a copy, or failed over."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from keywright.commands import options, screen


class Finding(StrEnum):
    """What probing a connection showed."""

    PENDING = "pending"
    FINE = "fine"
    ADOPTED = "adopted"
    STUCK = "stuck"
    SETTLED = "settled"


def run(
    finding: Annotated[
        Finding | None, typer.Option("--finding", metavar="F", help="Only these; `stuck`: a person must look.")
    ] = None,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Tell what the latest restoration found of each connection, in every environment that you may see."""
    with options.place(address, environment) as place:
        latest: dict[str, Any] | None = next(iter(place.door.items("/restorations", {"limit": "1"})), None)
        query = {"finding": finding.value} if finding else {}
        found = list(place.door.items(f"/restorations/{latest['id']}/findings", query)) if latest else []
        if as_json:
            screen.dump({"restoration": latest, "findings": found})
            return
        if latest is None:
            screen.say("there was no restoration")
            return
        state = f"ended at {latest.get('ended_at')}" if latest.get("ended_at") else "under way: rotations are held"
        counts = latest.get("counts") or {}
        told = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
        screen.say(f"restoration {latest['id']} began at {latest.get('began_at')}, {state}")
        screen.say(told or "no connections")
        if latest.get("reason"):
            screen.say(f"reason: {latest['reason']}")
        keys = ("environment", "connection", "finding", "sentence")
        screen.table([key.upper() for key in keys], [[entry.get(key) for key in keys] for entry in found])
