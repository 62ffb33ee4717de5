"""keywright get and keywright set: the values of variables."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from keywright import names
from keywright.client import folder_query, pair, pairs
from keywright.commands import options, screen
from keywright.errors import Invalid, Unexpected


def get(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The variable, as in shop/db/HOST.")] = None,
    folder: Annotated[str | None, typer.Option("--folder", metavar="F", help="All variables in this folder.")] = None,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Fetch a variable's value: the value on standard output, and nothing else.

    An object is written as JSON. On a terminal a line break is added and control characters are left out;
    to a pipe or file the value goes to the letter. With --folder: one NAME=VALUE a line, a value of
    several lines as a JSON string.
    """
    if (name is None) == (folder is None):
        raise typer.BadParameter("give either the NAME of a variable or --folder")
    with options.place(address, environment) as place:
        if name is not None:
            body = place.door.get(place.within(f"/values/{names.path(name)}")).body
            _, content = pair(body)
            screen.dump(body) if as_json else screen.value(content)
            return
        path = place.within("/values")
        body = place.door.get(path, {"folder": folder_query(folder)}).body
        entries = pairs(body)
        if as_json:
            screen.dump(body)
            return
        if not entries:
            screen.complain(f"there are no variables in {folder}, or none that you may fetch")
        for variable, content in entries:
            plain = isinstance(content, str) and content.isprintable()
            screen.say(f"{variable}={content if plain else json.dumps(content)}")


def set_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The variable, as in shop/db/PASSWORD.")],
    value_file: Annotated[
        Path | None, typer.Option("--value-file", metavar="F", help="Read the value from a file, to the letter.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", metavar="REF", help="Where the value lives, as in vault:secret/shop#pw."),
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", metavar="TEXT", help="Text with ${NAME} for other variables.")
    ] = None,
    is_object: Annotated[bool, typer.Option("--object", help="The value is a JSON object.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="The value is no secret and may be shown.")] = False,
    activate: Annotated[bool, typer.Option("--activate/--no-activate", help="Make the new version live.")] = True,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Create a variable, or give it a new version.

    The value comes from standard input (one line break at its end is left out), from a prompt that does
    not show it, or from --value-file: never from the command line, which other users of a machine can see.
    """
    ways = [way for way in (value_file, reference, template) if way is not None]
    if len(ways) > 1 or (is_object and (reference or template)):
        raise typer.BadParameter("give one of --value-file, --reference and --template; --object goes with a value")
    with options.place(address, environment) as place:
        path = place.within(f"/variables/{names.path(name)}")
        body: dict[str, Any] = {"secret": not plain, "activate": activate}
        if reference is not None:
            body["reference"] = reference
        elif template is not None:
            body["template"] = template
        else:
            text = _value(value_file)
            body["value"] = _object(text) if is_object else text
        told = place.door.put(path, body).body
        if not isinstance(told, dict):
            raise Unexpected(f"{place.found.address} did not say what it made of {name}: look with `keywright list`")
        if as_json:
            screen.dump(told)
            return
        numbers = [v.get("number") for v in told.get("versions") or () if isinstance(v, dict)]
        newest = max((number for number in numbers if isinstance(number, int)), default=told.get("live"))
        live = f"version {told['live']} is live" if told.get("live") is not None else "no version is live"
        screen.say(f"{name}: {live}" + ("" if newest == told.get("live") else f", version {newest} is kept"))


def _value(file: Path | None) -> str:
    try:
        if file is not None:
            return file.read_bytes().decode()
        if sys.stdin.isatty():
            answer: str = typer.prompt("Value", hide_input=True, confirmation_prompt=True, err=True)
            return answer
        text = sys.stdin.buffer.read().decode()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}", field="value") from None
    except UnicodeDecodeError:  # its own text quotes the value
        raise Invalid("the value is not UTF-8 text: encode it, as in base64, first", field="value") from None
    if not text:
        raise Invalid("standard input was empty; for an empty value use --value-file /dev/null", field="value")
    return text.removesuffix("\n").removesuffix("\r")


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise Invalid(f"the value is not JSON{where}", field="value") from None
    if not isinstance(content, dict):
        raise Invalid("the value is JSON but not an object: write it in braces, or leave out --object", field="value")
    return content
