"""What handlers take from a request: the caller, preconditions, cursors, idempotency."""

import base64
import binascii
import json
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Header, Query, Request
from fastapi.responses import JSONResponse, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from service.core.access import Caller
from service.core.errors import Invalid, Unauthenticated
from service.http.waiting import LONGEST
from service.keeper.keeper import Keeper

_bearer = HTTPBearer(auto_error=False, description="A token from `POST /tokens`; the first one is shown by `init`.")


def keeper_of(request: Request) -> Keeper:
    """The keeper of the running service."""
    keeper: Keeper = request.app.state.keeper
    return keeper


def caller_of(request: Request, presented: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
    """Who asks. Raises Unauthenticated, Forbidden."""
    address = request.client.host if request.client else ""
    if presented is None:
        raise Unauthenticated("a token is needed: Authorization: Bearer kw_…")
    return keeper_of(request).tokens.authenticate(presented.credentials, address, request.state.request_id)


Asking = Annotated[Caller, Depends(caller_of)]
TheKeeper = Annotated[Keeper, Depends(keeper_of)]

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
Wait = Annotated[float, Query(ge=0, le=LONGEST, description="Seconds to wait for a change.")]
Limit = Annotated[int, Query(ge=1, le=500, description="How many at the most.")]
Cursor = Annotated[
    str, Query(max_length=400, pattern=r"^[A-Za-z0-9_-]*$", description="`next` of the page before; empty to begin.")
]


def revision(if_match: str | None) -> int | None:
    """The revision in an If-Match header (RFC 9110, 13.1.1); None for none or `*`. Raises Invalid."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 18:
        raise Invalid('If-Match must be a revision as ETag gave it, such as "3"', field="If-Match")
    return int(text)


def position(cursor: str) -> str:
    """What a cursor stands for. Raises Invalid."""
    try:
        return base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Invalid("cursor is not one that was given out", field="cursor") from None


def page(items: list[Any], limit: int, last: Callable[[Any], str], show: Callable[[Any], Any]) -> dict[str, Any]:
    """A page of a list, with the cursor of the next one when there may be one."""
    following = None
    if len(items) == limit:
        following = base64.urlsafe_b64encode(last(items[-1]).encode()).rstrip(b"=").decode()
    return {"items": [show(item) for item in items], "next": following}


def once(
    request: Request,
    keeper: Keeper,
    caller: Caller,
    key: str | None,
    body: BaseModel,
    act: Callable[[], tuple[int, dict[str, Any]]],
) -> Response:
    """Do something once per Idempotency-Key, or simply do it when there is no key."""
    if key is None:
        status, answer = act()
        return JSONResponse(answer, status)
    said = json.dumps([request.method, request.url.path, body.model_dump(mode="json")], sort_keys=True).encode()
    known = keeper.replies.known(caller, key, said)
    if known is None:
        status, answer = act()
        keeper.replies.keep(caller, key, said, status, answer)
    else:
        status, answer = known
    return JSONResponse(answer, status, {"Idempotency-Replayed": "true"} if known else None)
