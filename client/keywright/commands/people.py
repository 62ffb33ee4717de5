"""keywright user, keywright group: people's accounts, and the groups that they are in."""

from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.errors import Absent, Invalid

Email = Annotated[str, typer.Argument(metavar="EMAIL", help="The user's address.")]
Group = Annotated[str, typer.Argument(metavar="GROUP", help="The group's name.")]
Attributes = Annotated[
    list[str] | None,
    typer.Option("--attribute", metavar="NAME=TEXT", help="For rules; the same name again makes it a list."),
]


def users(address: options.Address = None, as_json: options.Json = False) -> None:
    """List people's accounts."""
    with options.place(address, None) as place:
        found = list(place.door.items("/users"))
    if as_json:
        screen.dump(found)
        return
    columns = ["EMAIL", "NAME", "ENABLED", "GROUPS", "FACTORS", "LAST LOGIN", "ID"]
    screen.table(columns, map(_user_row, found))


def show_user(email: Email, address: options.Address = None, as_json: options.Json = False) -> None:
    """Show one account: its groups, its own grants, how it signs in."""
    with options.place(address, None) as place:
        found = user(place, email)
    if as_json:
        screen.dump(found)
        return
    for name in ("id", "email", "name", "type", "last_login_at", "last_active_at", "password_ends_at"):
        screen.say(f"{name:<16} {found.get(name) or '-'}")
    screen.say(f"{'enabled':<16} {_yes(found.get('enabled'))}")
    screen.say(f"{'emergency':<16} {_yes(found.get('emergency'))}")
    for name in ("groups", "factors"):
        screen.say(f"{name:<16} {', '.join(map(str, found.get(name) or ())) or '-'}")
    for grant in found.get("grants") or ():
        screen.say(f"{'grant':<16} {told(grant)}")


def add_user(
    email: Email,
    name: Annotated[str, typer.Option("--name", metavar="TEXT", help="What the person is called.")] = "",
    attribute: Attributes = None,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="May sign in with a password even where that is switched off.")
    ] = False,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Make an account. It holds nothing yet, and cannot sign in before it is invited."""
    body = {"email": email, "name": name, "attributes": _attributes(attribute), "emergency": emergency}
    with options.place(address, None) as place:
        made = place.door.post("/users", body).body
    _done(made, as_json, f"{email} is made; `keywright user invite {email}` lets it choose a password")


def invite(email: Email, address: options.Address = None, as_json: options.Json = False) -> None:
    """Invite somebody to choose a password. The text is shown only now; hand it over by a way that is trusted."""
    with options.place(address, None) as place:
        made = place.door.post(f"/users/{_id(user(place, email))}/invitations", {}).body
    if as_json:
        screen.dump(made)
        return
    found = made if isinstance(made, dict) else {}
    screen.say(f"invitation  {found.get('text')}   (shown only now; good once, until {found.get('expires_at')})")
    screen.say(f"type it in  {found.get('address') or '/sign-in/invitation of the server'}")


def enable(email: Email, address: options.Address = None, as_json: options.Json = False) -> None:
    """Let an account in again; its groups and grants are what they were."""
    _change(email, {"enabled": True}, address, as_json, "is enabled")


def disable(email: Email, address: options.Address = None, as_json: options.Json = False) -> None:
    """Keep an account out: its sessions and tokens end at once."""
    _change(email, {"enabled": False}, address, as_json, "is disabled; its sessions and tokens have ended")


def remove_user(email: Email, address: options.Address = None) -> None:
    """Remove an account with its grants, memberships, sessions and tokens."""
    with options.place(address, None) as place:
        place.door.delete(f"/users/{_id(user(place, email))}")
    screen.say(f"{email} is removed")


def groups(address: options.Address = None, as_json: options.Json = False) -> None:
    """List groups and what they give their members."""
    with options.place(address, None) as place:
        found = list(place.door.items("/groups"))
    if as_json:
        screen.dump(found)
        return
    rows = [
        [it.get("name"), ", ".join(it.get("groups") or ()), _landing(it), "; ".join(map(told, it.get("grants") or ()))]
        for it in found
    ]
    screen.table(["NAME", "IN", "LANDS IN", "GRANTS"], rows)


def add_group(
    name: Group,
    landing: Annotated[
        str | None, typer.Option("--landing", metavar="F", help="Folder of --env where members land; / for all of it.")
    ] = None,
    second_factor: Annotated[bool, typer.Option("--second-factor", help="Its members need one.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Make a group, which is empty and gives nothing yet."""
    with options.place(address, environment) as place:
        body: dict[str, Any] = {"name": name, "second_factor": second_factor}
        if landing is not None:
            body |= {"landing_environment": place.found.named_environment(), "landing_folder": landing.strip("/")}
        made = place.door.post("/groups", body).body
    _done(made, as_json, f"{name} is made")


