"""keywright rotate, rotations and rotation: turn a connection's password, and watch."""

import time
import uuid
from enum import StrEnum
from typing import Annotated, Any

import typer

from keywright import names
from keywright.commands import drain, listing, options, rehearsal, screen
from keywright.commands.endings import ROTATION_FAILED
from keywright.errors import Unavailable, Unexpected, Unreachable

SUCCEEDED = frozenset({"published", "draining", "retired"})
FAILED = frozenset({"stuck", "abandoned", "reverted"})
PACE = (0.1, 2.0)
"""Seconds between two looks at a rotation: at first, and at most."""


class Hand(StrEnum):
    """What an operator can do with a rotation."""

    RETRY = "retry"
    ABANDON = "abandon"
    REVERT = "revert"


def rotate(
    connection: Annotated[str, typer.Argument(metavar="CONNECTION", help="The connection, as in shop/db.")],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until applications get the next one.")] = True,
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=0, help="Seconds to wait, at most.")] = 900,
    reason: Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")] = None,
    emergency: Annotated[
        bool, typer.Option("--emergency", help="The former password dies at once: promises are cut short.")
    ] = False,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Only try it without effect, and tell.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Turn a connection's password now, and follow it stage by stage.

    Done when the next credential is published; the former one drains afterwards, by itself.
    """
    with options.place(address, environment) as place:
        name = names.path(connection, "connection")
        if rehearse:
            _rehearse(place, name, as_json, emergency)
            return
        body: dict[str, object] = {"connection": name}
        body |= {"reason": reason} if reason else {}
        body |= {"emergency": True} if emergency else {}
        # The key makes it safe that a proxy, or an impatient person, sends this twice.
        rotation = _rotation(place.door.post(place.within("/rotations"), body, key=uuid.uuid4().hex).body)
        if rotation["stage"] != "planned" and not as_json:
            screen.say("a rotation was under way already: this is that one, and nothing new was begun")
        if not wait:
            screen.dump(rotation) if as_json else screen.say(f"rotation {rotation['id']} is {rotation['stage']}")
            return
        if not as_json:
            screen.say(f"rotation {rotation['id']} of {name}")
        rotation = _follow(place, rotation, timeout, as_json)
        if as_json:
            screen.dump(rotation)
        stage = rotation["stage"]
        if stage in SUCCEEDED:
            return
        if stage in FAILED:
            why = rotation.get("reason") or "no reason was given"
            screen.complain(f"rotation {rotation['id']} of {name} is {stage}: {why}")
        else:
            screen.complain(
                f"rotation {rotation['id']} of {name} is still {stage} after {timeout:g} seconds and goes on: "
                f"look with `keywright rotation {rotation['id']}`"
            )
        raise typer.Exit(ROTATION_FAILED)


def rotations(
    connection: Annotated[str | None, typer.Argument(metavar="[CONNECTION]", help="Only of this connection.")] = None,
    stage: Annotated[str | None, typer.Option("--stage", metavar="STAGE", help="Only those at this stage.")] = None,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """List rotations."""
    with options.place(address, environment) as place:
        query = {"connection": names.path(connection, "connection")} if connection else {}
        query |= {"stage": stage} if stage else {}
        listing.show(listing.What.ROTATIONS, list(place.door.items(place.within("/rotations"), query)), as_json)


def rotation(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The rotation.")],
    retry: Annotated[bool, typer.Option("--retry", help="Let a stuck rotation go on.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Undo it; the former credential stays live.")] = False,
    revert: Annotated[bool, typer.Option("--revert", help="While draining: back to the former credential.")] = False,
    address: options.Address = None,
    environment: options.Environment = None,
    as_json: options.Json = False,
) -> None:
    """Tell the story of a rotation, after a retry, abandon or revert if one is asked for."""
    hands = [hand for hand, asked in zip(Hand, (retry, abandon, revert), strict=True) if asked]
    if len(hands) > 1:
        raise typer.BadParameter("give one of --retry, --abandon and --revert")
    with options.place(address, environment) as place:
        path = f"/rotations/{names.identifier(id_)}"
        for hand in hands:
            place.door.post(f"{path}/{hand}", {}, key=uuid.uuid4().hex)
        told = _rotation(place.door.get(path).body)
        if as_json:
            screen.dump(told)
            return
        screen.say(f"rotation {told['id']} of {told.get('connection')} in {told.get('environment')}: {told['stage']}")
        screen.say(
            f"strategy {told.get('strategy')}, asked for by {told.get('requested_by')} at {told.get('created_at')}"
        )
        if told.get("reason"):
            screen.say(f"reason: {told['reason']}")
        screen.table(["AT", "STAGE", "WHAT"], [[s.get("at"), s.get("stage"), s.get("sentence")] for s in told["steps"]])
        drain.show(told.get("drain"))
        for choice in told.get("choices") or ():
            screen.say(f"--{choice.get('hand')}: {choice.get('sentence')}")


def _rehearse(place: options.Place, name: str, as_json: bool, emergency: bool) -> None:
    told = place.door.post(place.within("/rehearsals"), {"connection": name}).body
    if not isinstance(told, dict):
        raise Unexpected(f"{place.found.address} answered with a rehearsal that is none: is this Keywright's address?")
    screen.dump(told) if as_json else rehearsal.show(told)
    if emergency and not as_json:
        screen.say("note: this is the plan without --emergency, with which nothing is announced and nothing drains")
    if told.get("problems"):
        raise typer.Exit(ROTATION_FAILED)


def _follow(place: options.Place, rotation: dict[str, Any], timeout: float, quiet: bool) -> dict[str, Any]:
    """The rotation when it ended well, ended badly, or time was up. Bears a server that is away for a while."""
    until = time.monotonic() + timeout
    shown, (pace, slowest) = 0, PACE
    while True:
        if not quiet:
            for step in rotation["steps"][shown:]:
                screen.say(f"  {step.get('stage')}: {step.get('sentence')}")
        shown = len(rotation["steps"])
        if rotation["stage"] in SUCCEEDED | FAILED or time.monotonic() >= until:
            return rotation
        time.sleep(max(0.0, min(pace, until - time.monotonic())))
        pace = min(slowest, pace * 1.3)
        try:
            rotation = _rotation(place.door.get(f"/rotations/{names.identifier(str(rotation['id']))}").body)
        except (Unreachable, Unavailable):
            if time.monotonic() >= until:
                raise


def _rotation(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict) or not isinstance(body.get("id"), str) or not isinstance(body.get("stage"), str):
        raise Unexpected("the server's rotation has not the form that this client knows: update one of them")
    return body | {"steps": [step for step in body.get("steps") or () if isinstance(step, dict)]}
