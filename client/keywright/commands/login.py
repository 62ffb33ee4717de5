"""keywright login: remember a server and a token."""

import sys
from typing import Annotated

import typer

from keywright import discovery, login, names
from keywright.address import checked_address
from keywright.commands import options, screen
from keywright.door import Door
from keywright.errors import Unexpected


def run(
    token_stdin: Annotated[bool, typer.Option("--token-stdin", help="Read the token from standard input.")] = False,
    logout: Annotated[bool, typer.Option("--logout", help="Forget the stored login.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Sign in: check a token and keep it, with its server, for later commands.

    The token is asked for without showing it, or read from standard input, and kept in
    $XDG_CONFIG_HOME/keywright/login.json, which only you can read. With --env that environment
    becomes the usual one.
    """
    around = discovery.surroundings()
    file = discovery.login_file(around)
    if logout:
        gone = login.remove(file)
        screen.dump({"removed": gone}) if as_json else screen.say("signed out" if gone else "was not signed in")
        return
    asking = sys.stdin.isatty()
    text = address or around.get("KEYWRIGHT_ADDR")
    if text is None and (token_stdin or not asking):
        raise typer.BadParameter("no server was given: use --addr or KEYWRIGHT_ADDR")
    if not token_stdin and not asking:
        raise typer.BadParameter("there is no terminal to ask for the token on: use --token-stdin")
    where = checked_address(text or typer.prompt("Address", err=True), around)
    given = sys.stdin.readline() if token_stdin else typer.prompt("Token", hide_input=True, err=True)
    token = discovery.checked_token(given)
    usual = environment or around.get("KEYWRIGHT_ENVIRONMENT")
    if usual is not None:
        names.segment(usual)
    ca = around.get("KEYWRIGHT_CA_FILE")
    with Door(where, lambda: token, ca=ca, certificate=discovery.certificate_of(around)) as door:
        caller = door.get("/me").body
    if not isinstance(caller, dict) or not isinstance(caller.get("name"), str):
        raise Unexpected(f"{where} did not say who you are: is this Keywright's address?")
    login.write(file, login.Login(where, token, usual, ca))
    if as_json:
        screen.dump({"address": where} | {key: caller.get(key) for key in ("id", "name", "kind")})
    else:
        screen.say(f"signed in at {where} as {caller['name']}")
