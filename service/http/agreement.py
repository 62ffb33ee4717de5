"""Asking for an approval, and applying one, whatever the request is.

    ask      the very request that was refused, once more, with two headers:
                 Keywright-Approval: ask
                 Keywright-Reason: why                      (what is not ASCII in it percent-encoded, as UTF-8)
             It is judged like any other and undone, and kept sealed; answered 202 with the approval.
    apply    `POST /approvals/{id}/apply` by who asked. The kept request goes through this application again, with the
             credentials of the request that applies it; its answer is the answer.

Headers, and no body of their own: any client can add them to what it sends anyway, what is asked is what would have
been done, to the letter, and a request is judged by the rules of its own route. The one who asked applies it, not the
one who agrees: so that what it answers (a token, a password) is told to nobody else, nobody acts in another's name,
and whoever wanted the change is there when it happens.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import quote, unquote

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.types import Message, Scope

from service.core.access import Caller
from service.core.approval import Approval, Carried, Kept, reason
from service.core.errors import ApprovalNeeded, Conflict, Forbidden, Invalid
from service.http.envelope import HEADERS
from service.keeper.asked import Who
from service.keeper.guard import NOT_NEEDED
from service.keeper.keeper import Keeper
from service.keeper.snapshot import View

ASK = "ask"
WISH, REASON = "keywright-approval", "keywright-reason"
CARRIED = "carried"
"""In the state of a request: the approval that it applies. Nothing that a client sends gets there."""
_KEPT = ("content-type", "if-match")
_OURS = {name for name, _ in HEADERS} | {b"x-request-id", b"content-length"}
_INNER = ("route", "endpoint", "path_params", "router", "app", "state")
Handle = Callable[[Request], Awaitable[Response]]


async def answered(request: Request, handle: Handle, show: Callable[[Approval], Response]) -> Response:
    """What a route answers; or, where its caller asks for an approval, that it is asked for. Raises Invalid."""
    given = request.headers.getlist(WISH)
    if not given:
        return await handle(request)
    if given != [ASK]:
        raise Invalid(f"{WISH} must be '{ASK}'; an approval is applied by POST /approvals/ID/apply", field=WISH)
    why = reason(unquote(request.headers.get(REASON, "")))
    caller: Caller = request.state.caller
    if caller.user is None:
        raise Forbidden("only people ask for approvals; machines are judged by their grants")
    request.state.caller = replace(caller, asks=True)
    request.state.who = _as(request.state.who, asks=True)
    try:
        await handle(request)
    except ApprovalNeeded as needed:
        if needed.need is None:
            raise
        keeper: Keeper = request.app.state.keeper
        kept = await _kept(request)
        return show(await run_in_threadpool(keeper.approvals.ask, caller, needed.need, kept, why))
    raise Conflict(NOT_NEEDED)


def carrying(request: Request) -> None:
    """Note at the caller of a request which approval it applies, if it does."""
    carried: Carried | None = request.scope["state"].get(CARRIED)
    if carried is not None:
        request.state.caller = replace(request.state.caller, carries=carried)
        request.state.who = _as(request.state.who, carries=carried)


def _as(who: Who, *, asks: bool = False, carries: Carried | None = None) -> Who:
    def made_out(view: View) -> Caller:
        return replace(who(view), asks=asks, carries=carries)

    return made_out


async def _kept(request: Request) -> Kept:
    headers = tuple((name, value) for name in _KEPT if (value := request.headers.get(name)) is not None)
    query = request.scope["query_string"].decode("latin-1")
    return Kept(request.method, request.scope["path"], query, headers, (await request.body()).decode())


async def again(request: Request, kept: Kept, carried: Carried) -> Response:
    """The answer to a kept request, now that somebody agreed to it."""
    own = [(name, value) for name, value in request.scope["headers"] if name.decode() not in (*_KEPT, "content-length")]
    headers = [*own, *((name.encode(), value.encode("latin-1")) for name, value in kept.headers)]
    scope: Scope = {
        name: value
        for name, value in request.scope.items()
        if name not in _INNER and not name.startswith(("fastapi", "starlette"))
    }
    body = kept.body.encode()
    replaced: Scope = {
        "method": kept.method,
        "path": kept.path,
        "raw_path": quote(kept.path).encode(),
        "query_string": kept.query.encode("latin-1"),
        "headers": [*headers, (b"content-length", str(len(body)).encode())] if body else headers,
        "state": {"request_id": request.state.request_id, CARRIED: carried},
    }
    scope.update(replaced)
    sent = False
    start: Message = {}
    pieces: list[bytes] = []

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return await request.receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
        else:
            pieces.append(message.get("body", b""))

    await request.app(scope, receive, send)
    answer = Response(b"".join(pieces), start["status"])
    answer.raw_headers = [pair for pair in start["headers"] if pair[0] not in _OURS]
    if start["status"] not in (204, 304):
        answer.raw_headers.append((b"content-length", str(sum(map(len, pieces))).encode()))
    return answer
