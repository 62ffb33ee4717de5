"""keywright login, logout, whoami: a person's session, or a token, kept with its server for later commands."""

import sys
import webbrowser
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from keywright import discovery, login, names
from keywright.address import checked_address
from keywright.authorizing import Authorizing
from keywright.commands import options, screen
from keywright.door import Door
from keywright.errors import KeywrightError, Unauthenticated, Unexpected
from keywright.printable import printable

_NO_TERMINAL = "there is no terminal here: use --token-stdin for a token, or --device"


def run(
    device: Annotated[
        bool, typer.Option("--device", help="Sign in by a browser on another computer, with a code.")
    ] = False,
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read a token from standard input.")] = False,
    ask_token: Annotated[bool, typer.Option("--ask-token", help="Ask for a token, without showing it.")] = False,
    logout: Annotated[bool, typer.Option("--logout", help="As `keywright logout`.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Sign in with a browser, and keep the session for later commands.

    What is kept, a session or a token, lies in $XDG_CONFIG_HOME/keywright/login.json, which only you
    can read, or where KEYWRIGHT_LOGIN_FILE says; one for each server. With --env that environment
    becomes the usual one.
    """
    if logout:
        sign_out(address, as_json)
        return
    around = discovery.surroundings()
    asking = sys.stdin.isatty()
    text = address or around.get("KEYWRIGHT_ADDR") or _last(around)
    if text is None and (token_stdin or not asking):
        raise typer.BadParameter("no server was given: use --addr or KEYWRIGHT_ADDR")
    if not (token_stdin or device or asking):
        raise typer.BadParameter(_NO_TERMINAL)
    where = checked_address(text or typer.prompt("Address", err=True), around)
    usual = environment or around.get("KEYWRIGHT_ENVIRONMENT")
    if usual is not None:
        names.segment(usual)
    ca = around.get("KEYWRIGHT_CA_FILE")
    session = not (token_stdin or ask_token)
    if session:
        token = _session(where, ca, around, device=device or _far(around))
    else:
        given = sys.stdin.readline() if token_stdin else typer.prompt("Token", hide_input=True, err=True)
        token = discovery.checked_token(given)
    with Door(where, lambda: token, ca=ca, certificate=discovery.certificate_of(around)) as door:
        caller = _me(door)
    login.write(discovery.login_file(around), login.Login(where, token, usual, ca, session))
    if as_json:
        screen.dump({"address": where} | {key: caller.get(key) for key in ("id", "name", "kind")})
    else:
        screen.say(f"signed in at {where} as {caller['name']}")


def sign_out(address: options.Address = None, as_json: options.Json = False) -> None:
    """Forget the stored login; a session that was signed in for ends at the server, too."""
    around = discovery.surroundings()
    where = checked_address(address, around) if address else None
    file = discovery.login_file(around)
    kept = login.remove(file, where)
    if kept is not None and kept.session:
        _end(kept, around)
    screen.dump({"removed": kept is not None}) if as_json else screen.say("signed out" if kept else "was not signed in")


def whoami(address: options.Address = None, as_json: options.Json = False) -> None:
    """Who you are for the server, and what you may do there."""
    with options.place(address, None) as place:
        caller = _me(place.door)
        if as_json:
            screen.dump({"address": place.found.address, **caller})
            return
        screen.say(f"{caller['name']} ({caller.get('kind')}) at {place.found.address}")
        for grant in caller.get("grants", []):
            where = "/".join(filter(None, (grant.get("environment"), grant.get("path"))))
            screen.say(f"  {grant.get('level')} {grant.get('kind')} {where}".rstrip())


def _session(where: str, ca: str | None, around: Mapping[str, str], *, device: bool) -> str:
    with Authorizing(where, ca, discovery.certificate_of(around)) as authorizing:
        if device:
            return authorizing.by_device(_tell)
        return authorizing.by_browser(webbrowser.open, _tell)


def _tell(text: str) -> None:
    """On standard error: standard output is for what came of it."""
    typer.echo(printable(text), err=True)


def _far(around: Mapping[str, str]) -> bool:
    """Is the person at another computer, so that a browser here would be of no use?"""
    far = bool(around.get("SSH_CONNECTION")) and not (around.get("DISPLAY") or around.get("WAYLAND_DISPLAY"))
    if far:
        _tell("this is a connection from elsewhere, without a display: signing in by a code, as with --device")
    return far


def _last(around: Mapping[str, str]) -> str | None:
    kept = login.read(discovery.login_file(around))
    return kept.address if kept else None


def _end(kept: login.Login, around: Mapping[str, str]) -> None:
    try:
        with Door(kept.address, lambda: kept.token, ca=kept.ca, certificate=discovery.certificate_of(around)) as door:
            door.delete("/session")
    except Unauthenticated:
        return  # it had ended already
    except KeywrightError as error:
        screen.complain(f"the session is forgotten here, but did not end at the server: {error.message}")


def _me(door: Door) -> dict[str, Any]:
    caller = door.get("/me").body
    if not isinstance(caller, dict) or not isinstance(caller.get("name"), str):
        raise Unexpected(f"{door.address} did not say who you are: is this Keywright's address?")
    return caller
