"""`/sign-in/oidc/NAME`: to an OpenID provider and back. Not of the API: browsers go here, and the provider itself."""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from service.core.errors import KeywrightError
from service.core.identity import NotLetIn
from service.core.secret import Secret
from service.http.pages import arrival
from service.http.problems import WrongType
from service.http.request import proving
from service.people.oidc_flow import LASTS, CameBack, OidcFlow

router = APIRouter(prefix="/sign-in/oidc", include_in_schema=False)

BROWSER = "keywright-oidc"
"""The cookie by which a browser is known again that went to a provider."""
_LONGEST = {"state": 200, "code": 4096, "iss": 500, "error": 100}


def _flow(request: Request) -> OidcFlow:
    flow: OidcFlow = request.app.state.oidc
    return flow


@router.get("/{name}")
async def begin(request: Request, name: str) -> Response:
    """On to the provider. `next`: the path to go on to once it is proven who it is."""
    path = arrival.onward(request.query_params.get("next", "/"))
    browser = arrival.kept(request, BROWSER)
    try:
        begun = await proving(request, lambda: _flow(request).begin(name, path, browser))
    except KeywrightError as error:
        return arrival.turned_away(request, error)
    answer = RedirectResponse(begun.address, 303)
    arrival.keep(request, answer, BROWSER, begun.browser, int(LASTS.total_seconds()))
    return answer


@router.get("/{name}/callback")
async def callback(request: Request, name: str) -> Response:
    """Back from there. What is in its query is in no log: the code could be shown by somebody else."""
    try:
        back = _came_back(request)
        arrived, path = await proving(request, lambda: _flow(request).finish(name, back, arrival.visitor(request)))
    except KeywrightError as error:
        return arrival.turned_away(request, error)
    return arrival.let_in(request, arrived, path)


@router.post("/{name}/backchannel")
async def told(request: Request, name: str) -> Response:
    """The provider says that sessions are over (OpenID Connect Back-Channel Logout 1.0, 2.5 and 2.8)."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise WrongType("Content-Type must be application/x-www-form-urlencoded")
    tokens = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=20).get("logout_token", [])
    if len(tokens) != 1:
        return _wrong("exactly one logout_token is needed")
    try:
        await proving(request, lambda: _flow(request).told(name, Secret(tokens[0]), arrival.visitor(request)))
    except NotLetIn as wrong:
        return _wrong(wrong.message)
    return Response(status_code=200)


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
    browser = arrival.kept(request, BROWSER)
    return CameBack(brought.get("state", ""), brought.get("code"), brought.get("iss"), brought.get("error"), browser)
