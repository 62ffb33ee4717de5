"""keywright identity-providers: how people sign in from elsewhere."""

import json
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.errors import Unexpected

Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called here.")]
Secret = Annotated[
    bool, typer.Option("--secret-stdin", help="Read its client secret from standard input; it is shown nowhere again.")
]


def listed(ctx: typer.Context, address: options.Address = None, as_json: options.Json = False) -> None:
    """List the identity providers."""
    if ctx.invoked_subcommand is not None:
        return
    with options.place(address, None) as place:
        found = list(place.door.items("/identity-providers"))
    if as_json:
        screen.dump(found)
        return
    rows = [[it["name"], it["kind"], it["where"], it["state"], it["brings"]] for it in map(_row, found)]
    screen.table(["NAME", "KIND", "WHERE", "STATE", "BRINGS IN"], rows)


def show(name: Name, address: options.Address = None) -> None:
    """Show one in JSON, as `set` takes its definition; never its secret."""
    with options.place(address, None) as place:
        screen.dump(_known(place.door.get(_path(name)).body))


def add(
    name: Name,
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="Its address, as it calls itself.")],
    client_id: Annotated[str, typer.Option("--client-id", metavar="ID", help="What it calls Keywright.")],
    secret: Secret = False,
    creates: Annotated[bool, typer.Option("--creates", help="Who is not known yet is given an account.")] = False,
    domains: Annotated[
        list[str] | None, typer.Option("--domain", metavar="D", help="Only addresses of it; may be repeated.")
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="THERE=HERE", help="A group there is that group here; may be repeated."),
    ] = None,
    claim: Annotated[str | None, typer.Option("--groups-claim", metavar="C", help="Which claim tells groups.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Let nobody in by it yet.")] = False,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Let people sign in by an OpenID provider. Everything else of it: `show`, and `set`."""
    entry = {"creates": creates, "domains": domains or [], "groups": dict(map(_pair, groups or ()))}
    definition: dict[str, Any] = {"kind": "oidc", "issuer": issuer, "client_id": client_id, "entry": entry}
    definition |= {"groups_claim": claim or "groups"} if claim or groups else {}
    body = {"name": names.segment(name, "name"), "definition": definition, "enabled": not disabled}
    body |= {"secret": _read()} if secret else {}
    with options.place(address, None) as place:
        made = _known(place.door.post("/identity-providers", body, key=uuid.uuid4().hex).body)
    if as_json:
        screen.dump(made)
        return
    screen.say(f"{made['name']} is {_state(made)}; register this redirect URI there:")
    screen.say(str(made.get("callback") or "none: the server does not know its own address (KEYWRIGHT_URL)"))


def add_saml(
    name: Name,
    metadata: Annotated[Path, typer.Option("--metadata", metavar="FILE", help="Its metadata (XML), as it gives them.")],
    key: Annotated[
        bool,
        typer.Option("--key-stdin", help="Read our RSA key for it (PEM): we sign, and it may encrypt. Shown nowhere."),
    ] = False,
    creates: Annotated[bool, typer.Option("--creates", help="Who is not known yet is given an account.")] = False,
    domains: Annotated[
        list[str] | None, typer.Option("--domain", metavar="D", help="Only addresses of it; may be repeated.")
    ] = None,
    groups: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="THERE=HERE", help="A group there is that group here; may be repeated."),
    ] = None,
    email: Annotated[
        str | None, typer.Option("--email-attribute", metavar="A", help="Which tells the address; else its NameID.")
    ] = None,
    called: Annotated[str | None, typer.Option("--name-attribute", metavar="A", help="Which tells the name.")] = None,
    told: Annotated[str | None, typer.Option("--groups-attribute", metavar="A", help="Which tells groups.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Let nobody in by it yet.")] = False,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Let people sign in by a SAML provider. Everything else of it: `show`, and `set`."""
    entry = {"creates": creates, "domains": domains or [], "groups": dict(map(_pair, groups or ()))}
    attributes = {"email_attribute": email, "name_attribute": called, "groups_attribute": told}
    if groups and not told:
        attributes["groups_attribute"] = "groups"
    body: dict[str, Any] = {"name": names.segment(name, "name"), "enabled": not disabled}
    body |= {"secret": _read() + "\n"} if key else {}
    xml = _text(metadata)
    with options.place(address, None) as place:
        found = place.door.post("/saml-metadata", {"xml": xml}).body
        if not isinstance(found, dict):
            raise _unknown()
        body["definition"] = {"kind": "saml", "entry": entry} | attributes | found
        made = _known(place.door.post("/identity-providers", body, key=uuid.uuid4().hex).body)
    if as_json:
        screen.dump(made)
        return
    screen.say(f"{made['name']} is {_state(made)}; give it these metadata, which are our entity ID, too:")
    screen.say(str(made.get("metadata") or "none: the server does not know its own address (KEYWRIGHT_URL)"))
    screen.say(f"ACS URL: {made.get('callback')}")


