"""keywright grant, keywright access, keywright settings: who may do what, and why."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.commands.people import told
from keywright.errors import Invalid


class Level(StrEnum):
    """Each holds the ones before it."""

    USE = "use"
    EDIT = "edit"
    OWN = "own"


class On(StrEnum):
    """What a grant can be on."""

    EVERYTHING = "everything"
    ENVIRONMENT = "environment"
    FOLDER = "folder"
    CONNECTION = "connection"
    POLICY = "policy"
    MACHINE = "machine"
    PEOPLE = "people"
    SETTINGS = "settings"


_HOLDERS = ("user", "group", "machine", "token")
_WALLED = (On.ENVIRONMENT, On.FOLDER, On.CONNECTION, On.POLICY)


def listed(address: options.Address = None, as_json: options.Json = False) -> None:
    """List the grants on what you own, and who holds them."""
    with options.place(address, None) as place:
        found = list(place.door.items("/grants"))
    if as_json:
        screen.dump(found)
        return
    screen.table(["HOLDER", "GRANT", "ID"], ([_holder(it), told(it), it.get("id")] for it in found))


def add(
    level: Annotated[Level, typer.Argument(help="What it lets do.")],
    on: Annotated[On, typer.Argument(help="What it is on; within --env, where that has environments.")],
    path: Annotated[str | None, typer.Argument(metavar="[PATH]", help="Folder, connection, or machine.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="Who is to hold it.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="NAME", help="Or a group.")] = None,
    machine: Annotated[str | None, typer.Option("--machine", metavar="NAME", help="Or a machine.")] = None,
    token: Annotated[str | None, typer.Option("--token", metavar="NAME", help="Or a token.")] = None,
    rule: Annotated[str, typer.Option("--rule", metavar="CEL", help="It counts only while this holds.")] = "",
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Give a grant to a user, a group, a machine or a token."""
    holders = {"user": user, "group": group, "machine": machine, "token": token}
    given = {kind: name for kind, name in holders.items() if name is not None}
    if len(given) != 1:
        raise Invalid("exactly one of --user, --group, --machine and --token is needed", field="user")
    with options.place(address, environment) as place:
        body: dict[str, Any] = {"level": level.value, "kind": on.value, "rule": rule} | given
        if on in _WALLED:
            body["environment"] = place.found.named_environment()
        if path is not None:
            body["path"] = names.path(path, "path")
        made = place.door.post("/grants", body).body
    if as_json:
        screen.dump(made)
    else:
        screen.say(f"{_holder(made)} has {told(made)} (grant {made.get('id')})")


def remove(
    grant: Annotated[str, typer.Argument(metavar="ID", help="Its id, as `grant list` shows it.")],
    address: options.Address = None,
) -> None:
    """Take a grant away, at once."""
    with options.place(address, None) as place:
        place.door.delete(f"/grants/{names.identifier(grant)}")
    screen.say("it is taken away")


def explain(
    action: Annotated[Level, typer.Argument(help="What somebody wants to do.")],
    resource: Annotated[
        str,
        typer.Argument(metavar="RESOURCE", help="variable:ENV/NAME, environment:NAME, people, … (see docs/access.md)"),
    ],
    caller: Annotated[
        str, typer.Option("--caller", metavar="WHO", help="EMAIL, or group:NAME, machine:NAME, token:NAME; yourself.")
    ] = "",
    origin: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Where from, for rules.")] = "",
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Tell why somebody may do something, or what is missing."""
    with options.place(address, None) as place:
        query = {"action": action.value, "resource": resource, "caller": caller, "address": origin}
        found = place.door.get("/access/explain", {name: text for name, text in query.items() if text}).body
    if as_json:
        screen.dump(found)
        return
    if found.get("allowed"):
        screen.say(f"yes: {found.get('caller')} may {action} {resource}")
    else:
        screen.say(f"no: {found.get('missing')}")
    rows = [[_verdict(it), told(it), " < ".join(map(str, it.get("by") or ()))] for it in found.get("considered") or ()]
    if rows:
        screen.table(["", "GRANT", "BY"], rows)


def settings(address: options.Address = None, as_json: options.Json = False) -> None:
    """Show the settings that hold for everybody."""
    with options.place(address, None) as place:
        found = place.door.get("/settings").body
    _settings(found, as_json)


def set_settings(
    changes: Annotated[list[str], typer.Argument(metavar="NAME=VALUE…", help="As `settings get` shows them.")],
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Change settings, for everybody, at once."""
    body: dict[str, Any] = {}
    for each in changes:
        name, equals, text = each.partition("=")
        if not equals:
            raise Invalid("a change must be NAME=VALUE", field="settings")
        body[name] = {"true": True, "false": False}.get(text, int(text) if text.isdecimal() else text)
    with options.place(address, None) as place:
        found = place.door.patch("/settings", body).body
    _settings(found, as_json)


def _settings(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        screen.dump(found)
        return
    for name, value in found.items():
        screen.say(f"{name:<16} {str(value).lower() if isinstance(value, bool) else value}")


def _holder(grant: dict[str, Any]) -> str:
    return next((f"{kind}:{grant[kind]}" for kind in _HOLDERS if grant.get(kind)), "")


def _verdict(it: dict[str, Any]) -> str:
    if not it.get("holds"):
        return "rule does not hold"
    return "enough" if it.get("enough") else "level too low"
