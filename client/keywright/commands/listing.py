"""keywright list: what there is."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from keywright.client import folder_query
from keywright.commands import options, screen


class What(StrEnum):
    """What can be listed."""

    VARIABLES = "variables"
    CONNECTIONS = "connections"
    ROTATIONS = "rotations"
    ENVIRONMENTS = "environments"


def run(
    what: Annotated[What, typer.Argument(help="What to list.")] = What.VARIABLES,
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="F", help="Only variables or connections in this folder.")
    ] = None,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """List variables (never their values), connections, rotations or environments."""
    if folder is not None and what not in (What.VARIABLES, What.CONNECTIONS):
        raise typer.BadParameter(f"--folder does not go with {what}")
    inside = folder_query(folder)
    with options.place(address, environment) as place:
        path = f"/{what}" if what is What.ENVIRONMENTS else place.within(f"/{what}")
        query = {"folder": inside} if what is What.VARIABLES and inside else {}
        entries = list(place.door.items(path, query))
        if what is What.CONNECTIONS and inside:
            entries = [entry for entry in entries if str(entry.get("name")).startswith(inside + "/")]
        show(what, entries, as_json)


def show(what: What, entries: list[dict[str, Any]], as_json: bool) -> None:
    """A list on standard output: a table, or JSON."""
    if as_json:
        screen.dump(entries)
        return
    match what:
        case What.VARIABLES:
            columns = ["NAME", "KIND", "SECRET", "LIVE", "UPDATED"]
            rows = [
                [e.get("name"), e.get("kind"), _yes(e.get("secret")), e.get("live"), e.get("updated_at")]
                for e in entries
            ]
        case What.CONNECTIONS:
            columns = ["NAME", "ENGINE", "ENDPOINTS", "GENERATION", "NEXT DUE", "ID", "HEALTH"]
            rows = [_connection(e) for e in entries]
        case What.ROTATIONS:
            columns = ["ID", "CONNECTION", "STAGE", "STRATEGY", "UPDATED", "REASON", "CHOICES"]
            keys = ("id", "connection", "stage", "strategy", "updated_at", "reason")
            rows = [[*(e.get(key) for key in keys), _choices(e)] for e in entries]
        case What.ENVIRONMENTS:
            columns = ["NAME", "CREATED"]
            rows = [[e.get("name"), e.get("created_at")] for e in entries]
    screen.table(columns, rows)


def _yes(flag: object) -> str:
    return "yes" if flag else "no"


def _choices(entry: dict[str, Any]) -> str:
    """What can be done with a rotation, where somebody must do something."""
    hands = [str(choice.get("hand")) for choice in entry.get("choices") or ()]
    return ", ".join(hands) if entry.get("stage") == "stuck" else ""


def _connection(entry: dict[str, Any]) -> list[object]:
    endpoints = ", ".join(f"{e.get('host')}:{e.get('port')}" for e in entry.get("endpoints") or ())
    health = entry.get("health") or {}
    # Findings are sentences; only those of a connection that is not well are worth the room.
    state = str(health.get("state") or "")
    told = "; ".join(str(finding) for finding in health.get("findings") or ()) if state != "well" else ""
    return [
        entry.get("name"),
        entry.get("engine"),
        endpoints,
        entry.get("generation"),
        entry.get("next_due_at"),
        entry.get("id"),
        f"{state}: {told}" if told else state,
    ]
