"""keywright connection: what a database needs to know of a connection."""

from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.errors import Unexpected


def host_rules(
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection, as in shop/db.")],
    from_: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="CIDR",
            help="A network that applications come from; may be repeated. Else the environment's allowlist.",
        ),
    ] = None,
    keywright_from: Annotated[
        list[str] | None,
        typer.Option(
            "--keywright-from",
            metavar="CIDR",
            help="A network that Keywright itself comes from; may be repeated. Else those of applications.",
        ),
    ] = None,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Tell what to write into the database, so that the connection's logins come in from these networks alone.

    Lines of pg_hba.conf, or statements for MariaDB, ready to paste. Nothing is changed, and no secret is in it.
    """
    query = {"from": ",".join(from_)} if from_ else {}
    query |= {"keywright_from": ",".join(keywright_from)} if keywright_from else {}
    with options.place(address, environment) as place:
        path = place.within(f"/host-rules/{names.path(connection, 'connection')}")
        told = place.door.get(path, query).body
    lines: Any = told.get("lines") if isinstance(told, dict) else None
    if not isinstance(lines, list):
        raise Unexpected("the server's answer has no rules in it")
    if as_json:
        screen.dump(told)
        return
    screen.value("".join(f"{line}\n" for line in lines))  # to the letter for a file: a name may hold anything