def set_(
    name: Name,
    file: Annotated[
        Path | None, typer.Option("--definition", metavar="FILE", help="JSON: the `definition` that `show` shows.")
    ] = None,
    secret: Secret = False,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Let people in by it, or nobody.")] = None,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Change its definition or its secret; disable or enable it."""
    body: dict[str, Any] = {} if enable is None else {"enabled": enable}
    body |= {"secret": _read()} if secret else {}
    body |= {"definition": _definition(file)} if file else {}
    if not body:
        raise typer.BadParameter("nothing to change: give --definition, --secret-stdin, --enable or --disable")
    with options.place(address, None) as place:
        told = _known(place.door.patch(_path(name), body).body)
    screen.dump(told) if as_json else screen.say(f"{told['name']} is {_state(told)}")


def check(name: Name, address: options.Address = None, as_json: options.Json = False) -> None:
    """Ask it now, and tell what is wrong. Whether it takes the secret shows the first sign-in."""
    with options.place(address, None) as place:
        told = place.door.post(f"{_path(name)}/check", {}).body
    problems = told.get("problems") if isinstance(told, dict) else None
    if not isinstance(problems, list):
        raise _unknown()
    if as_json:
        screen.dump(told)
    else:
        for sentence in problems or [f"{name} answers as it should"]:
            screen.say(str(sentence))
    if problems:
        raise typer.Exit(1)


def delete(name: Name, address: options.Address = None, as_json: options.Json = False) -> None:
    """Delete it: the sessions that it opened end, its users stay."""
    with options.place(address, None) as place:
        place.door.delete(_path(name))
    screen.dump({"deleted": name}) if as_json else screen.say(f"{name} is deleted")


def _path(name: str) -> str:
    return f"/identity-providers/{names.segment(name, 'name')}"


def _pair(text: str) -> tuple[str, str]:
    there, _, here = text.rpartition("=")
    if not there or not here:
        raise typer.BadParameter("--group must be THERE=HERE")
    return there, here


def _read() -> str:
    return sys.stdin.read().rstrip("\n")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} cannot be read ({type(error).__name__})") from None


def _definition(file: Path) -> Any:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{file} is not JSON that can be read ({type(error).__name__})") from None
    # What `show` shows may be given as it is.
    return found["definition"] if isinstance(found, dict) and "definition" in found else found


def _row(body: Any) -> dict[str, str]:
    it = _known(body)
    definition = it["definition"]
    entry = definition.get("entry") or {}
    brings = [word for word, yes in (("new users", entry.get("creates")), ("linked users", entry.get("links"))) if yes]
    where = definition.get("issuer") or definition.get("entity_id") or ""
    kind = str(definition.get("kind"))
    told = ", ".join(brings) or "known users"
    return {"name": it["name"], "kind": kind, "where": str(where), "state": _state(it), "brings": told}


def _state(it: dict[str, Any]) -> str:
    return "enabled" if it.get("enabled") else "disabled"


def _known(body: Any) -> dict[str, Any]:
    if (
        not isinstance(body, dict)
        or not isinstance(body.get("name"), str)
        or not isinstance(body.get("definition"), dict)
    ):
        raise _unknown()
    return body


def _unknown() -> Unexpected:
    return Unexpected("the server's identity provider has not the form that this client knows: update one of them")
