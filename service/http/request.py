"""What handlers take from a request: the caller, preconditions, cursors, idempotency."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Header, Path, Query, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel, BeforeValidator, Field

from service.core.access import Caller
from service.core.errors import Invalid, Unavailable
from service.http import shapes
from service.http.envelope import STRANGE
from service.http.waiting import LONGEST
from service.keeper import asked as keeper_asked
from service.keeper.environments import ANY
from service.keeper.keeper import Keeper

bearer = HTTPBearer(auto_error=False, description="A token from `POST /tokens`; the first one is shown by `init`.")

T = TypeVar("T")

WAITING = 200
"""Logins that may wait for a thread."""


def keeper_of(request: Request) -> Keeper:
    """The keeper of the running service."""
    keeper: Keeper = request.app.state.keeper
    return keeper


def caller_of(request: Request, _: Annotated[object, Depends(bearer)]) -> Caller:
    """Who asks: `Route` made that out before anything else. (The bearer scheme is named for the OpenAPI document.)"""
    caller: Caller = request.state.caller
    return caller


def who_asks(request: Request) -> keeper_asked.Who:
    """Makes the caller out anew: whoever waited may have lost its token or a grant meanwhile."""
    who: keeper_asked.Who = request.state.who
    return who


def _number(pattern: str) -> BeforeValidator:
    # Query strings are texts, and what pydantic makes numbers of is wider than what JSON Schema calls so ("1_0").
    def plain(text: object) -> object:
        return text if not isinstance(text, str) or re.fullmatch(pattern, text) else "no number"

    return BeforeValidator(plain)


Asking = Annotated[Caller, Depends(caller_of)]
Who = Annotated[keeper_asked.Who, Depends(who_asks)]
TheKeeper = Annotated[Keeper, Depends(keeper_of)]

Id = Annotated[str, Path(max_length=64, pattern=r"^[0-9a-f]{1,64}$")]
"""Of a thing, in a path."""
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description='The revision that is meant, as `ETag` gave it: `"3"`.', max_length=100),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="An `ETag` that is already known.", max_length=1000)
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Repeating a request with the same key gives the same answer and does nothing twice.",
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
    ),
]
Wait = Annotated[
    float,
    Field(ge=0, le=LONGEST),
    _number(r"-?[0-9]{1,20}(\.[0-9]{1,2000})?([eE][+-]?[0-9]{1,3})?"),
    Query(description="Seconds to wait for a change."),
]
Limit = Annotated[int, Field(ge=1, le=500), _number(r"-?[0-9]{1,20}(\.0)?"), Query(description="How many at the most.")]
Seconds = Annotated[
    int,
    Field(ge=0, le=60),
    _number(r"-?[0-9]{1,20}(\.0)?"),
    Query(description="How long at the most: then `next` says where to go on. 0: to the end."),
]
InFolder = Annotated[shapes.Folder, Query(description="Only what lies in this folder, at any depth.")]
Cursor = Annotated[
    str, Query(max_length=400, pattern=r"^[A-Za-z0-9_-]*$", description="`next` of the page before; empty to begin.")
]

_REVISION = re.compile(r'"([0-9]{1,18})"|([0-9]{1,18})')


def revision(if_match: str | None) -> int | None:
    """The revision in an If-Match header (RFC 9110, 13.1.1); None for none, ANY for `*`. Raises Invalid."""
    if if_match is None:
        return None
    if if_match.strip() == "*":
        return ANY
    found = _REVISION.fullmatch(if_match.strip())
    if found is None:
        raise Invalid('If-Match must be a revision as ETag gave it, such as "3"', field="If-Match")
    return int(found[1] or found[2])


def position(cursor: str) -> str:
    """What a cursor stands for. Raises Invalid."""
    try:
        found = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        found = "\0"
    if not (found.isascii() and found.isprintable()):  # names and ids, of which cursors are made, are
        raise Invalid("cursor is not one that was given out", field="cursor")
    return found


def cursor_of(position: str) -> str:
    """The cursor that stands for a position."""
    return base64.urlsafe_b64encode(position.encode()).rstrip(b"=").decode()


def page(items: list[Any], limit: int, last: Callable[[Any], str], show: Callable[[Any], Any]) -> dict[str, Any]:
    """A page of a list, with the cursor of the next one when there may be one."""
    following = None
    if len(items) == limit:
        following = cursor_of(last(items[-1]))
    return {"items": [show(item) for item in items], "next": following}


def once(
    request: Request,
    keeper: Keeper,
    caller: Caller,
    key: str | None,
    body: BaseModel,
    act: Callable[[], tuple[int, dict[str, Any]]],
    *,
    fresh: bool,
) -> Response:
    """Do something once per Idempotency-Key, or simply do it when there is no key.

    `fresh`: does doing it ask a person for a fresh second factor? Then being told of it once more does, too.
    """
    if key is None:
        status, answer = act()
        return JSONResponse(answer, status)
    said = json.dumps([request.method, request.url.path, body.model_dump(mode="json")], sort_keys=True).encode()
    known = keeper.replies.known(caller, key, said, fresh=fresh)
    if known is None:
        status, answer = act()
        keeper.replies.keep(caller, key, said, status, answer)
    else:
        status, answer = known
    return JSONResponse(answer, status, {"Idempotency-Replayed": "true"} if known else None)


async def looking(request: Request, act: Callable[[], T]) -> T:
    """Run what waits for somebody's database, in a few threads of its own: a silent one holds up nothing else."""
    limiter: CapacityLimiter = request.app.state.looks
    return await to_thread.run_sync(act, limiter=limiter)


async def proving(request: Request, act: Callable[[], T]) -> T:
    """Run a login that may wait for an issuer or a cluster, in threads of its own: nothing else is held up by it.

    Raises Unavailable where too many wait for one already. Whoever it says nothing of counts as not known.
    """
    return await _in_turn(request, request.app.state.proofs, act)


async def hashing(request: Request, act: Callable[[], T]) -> T:
    """The same for what hashes passwords: nothing else waits for a thread behind those who flood the door."""
    return await _in_turn(request, request.app.state.hashing, act)


async def _in_turn(request: Request, limiter: CapacityLimiter, act: Callable[[], T]) -> T:
    try:
        if limiter.statistics().tasks_waiting >= WAITING:
            raise Unavailable("as many logins wait as this server allows: try again in a while")
        return await to_thread.run_sync(act, limiter=limiter)
    except Unavailable:
        request.scope["state"][STRANGE] = True
        raise
