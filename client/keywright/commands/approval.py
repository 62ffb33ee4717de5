"""keywright approval: what waits for a second person: asked for, decided on, applied."""

import json
import time
from enum import StrEnum
from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import options, screen
from keywright.commands.endings import NOT_ALLOWED
from keywright.door import AskedFor
from keywright.errors import Unavailable, Unexpected, Unreachable

LOOKS = 50
"""Seconds that one question waits for a decision at the server."""
PACE = 2.0
"""Seconds until a server that is away is asked again."""
Id = Annotated[str, typer.Argument(metavar="ID", help="The approval.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="What to say about it, for the record.")]


class State(StrEnum):
    """Where an approval stands."""

    ASKED = "asked"
    APPROVED = "approved"
    APPLIED = "applied"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"


def listed(
    state: Annotated[
        State | None, typer.Option("--state", metavar="S", help="Only those; `asked` is what waits.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="Of all environments.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """List your own, and those that you can decide on, the youngest first."""
    with options.place(address, environment) as place:
        query = {"state": state.value} if state else {}
        if not everywhere and place.found.environment:
            query["environment"] = place.found.environment
        found = list(place.door.items("/approvals", query))
    if as_json:
        screen.dump(found)
        return
    rows = [
        [it["id"], it["state"], it["environment"], it["action"], it["resource"], it["asked_by"], it["reason"]]
        for it in map(_approval, found)
    ]
    screen.table(["ID", "STATE", "ENVIRONMENT", "WHAT", "OF", "ASKED BY", "REASON"], rows)


def show(id_: Id, address: options.Address = None, as_json: options.Json = False) -> None:
    """Show one, with what it would change."""
    with options.place(address, None) as place:
        told = _approval(place.door.get(_path(id_)).body)
    screen.dump(told) if as_json else _show(told)


def ask(
    ctx: typer.Context,
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND...", help="Any other command, as in `set shop/db/HOST`.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for who decides and for the record.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the decision, and apply it.")] = False,
    address: options.Address = None,
    as_json: options.Json = False,
) -> None:
    """Run a command; where it needs somebody else to agree, ask for that."""
    try:
        with options.asking(reason):
            ctx.find_root().command.main(args=command, prog_name="keywright", standalone_mode=False)
        return
    except AskedFor as asked:
        told = _approval(asked.approval)
    if not as_json:
        screen.complain(f"asked for: approval {told['id']} waits for somebody else until {told['expires_at']}")
    if not wait:
        screen.dump(told) if as_json else screen.say(str(told["id"]))
        return
    told = _decided(told, address)
    if told["state"] != "approved":
        screen.dump(told) if as_json else screen.complain(f"approval {told['id']} is {told['state']}{_why(told)}")
        raise typer.Exit(NOT_ALLOWED)
    apply(str(told["id"]), address, as_json)


def apply(id_: Id, address: options.Address = None, as_json: options.Json = False) -> None:  # noqa: ARG001
    """Do what you asked for and somebody agreed to; shows what the server answers."""
    with options.place(address, None) as place:
        answer = place.door.post(f"{_path(id_)}/apply", {}).body
    if answer is not None:
        screen.dump(answer)


def approve(id_: Id, note: Note = "", address: options.Address = None, as_json: options.Json = False) -> None:
    """Agree to what somebody else asked for."""
    _decide(id_, "approve", note, address, as_json)


def refuse(id_: Id, note: Note = "", address: options.Address = None, as_json: options.Json = False) -> None:
    """Refuse it."""
    _decide(id_, "refuse", note, address, as_json)


def withdraw(id_: Id, address: options.Address = None, as_json: options.Json = False) -> None:
    """You want it no more."""
    with options.place(address, None) as place:
        _moved(_approval(place.door.post(f"{_path(id_)}/withdraw", {}).body), as_json)


def _decide(id_: str, decision: str, note: str, address: str | None, as_json: bool) -> None:
    with options.place(address, None) as place:
        body = {"decision": decision, "note": note}
        _moved(_approval(place.door.post(f"{_path(id_)}/decision", body).body), as_json)


def _decided(told: dict[str, Any], address: str | None) -> dict[str, Any]:
    """The approval when somebody decided, or it is over. Bears a server that is away for a while."""
    with options.place(address, None, patience=LOOKS + 20.0) as place:
        while told["state"] == "asked":
            try:
                told = _approval(place.door.get(_path(str(told["id"])), {"wait": str(LOOKS)}).body)
            except (Unreachable, Unavailable) as error:
                screen.complain(f"{error.message}; trying again")
                time.sleep(PACE)
    return told


def _moved(told: dict[str, Any], as_json: bool) -> None:
    screen.dump(told) if as_json else screen.say(f"approval {told['id']} is {told['state']}")


def _show(told: dict[str, Any]) -> None:
    what = f"{told['action']} of {told['resource']}" if told["resource"] else told["action"]
    screen.say(f"{what} in {told['environment']}: {told['state']}")
    screen.say(f"asked by {told['asked_by']} at {told.get('created_at')}: {told['reason']}")
    if told.get("decided_by"):
        screen.say(f"decided on by {told['decided_by']} at {told.get('decided_at')}{_why(told)}")
    screen.say(f"open until {told['expires_at']}")
    rows = [[it.get("what"), *_sides(it)] for it in told["changes"]]
    screen.table(["WHAT", "IS", "WOULD BE"], rows)


def _sides(it: dict[str, Any]) -> tuple[str, str]:
    if it.get("secret"):
        return "a secret", "changed, or told"
    old, new = (side if isinstance(side, str) else json.dumps(side) for side in (it.get("old"), it.get("new")))
    return old, new


def _why(told: dict[str, Any]) -> str:
    return f": {told['note']}" if told.get("note") else ""


def _path(id_: str) -> str:
    return f"/approvals/{names.identifier(id_)}"


def _approval(body: Any) -> dict[str, Any]:
    needed = ("id", "state", "environment", "action", "resource", "asked_by", "reason", "changes", "expires_at")
    if not isinstance(body, dict) or not all(key in body for key in needed) or not isinstance(body["changes"], list):
        raise Unexpected("the server answered with something that is no approval")
    return body
