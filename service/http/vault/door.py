"""The Vault door as an application of its own (ASGI 3): every path behind `/v1/`.

It is not in the OpenAPI document of the native door: its contract is Vault's own documentation, and `docs/vault.md`
says how far it goes. Half of its paths are what the mounts make them, and `LIST` is no method that OpenAPI
knows.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.core.errors import Forbidden, KeywrightError, Unauthenticated
from service.core.token import masked
from service.http.claims import believed
from service.http.envelope import STRANGE
from service.http.vault import ask as asking
from service.http.vault import database, kv1, kv2, logins, system, tokens, wrapping
from service.http.vault.answer import Answer
from service.http.vault.ask import Ask, aside
from service.http.vault.errors import NoRoute, Refused, refusal
from service.http.vault.mounts import Engine

_ENGINES = {Engine.KV1: kv1.answer, Engine.KV2: kv2.answer, Engine.DATABASE: database.answer}


class Beside:
    """Around the native door: what is behind `/v1/`, whatever it is, is for this one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        here = scope["type"] == "http" and scope["path"].startswith("/v1/")
        await (door if here else self._app)(scope, receive, send)


async def door(scope: Scope, receive: Receive, send: Send) -> None:
    """One request. What is no error of ours is the envelope's to answer."""
    request = Request(scope, receive)
    try:
        response = await _answered(request)
    except KeywrightError as error:
        if isinstance(error, Unauthenticated) or (isinstance(error, Refused) and error.strange):
            scope["state"][STRANGE] = True
        status, body, headers = refusal(error, scope["path"], request.state.request_id)
        named = {name.decode(): value.decode() for name, value in headers}
        response = Response(body, status, named)
    await response(scope, receive, send)


async def _answered(request: Request) -> Response:
    ask = asking.read(request)
    lasts = wrapping.lasts(ask)
    answer = await _routed(ask, wraps=lasts is not None)
    if answer.empty:
        return Response(None, 204, {"content-type": "application/json"})
    text = answer.text(ask.request_id)
    if lasts is not None and answer.wraps:
        text = await wrapping.wrapped(ask, answer, lasts)
    return Response(text, answer.status, media_type="application/json")


async def _routed(ask: Ask, *, wraps: bool) -> Answer:
    """The answer. Whether it can be wrapped, if it is to be, is judged before anything is done for it."""
    first, _, rest = ask.path.partition("/")
    if first == "sys" and rest in system.PUBLIC:
        return await system.answer(ask, rest)
    if first == "auth" and logins.is_login(rest):
        if wraps:
            await aside(ask.keeper.wrappings.room)
        return await logins.answer(ask, rest)
    caller = await ask.caller()  # no caller, no further word: who is not known learns of no path whether it is there
    await believed(ask.keeper, caller, ask.request.headers.raw, None)
    if wraps:
        await aside(ask.keeper.wrappings.room, caller)
    match first:
        case "sys":
            await ask.inside()
            return await system.answer(ask, rest)
        case "auth":
            await ask.inside()
            kind, _, behind = rest.partition("/")
            if kind == "token":
                return await tokens.answer(ask, behind)
            raise Forbidden("there is no such login")
    found = ask.mounts.find(ask.path)
    if found is None:
        raise NoRoute(f'no handler for route "{masked(ask.path)[:200]}". route entry not found.')
    mount, behind = found
    return await _ENGINES[mount.engine](ask, mount, behind)
