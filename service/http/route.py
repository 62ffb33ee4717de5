"""How every native route is entered, in this order:

caller   no caller, no further word: 401 comes before anything that could be wrong with the request
query    a parameter that the operation does not know is refused: a misspelt filter would otherwise list everything
body     its type, its size, its JSON
handler  and only now the shapes and the keeper
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from service.core.errors import Invalid
from service.http.body import document
from service.http.certificates import proven_to
from service.http.fetching import Fetching
from service.http.problems import WrongType
from service.keeper.asked import Who
from service.keeper.callers import machine, nobody, who


class Open(APIRoute):
    """A route of the native door that needs no caller: it is how one becomes one."""

    async def meet(self, request: Request) -> None:
        """Make out who asks, where that matters."""

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
            return await handle(request)

        return entered


class Route(Open):
    """A route of the native door. The caller is left in `request.state.caller`; `who` makes it out on a view."""

    async def meet(self, request: Request) -> None:
        """See above. Raises Unauthenticated, Forbidden."""
        request.state.who = _who(request)
        fetching: Fetching = request.app.state.fetching
        request.state.caller = await fetching.caller(request.state.who)


def _query(dependant: Dependant) -> set[str]:
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_query, dependant.dependencies))


class _Read(Request):
    """A request whose body was read already."""

    def __init__(self, request: Request, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._json = document(body)


def address_of(request: Request) -> str:
    """Where it comes from."""
    return request.client.host if request.client else ""


def _who(request: Request) -> Who:
    presented = request.headers.getlist("authorization")
    scheme, _, token = presented[0].partition(" ") if presented else ("", "", "")
    # Two of them, and whoever stands in front of us may have judged the other one (RFC 9110, 11.6.2: one).
    address = address_of(request)
    shown = proven_to(request.scope)
    if len(presented) == 1 and scheme.lower() == "bearer":
        return who(token.strip(" "), address, request.state.request_id, shown)
    said = "exactly one token is needed: Authorization: Bearer kw_…"
    if shown is not None and not presented:
        return machine(shown, said, address, request.state.request_id)
    return nobody(said, address, request.state.request_id)


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
