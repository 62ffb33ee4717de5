"""How every native route is entered, in this order:

caller   no caller, no further word: 401 comes before anything that could be wrong with the request
         (by `Authorization`, by a session's cookie, or by a certificate; by one of them, not by two)
page     what came with a cookie came from a page of ours (`cookies.py`), or it is refused
query    a parameter that the operation does not know is refused: a misspelt filter would otherwise list everything
body     its type, its size, its JSON; and its caller once more: a body may take its time, and who lost its token or a
         grant meanwhile does nothing by a request that it had begun before
claims   what it says of its user is what is known of the caller, or it is refused
handler  and only now the shapes and the keeper
"""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.dependencies.models import Dependant
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.convertors import Convertor, register_url_convertor

from service.core.access import Caller
from service.core.approval import Approval
from service.core.errors import Forged, Invalid, Unavailable
from service.http import agreement
from service.http.agreement import Handle
from service.http.body import document
from service.http.certificates import proven_to
from service.http.claims import FIELD, believed
from service.http.cookies import HEADER, Cookies
from service.http.fetching import Fetching
from service.http.problems import WrongType
from service.http.shapes.approvals import shown
from service.keeper.asked import Who
from service.keeper.callers import machine, nobody, signed_in, who
from service.keeper.keeper import Keeper

log = structlog.get_logger("http")


class _Hex(Convertor[str]):
    """An id, where words stand beside it in a path: `/factors/{factor_id:hex}` is not `/factors/totp`."""

    regex = "[0-9a-f]+"

    def convert(self, value: str) -> str:
        """As it stands."""
        return value

    def to_string(self, value: str) -> str:
        """As it stands."""
        return value


register_url_convertor("hex", _Hex())


class Open(APIRoute):
    """A route of the native door that needs no caller: it is how one becomes one."""

    async def meet(self, request: Request) -> None:
        """Make out who asks, where that matters."""

    async def meet_again(self, request: Request) -> None:
        """The same behind the body, where that matters."""

    async def believe(self, request: Request) -> None:
        """Look at what it says of who asks, where that matters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, behind the steps above."""
        handle = super().get_route_handler()
        known = _query(self.dependant)
        takes_body = self.body_field is not None

        async def entered(request: Request) -> Response:
            await self.meet(request)
            _check_query(request, known)
            if takes_body and (body := await request.body()):
                if not _is_json(request):
                    raise WrongType("Content-Type must be application/json")
                request = _Read(request, body)
                await self.meet_again(request)
            await self.believe(request)
            return await self.answered(request, handle)

        return entered

    async def answered(self, request: Request, handle: Handle) -> Response:
        """The handler's answer."""
        return await handle(request)


class Route(Open):
    """A route of the native door. The caller is left in `request.state.caller`; `who` makes it out on a view."""

    async def meet(self, request: Request) -> None:
        """See above. Raises Unauthenticated, Forbidden."""
        request.state.who = who_of(request)
        fetching: Fetching = request.app.state.fetching
        request.state.caller = caller = await fetching.caller(request.state.who)
        await checked(request, caller)
        await used(request, caller)
        agreement.carrying(request)

    async def meet_again(self, request: Request) -> None:
        """See above. Raises Unauthenticated, Forbidden."""
        fetching: Fetching = request.app.state.fetching
        request.state.caller = await fetching.caller(request.state.who)

    async def believe(self, request: Request) -> None:
        """See above. Raises Claimed."""
        body = request.read if isinstance(request, _Read) else None
        await believed(request.app.state.keeper, request.state.caller, request.headers.raw, body)
        if isinstance(body, dict):
            body.pop(FIELD, None)

    async def answered(self, request: Request, handle: Handle) -> Response:
        """The handler's answer; or that somebody is asked to agree to it first."""
        return await agreement.answered(request, handle, _asked)


def _asked(approval: Approval) -> Response:
    return JSONResponse(shown(approval), 202, {"Location": f"/api/v1/approvals/{approval.id}"})


async def checked(request: Request, caller: Caller) -> None:
    """What came by a cookie came from a page of ours. Raises Forged, and records it."""
    cookies: Cookies = request.app.state.cookies
    text = cookies.session(request)
    if text is None:
        return
    try:
        cookies.check(request, request.headers.get(HEADER, ""), text)
    except Forged as forged:
        keeper: Keeper = request.app.state.keeper
        await run_in_threadpool(keeper.sessions.forged, caller, forged, request.method)
        raise


async def used(request: Request, caller: Caller) -> None:
    """Note now and then that a session is in use."""
    keeper: Keeper = request.app.state.keeper
    if keeper.sessions.due(caller):
        try:
            await run_in_threadpool(keeper.sessions.used, caller)
        except Unavailable as error:  # it ends sooner, and nothing else is the matter
            log.warning("that a session is in use was not noted", reason=error.message)


def _query(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_query, dependant.dependencies))


class _Read(Request):
    """A request whose body was read already."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self.read = self._json = document(body)


def address_of(request: Request) -> str:
    """Where it comes from."""
    return request.client.host if request.client else ""


def who_of(request: Request) -> Who:
    """Who asks, to be made out on a view."""
    presented = request.headers.getlist("authorization")
    cookies: Cookies = request.app.state.cookies
    session = cookies.session(request)
    scheme, _, token = presented[0].partition(" ") if presented else ("", "", "")
    # Two of them, and whoever stands in front of us may have judged the other one (RFC 9110, 11.6.2: one).
    address = address_of(request)
    shown = proven_to(request.scope)
    if session is not None:
        if presented:
            return nobody("one token is needed, not two: Authorization, or a session's cookie", address, _id(request))
        return signed_in(session, address, _id(request), shown)
    if len(presented) == 1 and scheme.lower() == "bearer":
        return who(token.strip(" "), address, _id(request), shown)
    said = "exactly one token is needed: Authorization: Bearer kw_…"
    if shown is not None and not presented:
        return machine(shown, said, address, _id(request))
    return nobody(said, address, _id(request))


def _id(request: Request) -> str:
    return str(request.state.request_id)


def _check_query(request: Request, known: set[str]) -> None:
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            shown = name if name.isidentifier() and name.isascii() and len(name) <= 60 else "a parameter"
            raise Invalid(f"query: {shown} is not known here", field="query")
        if names.count(name) > 1:
            raise Invalid(f"{name} is given more than once", field=name)


def _is_json(request: Request) -> bool:
    kinds = request.headers.getlist("content-type")
    return len(kinds) == 1 and kinds[0].partition(";")[0].strip().lower() == "application/json"
