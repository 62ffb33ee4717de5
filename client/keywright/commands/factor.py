"""keywright factor: one's own second factors, on a terminal. Passkeys are made in a browser, at /factors."""

import sys
from typing import Annotated, Any

import typer

from keywright import printable
from keywright.commands import options, screen
from keywright.errors import Absent, Unexpected

_NONE = "no second factor of yours is called that, or has that id: see `keywright factor list`"


def listed(address: options.Address = None, as_json: options.Json = False) -> None:
    """List your second factors."""
    with options.place(address, None) as place:
        held = _known(place.door.get("/factors").body, "items")
        if as_json:
            screen.dump(held)
            return
        screen.table(["NAME", "KIND", "ADDED", "LAST USED"], map(_row, held["items"]))
        screen.say(f"{held.get('recovery_codes_left')} recovery codes left")


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call it.")] = "app",
    address: options.Address = None,
) -> None:
    """Add an authenticator app: its QR code is drawn here, and its first code asked for."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to draw the QR code on, and to ask for its first code")
    with options.place(address, None) as place:
        begun = _known(place.door.post("/factors/totp", {"name": name}).body, "id", "secret", "text")
        print(printable.printable_lines(str(begun["text"])), flush=True)
        screen.say(f"or type this into it: {begun['secret']}")
        code = typer.prompt("The code that it shows", err=True).strip()
        path = f"/factors/totp/{begun['id']}/confirmation"
        made = _known(place.door.post(path, {"code": code}).body, "name")
        screen.say(f"{made['name']} is added")
        if made.get("recovery_codes"):
            _tell(made["recovery_codes"])


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, or its id.")],
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Take one away."""
    with options.place(address, None) as place:
        held = _known(place.door.get("/factors").body, "items")["items"]
        meant = [each for each in held if name in (each.get("id"), each.get("name"))]
        if len(meant) != 1:
            raise Absent(_NONE if not meant else "several are called that: take one by its id")
        place.door.delete(f"/factors/{meant[0]['id']}")
        screen.dump({"removed": meant[0]["id"]}) if as_json else screen.say(f"{meant[0]['name']} is taken away")


def recovery_codes(address: options.Address = None, as_json: options.Json = False) -> None:
    """Make new recovery codes. The former ones are of no use any more."""
    with options.place(address, None) as place:
        made = _known(place.door.post("/recovery-codes", {}).body, "recovery_codes")
        screen.dump(made) if as_json else _tell(made["recovery_codes"])


def _tell(codes: list[str]) -> None:
    screen.say("recovery codes, each good once, for when you have lost everything else; they are shown only now:")
    for code in codes:
        screen.say(f"  {code}")


def _row(factor: dict[str, Any]) -> list[object]:
    return [factor.get("name"), factor.get("kind"), factor.get("created_at"), factor.get("last_used_at") or "never"]


def _known(body: Any, *names: str) -> dict[str, Any]:
    if not isinstance(body, dict) or not all(name in body for name in names):
        raise Unexpected("the server's second factors have not the form that this client knows: update one of them")
    return body
