"""`/sign-in/oidc/NAME`: to an OpenID provider and back. Not of the API: browsers go here, and the provider itself.

What a provider, or whoever sent the browser, wrote is on no page, and in no log: a code could be shown by another.
"""

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from service.core.errors import Unavailable, Unrecorded
from service.core.identity import NotLetIn
from service.core.secret import Secret
from service.http.pages.frame import Page, cookies_of, onward
from service.http.pages.sign_in import entered
from service.http.problems import WrongType
from service.http.request import proving
from service.http.route import address_of
from service.http.sessions import people_of, visitor_of
from service.people.oidc_flow import LASTS, CameBack

T = TypeVar("T")
router = APIRouter(prefix="/sign-in/oidc", route_class=Page, include_in_schema=False)

BROWSER = "-oidc"
"""Behind the name: the cookie by which a browser is known again that went to a provider."""
_SILENT = "the identity provider cannot be asked now: try again in a while. The server's log says why"
_LONGEST = {"state": 200, "code": 4096, "iss": 500, "error": 100}


@router.get("/{name}")
async def begin(request: Request, name: str, next: str = "") -> Response:  # noqa: A002 - as the address has it
    """On to the provider; to the path `next` once it is proven who it is."""
    cookies, oidc = cookies_of(request), people_of(request).oidc
    browser = cookies.other(request, BROWSER)
    begun = await _asking(request, lambda: oidc.begin(name, onward(next), address_of(request), browser))
    answer = RedirectResponse(begun.address, 303)
    cookies.keep_other(answer, BROWSER, begun.browser, LASTS)
    return answer


@router.get("/{name}/callback")
async def callback(request: Request, name: str) -> Response:
    """Back from there."""
    back, oidc, visitor = _came_back(request), people_of(request).oidc, visitor_of(request)
    found, path = await _asking(request, lambda: oidc.finish(name, back, visitor))
    return entered(request, found, path)


@router.post("/{name}/backchannel")
async def told(request: Request, name: str) -> Response:
    """The provider says that sessions are over (OpenID Connect Back-Channel Logout 1.0, 2.5 and 2.8)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise WrongType("Content-Type must be application/x-www-form-urlencoded")
    tokens = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=20).get("logout_token", [])
    if len(tokens) != 1:
        return _wrong("exactly one logout_token is needed")
    oidc, visitor = people_of(request).oidc, visitor_of(request)
    try:
        await _asking(request, lambda: oidc.told(name, Secret(tokens[0]), visitor))
    except NotLetIn as wrong:
        return _wrong(wrong.message)
    return Response(status_code=200)


async def _asking(request: Request, act: Callable[[], T]) -> T:
    """What asks a provider. Why it cannot be asked is for the log alone. Raises Unavailable."""
    try:
        return await proving(request, act)
    except Unrecorded:
        raise
    except Unavailable as silent:
        raise Unavailable(_SILENT, place=silent.message) from None


def _wrong(message: str) -> Response:
    return JSONResponse({"error": "invalid_request", "error_description": message}, 400)


def _came_back(request: Request) -> CameBack:
    brought: dict[str, str] = {}
    for name, longest in _LONGEST.items():
        values = request.query_params.getlist(name)
        if len(values) > 1 or any(len(each) > longest for each in values):
            raise NotLetIn("the answer of the identity provider is not one: begin once more", f"query {name}")
        if values:
            brought[name] = values[0]
    browser = cookies_of(request).other(request, BROWSER)
    return CameBack(brought.get("state", ""), brought.get("code"), brought.get("iss"), brought.get("error"), browser)
