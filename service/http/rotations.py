"""`/environments/{env}/rotations`, `/rotations/{id}`, `/rehearsals`: asked for, watched, taken in hand."""

import json
from typing import Any

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from service.core.database import Session
from service.core.rotation import ENDED, Stage
from service.http import shapes
from service.http.fetching import Fetching
from service.http.native import native
from service.http.peer import peer_of
from service.http.request import (
    Asking,
    Cursor,
    Id,
    IdempotencyKey,
    Limit,
    TheKeeper,
    Wait,
    Who,
    looking,
    once,
    page,
    position,
)
from service.http.waiting import Waiting
from service.keeper.draining import Draining
from service.keeper.rehearsals import Rehearsal
from service.keeper.rotations import Story
from service.keeper.snapshot import key_of_rotation

router = native("rotations")

DONE = ENDED | {Stage.STUCK, Stage.DRAINING}
"""Where waiting ends: applications have their new credential, or a person must look."""


def shown(it: Story) -> dict[str, Any]:
    """As it is answered."""
    r = it.rotation
    fields = {
        "id": r.id,
        "environment": r.environment,
        "connection": r.connection,
        "strategy": r.strategy,
        "stage": r.stage,
        "reason": r.reason or None,
        "note": r.note or None,
        "requested_by": r.requested_by,
        "emergency": r.emergency,
        "generation": r.generation,
        "created_at": r.created_at,
        "updated_at": r.updated_at,
        "ended_at": r.ended_at,
        "steps": [vars(line) for line in it.lines],
        "choices": [vars(choice) for choice in it.choices],
        "drain": _drain(it.draining) if it.draining else None,
    }
    return shapes.Rotation.model_validate(fields).model_dump(mode="json")


def _drain(it: Draining) -> dict[str, Any]:
    sessions = None if it.sessions is None else [_session(session) for session in it.sessions]
    callers = None if it.callers is None else [vars(caller) for caller in it.callers]
    return vars(it) | {"sessions": sessions, "callers": callers, "unknown": list(it.unknown)}


def _session(it: Session) -> dict[str, Any]:
    return {"username": it.username, "address": it.address, "application": it.application, "since": it.since}


@router.post(
    "/environments/{environment}/rotations",
    status_code=202,
    response_model=shapes.Rotation,
    responses={200: {"model": shapes.Rotation, "description": "It got that far while you waited"}},
)
async def ask(
    request: Request,
    caller: Asking,
    who: Who,
    keeper: TheKeeper,
    waiting: Waiting,
    environment: shapes.Word,
    body: shapes.AskRotation,
    wait: Wait = 0,
    key: IdempotencyKey = None,
) -> Response:
    """Make a rotation due now; an open one of the same connection is joined. `wait` until it drains or ends."""

    def act() -> tuple[int, dict[str, Any]]:
        story, _ = keeper.rotations.ask(caller, environment, body.connection, body.reason, emergency=body.emergency)
        request.app.state.poke()
        return 202, shown(story)

    first = await run_in_threadpool(once, request, keeper, caller, key, body, act, fresh=True)
    if not wait:
        return first
    rotation_id = json.loads(bytes(first.body))["id"]
    fetching: Fetching = request.app.state.fetching

    async def look() -> Story:
        return await run_in_threadpool(keeper.rotations.peek, await fetching.caller(who), rotation_id)

    keys = {key_of_rotation(rotation_id)}
    latest = await waiting.until(keys, look, lambda story: story.rotation.stage in DONE, wait, peer_of(request.scope))
    return JSONResponse(shown(latest), 200 if latest.rotation.stage in DONE else 202)


@router.get("/environments/{environment}/rotations", response_model=shapes.page_of(shapes.Rotation))
def listed(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    connection: shapes.NamePath | None = None,
    stage: Stage | None = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """Rotations, the youngest first, without their steps."""
    found = keeper.rotations.listed(caller, environment, connection, stage, position(cursor), limit)
    return page(found, limit, lambda it: it.rotation.id, shown)


@router.get("/rotations/{rotation_id}", response_model=shapes.Rotation)
def get(caller: Asking, keeper: TheKeeper, rotation_id: Id) -> Any:
    """One rotation with its stages and timings."""
    return shown(keeper.rotations.get(caller, rotation_id))


@router.post("/rotations/{rotation_id}/retry", response_model=shapes.Rotation)
def retry(request: Request, caller: Asking, keeper: TheKeeper, rotation_id: Id) -> Any:
    """Go on now with one that is stuck or waits to try again; it looks before it acts."""
    story = keeper.rotations.retry(caller, rotation_id)
    request.app.state.poke()
    return shown(story)


@router.post("/rotations/{rotation_id}/abandon", response_model=shapes.Rotation)
def abandon(request: Request, caller: Asking, keeper: TheKeeper, rotation_id: Id) -> Any:
    """Undo one that has not been published yet."""
    story = keeper.rotations.abandon(caller, rotation_id)
    request.app.state.poke()
    return shown(story)


@router.post("/rotations/{rotation_id}/revert", response_model=shapes.Rotation)
async def revert(request: Request, caller: Asking, keeper: TheKeeper, rotation_id: Id) -> Any:
    """While it drains: see that the former credential still logs in, and make it the live one again."""
    return shown(await looking(request, lambda: keeper.rotations.revert(caller, rotation_id)))


@router.post("/environments/{environment}/rehearsals", response_model=shapes.Rehearsal)
async def rehearse(
    request: Request, caller: Asking, keeper: TheKeeper, environment: shapes.Word, body: shapes.AskRehearsal
) -> Any:
    """What a rotation would do and meet, tried as far as that goes without effect."""
    return rehearsed(await looking(request, lambda: keeper.rehearsals.rehearse(caller, environment, body.connection)))


def rehearsed(it: Rehearsal) -> dict[str, Any]:
    """As it is answered."""
    endpoints = [
        vars(one) | {"endpoint": str(one.endpoint), "part": one.endpoint.part, "required": one.endpoint.required}
        for one in it.endpoints
    ]
    sessions = None if it.sessions is None else [vars(session) for session in it.sessions]
    lists = {"plan": list(map(vars, it.plan)), "endpoints": endpoints, "callers": list(map(vars, it.callers))}
    return vars(it) | lists | {"sessions": sessions}