def members(name: Group, address: options.Address = None, as_json: options.Json = False) -> None:
    """List who is in a group directly, and who put them there."""
    with options.place(address, None) as place:
        found = list(place.door.items(f"/groups/{_id(group(place, name))}/members"))
    if as_json:
        screen.dump(found)
        return
    screen.table(["NAME", "KIND", "SOURCE"], ([it.get("name"), it.get("kind"), it.get("source")] for it in found))


def join(
    name: Group,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="A user's address, or a group's name.")],
    address: options.Address = None,
) -> None:
    """Put a user, or a group, into a group."""
    with options.place(address, None) as place:
        place.door.put(_membership(place, name, member), {})
    screen.say(f"{member} is in {name}")


def part(
    name: Group,
    member: Annotated[str, typer.Argument(metavar="MEMBER", help="A user's address, or a group's name.")],
    address: options.Address = None,
) -> None:
    """Take a user, or a group, out of a group."""
    with options.place(address, None) as place:
        place.door.delete(_membership(place, name, member))
    screen.say(f"{member} is in {name} no more")


def remove_group(name: Group, address: options.Address = None) -> None:
    """Remove a group with its grants."""
    with options.place(address, None) as place:
        place.door.delete(f"/groups/{_id(group(place, name))}")
    screen.say(f"{name} is removed")


# -- for others


def user(place: options.Place, email: str) -> dict[str, Any]:
    """The account with this address. Raises Absent."""
    for it in place.door.items("/users", {"email": email}):
        return it
    raise Absent(f"user {email} does not exist", status=404)


def group(place: options.Place, name: str) -> dict[str, Any]:
    """The group of this name. Raises Absent."""
    for it in place.door.items("/groups"):
        if it.get("name") == name:
            return it
    raise Absent(f"group {name} does not exist", status=404)


def told(grant: dict[str, Any]) -> str:
    """A grant in a few words."""
    place = ":".join(str(grant[part]) for part in ("environment", "path") if grant.get(part))
    rule = f" if {grant['rule']}" if grant.get("rule") else ""
    kind = "" if grant.get("kind") in ("environment", "folder") else f"{grant.get('kind')} "
    return f"{grant.get('level')} {kind}{place}".strip() + rule


def _membership(place: options.Place, name: str, member: str) -> str:
    found = user(place, member) if "@" in member else group(place, member)
    return f"/groups/{_id(group(place, name))}/members/{_id(found)}"


def _change(email: str, body: dict[str, Any], address: str | None, as_json: bool, what: str) -> None:
    with options.place(address, None) as place:
        changed = place.door.patch(f"/users/{_id(user(place, email))}", body).body
    _done(changed, as_json, f"{email} {what}")


def _done(body: Any, as_json: bool, sentence: str) -> None:
    screen.dump(body) if as_json else screen.say(sentence)


def _id(found: dict[str, Any]) -> str:
    return names.identifier(str(found.get("id")))


def _yes(flag: object) -> str:
    return "yes" if flag else "no"


def _landing(it: dict[str, Any]) -> str:
    place = it.get("landing_environment")
    return f"{place}:{it.get('landing_folder') or '/'}" if place else ""


def _user_row(it: dict[str, Any]) -> list[object]:
    lists = (", ".join(map(str, it.get(name) or ())) for name in ("groups", "factors"))
    return [it.get("email"), it.get("name"), _yes(it.get("enabled")), *lists, it.get("last_login_at"), it.get("id")]


def _attributes(given: list[str] | None) -> dict[str, str | list[str]]:
    found: dict[str, list[str]] = {}
    for each in given or ():
        name, equals, text = each.partition("=")
        if not equals:
            raise Invalid("--attribute must be NAME=TEXT", field="attribute")
        found.setdefault(name, []).append(text)
    return {name: texts if len(texts) > 1 else texts[0] for name, texts in found.items()}
