"""keywright webhooks: signals sent to addresses, and what became of them."""

import uuid
from enum import StrEnum
from typing import Annotated, Any

import typer

from keywright import names
from keywright.client import folder_query
from keywright.commands import options, screen
from keywright.errors import Absent, Conflict, Unexpected

Name = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its name or id.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kind", metavar="KIND", help="Only these; `rotation` for all of those. May be repeated."),
]


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    DEAD = "dead"


def listed(ctx: typer.Context, address: options.Address = None, as_json: options.Json = False) -> None:
    """List the webhooks on what you own."""
    if ctx.invoked_subcommand is not None:
        return
    with options.place(address, None) as place:
        found = list(place.door.items("/webhooks"))
    if as_json:
        screen.dump(found)
        return
    rows = [
        [
            it.get("name"),
            it.get("id"),
            _where(it),
            ", ".join(map(str, it.get("kinds") or ("all",))),
            _state(it),
            it["url"],
        ]
        for it in map(_webhook, found)
    ]
    screen.table(["NAME", "ID", "LISTENS TO", "KINDS", "STATE", "URL"], rows)


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to send: https://…")],
    folder: Annotated[str | None, typer.Option("--folder", metavar="F", help="Only what lies in it.")] = None,
    kinds: Kinds = None,
    everything: Annotated[bool, typer.Option("--everything", help="Of the whole installation.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Have signals sent to an address; shows the secret that they are signed with, only now."""
    with options.place(address, environment) as place:
        body: dict[str, Any] = {"name": names.segment(name, "name"), "url": url, "kinds": kinds or []}
        if not everything:
            body |= {"environment": place.found.named_environment(), "folder": folder_query(folder)}
        made = _webhook(place.door.post("/webhooks", body, key=uuid.uuid4().hex).body)
    _show_secret(made, as_json)


def change(
    name: Name,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="Send there from now on.")] = None,
    kinds: Kinds = None,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Send what comes from now on, or nothing more.")
    ] = None,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Change where it goes or what it is; disable or enable it."""
    given = {"url": url, "kinds": kinds, "enabled": enable}
    body = {field: value for field, value in given.items() if value is not None}
    if not body:
        raise typer.BadParameter("nothing to change: give --url, --kind, --enable or --disable")
    with options.place(address, None) as place:
        told = _webhook(place.door.patch(_path(place, name), body).body)
    screen.dump(told) if as_json else screen.say(f"webhook {told['name']} is {_state(told)}")


def delete(name: Name, address: options.Address = None, as_json: options.Json = False) -> None:
    """Delete it with its deliveries."""
    with options.place(address, None) as place:
        place.door.delete(_path(place, name))
    screen.dump({"deleted": name}) if as_json else screen.say(f"webhook {name} is deleted")


def secret(name: Name, address: options.Address = None, as_json: options.Json = False) -> None:
    """Make another signing secret, shown only now; for a day the former one signs as well."""
    with options.place(address, None) as place:
        made = _webhook(place.door.post(f"{_path(place, name)}/secrets", {}).body)
    _show_secret(made, as_json)


def deliveries(
    name: Name,
    state: Annotated[State | None, typer.Option("--state", metavar="S", help="waiting, delivered or dead.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="How many, at most.")] = 50,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """List deliveries, the youngest first; `--state dead` are those that were given up."""
    with options.place(address, None) as place:
        found: list[dict[str, Any]] = []
        query = {"limit": str(min(limit, 500))} | ({"state": state.value} if state else {})
        for it in place.door.items(f"{_path(place, name)}/deliveries", query):
            found.append(it)
            if len(found) == limit:
                break
    if as_json:
        screen.dump(found)
        return
    keys = ("id", "signal", "kind", "state", "attempts", "outcome", "status", "created_at", "next_at")
    columns = ["ID", "SIGNAL", "KIND", "STATE", "ATTEMPTS", "OUTCOME", "STATUS", "MADE", "NEXT"]
    screen.table(columns, [[it.get(key) for key in keys] for it in found])


def replay(
    name: Name,
    delivery: Annotated[str | None, typer.Option("--delivery", metavar="ID", help="This one.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="All from 2026-11-22T12:00:00Z on.")
    ] = None,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Send again: one delivery, or everything from a time on."""
    if (delivery is None) == (since is None):
        raise typer.BadParameter("either --delivery or --since is needed")
    body = {"delivery": delivery} if delivery else {"since": since}
    with options.place(address, None) as place:
        told = place.door.post(f"{_path(place, name)}/replays", body).body
    if not isinstance(told, dict) or not isinstance(told.get("queued"), int):
        raise _unknown()
    if as_json:
        screen.dump(told)
        return
    more = "" if told.get("complete") else f"; there is more: go on with --since {told.get('until')}"
    screen.say(f"{told['queued']} deliveries are sent again{more}")


def try_(name: Name, address: options.Address = None, as_json: options.Json = False) -> None:
    """Send something that says it is a test; see under `deliveries` what became of it."""
    with options.place(address, None) as place:
        told = place.door.post(f"{_path(place, name)}/tests", {}).body
    if not isinstance(told, dict) or not isinstance(told.get("id"), str):
        raise _unknown()
    screen.dump(told) if as_json else screen.say(f"delivery {told['id']} is on its way")


def _path(place: options.Place, name: str) -> str:
    """Of a webhook by its name, which is looked up, or its id."""
    names.segment(name, "webhook")
    every = list(place.door.items("/webhooks"))
    found = [it for it in every if it.get("id") == name] or [it for it in every if it.get("name") == name]
    if not found:
        raise Absent(f"webhook {name} does not exist", status=404)
    if len(found) > 1:
        raise Conflict(f"{len(found)} webhooks are named {name}, in different environments: name one by its id")
    return f"/webhooks/{names.identifier(str(found[0].get('id')))}"


def _show_secret(made: dict[str, Any], as_json: bool) -> None:
    if not isinstance(made.get("secret"), str):
        raise _unknown()
    if as_json:
        screen.dump(made)
        return
    screen.say(f"webhook {made['name']} ({made['id']}); its signing secret, shown only now:")
    screen.say(made["secret"])


def _where(it: dict[str, Any]) -> str:
    return f"{it['environment']}:{it.get('folder') or '/'}" if it.get("environment") else "everything"


def _state(it: dict[str, Any]) -> str:
    return "enabled" if it.get("enabled") else f"disabled: {it.get('disabled_because')}"


def _webhook(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or not all(isinstance(body.get(key), str) for key in ("id", "name", "url")):
        raise _unknown()
    return body


def _unknown() -> Unexpected:
    return Unexpected("the server's webhook has not the form that this client knows: update one of them")
