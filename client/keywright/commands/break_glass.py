"""keywright break-glass: go without approvals for some minutes, and be seen to."""

import uuid
from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.errors import Unexpected


def take(
    ctx: typer.Context,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why, for everybody concerned.")
    ] = None,
    minutes: Annotated[int, typer.Option("--minutes", metavar="N", min=1, max=60, help="For how long.")] = 15,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Go without approvals in an environment for some minutes. Everybody concerned is told."""
    if ctx.invoked_subcommand is not None:
        return
    if not reason:
        raise typer.BadParameter("give --reason: everybody concerned will read it")
    with options.place(address, environment) as place:
        body = {"reason": reason, "minutes": minutes}
        told = _glass(place.door.post(place.within("/break-glass"), body, key=uuid.uuid4().hex).body)
    if as_json:
        screen.dump(told)
        return
    screen.say(f"break-glass {told['id']}: no approvals are asked of you until {told['expires_at']}")
    screen.say(f"end it sooner with `keywright break-glass end {told['id']}`")


def listed(
    address: options.Address = None, environment: options.Environment = None, as_json: options.Json = False
) -> None:
    """List who went without approvals, the youngest first."""
    with options.place(address, environment) as place:
        found = list(place.door.items(place.within("/break-glass")))
    if as_json:
        screen.dump(found)
        return
    rows = [
        [it["id"], it["user"], it.get("created_at"), it.get("ended_at") or it["expires_at"], it["reason"]]
        for it in map(_glass, found)
    ]
    screen.table(["ID", "WHO", "FROM", "UNTIL", "REASON"], rows)


def end(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The break-glass.")],
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """End it before its time: your own, or as an owner of the environment."""
    with options.place(address, None) as place:
        told = _glass(place.door.delete(f"/break-glass/{names.identifier(id_)}").body)
    screen.dump(told) if as_json else screen.say(f"break-glass {told['id']} is over")


def _glass(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or not all(key in body for key in ("id", "user", "reason", "expires_at")):
        raise Unexpected("the server answered with something that is no break-glass")
    return body
