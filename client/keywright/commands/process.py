"""keywright run: a program with values in its environment, and nothing on disk."""

import os
from typing import Annotated

import typer

from keywright import discovery
from keywright.commands import options, screen
from keywright.injection import Entries

NOT_FOUND = 127  # POSIX.1-2017, shell command language, 2.8.2
NOT_EXECUTABLE = 126


def run(
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="The program and its arguments, after `--`.")],
    folder: Annotated[
        str | None, typer.Option("--folder", metavar="F", help="The variables in this folder (else all).")
    ] = None,
    names: Annotated[str | None, typer.Option("--names", metavar="A,B", help="These variables.")] = None,
    connection: Annotated[
        str | None, typer.Option("--connection", metavar="C", help="This connection's DATABASE_URL, DB_HOST, …")
    ] = None,
    prefix: Annotated[str, typer.Option("--prefix", metavar="P", help="Put before a connection's names.")] = "",
    pass_token: Annotated[bool, typer.Option("--pass-token", help="Leave Keywright's token to the program.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,  # noqa: ARG001 - read by `shape.Command`, for errors
) -> None:
    """Run a program with an environment's variables, or a connection's login, in its process environment.

    Variables go by their last segment: shop/db/HOST becomes HOST. A connection gives DATABASE_URL, DB_HOST,
    DB_PORT, DB_NAME, DB_USER and DB_PASSWORD. The program takes this process's place, so signals and its exit
    code pass untouched (126: cannot be run, 127: not found).
    """
    if folder is not None and names is not None:
        raise typer.BadParameter("give one of --folder and --names")
    entries = Entries()
    with options.client(address, environment) as client:
        if names is not None:
            entries.add_variables(client.values(names.split(",")).items())
        elif folder is not None or connection is None:
            entries.add_variables(client.values(folder=folder or "").items())
        if connection is not None:
            entries.add_connection(client.credential(connection), prefix)
    child = entries.over(discovery.surroundings(), () if pass_token else discovery.TOKEN_NAMES)
    try:
        os.execvpe(command[0], command, child)  # noqa: S606 - running the caller's program is the purpose; no shell
    except FileNotFoundError:
        _cannot(command[0], "was not found", NOT_FOUND)
    except OSError as error:
        _cannot(command[0], f"cannot be run: {error.strerror}", NOT_EXECUTABLE)


def _cannot(program: str, why: str, code: int) -> None:
    screen.complain(f"{program} {why}")
    raise typer.Exit(code)
