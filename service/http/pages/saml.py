"""`/sign-in/saml/NAME`: to a SAML provider and back. Not of the API: browsers go here.

The answer of a provider is a form that its page posts here, across sites. Cookies that browsers send along then must
say `SameSite=None`, and they keep such ones over https only. Over plain http, which is for this machine only, the
cookie says nothing of it, and browsers send it along for two minutes.
"""

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from service.core.identity import NotLetIn
from service.http.pages.frame import SIGN_IN, Page, cookies_of, onward, sent_to
from service.http.pages.sign_in import entered
from service.http.problems import WrongType
from service.http.request import proving
from service.http.route import address_of
from service.http.sessions import people_of, visitor_of
from service.people.saml_flow import LASTS

router = APIRouter(prefix="/sign-in/saml", route_class=Page, include_in_schema=False)

BROWSER = "-saml"
"""Behind the name: the cookie by which a browser is known again that went to a provider."""
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 10
LONGEST_RELAY = 200


@router.get("/{name}")
async def begin(request: Request, name: str, next: str = "") -> Response:  # noqa: A002 - as the address has it
    """On to the provider; to the path `next` once it is proven who it is."""
    cookies, saml = cookies_of(request), people_of(request).saml
    browser = cookies.other(request, BROWSER)
    going = await proving(request, lambda: saml.begin(name, onward(next), address_of(request), browser))
    answer = RedirectResponse(going.address, 303)
    cookies.keep_other(answer, BROWSER, going.browser, LASTS, across=True)
    return answer


@router.post("/{name}/acs")
async def acs(request: Request, name: str) -> Response:
    """Back from there (assertion consumer service). It comes from another site: what waits tells whether it may."""
    browser, saml, visitor = cookies_of(request).other(request, BROWSER), people_of(request).saml, visitor_of(request)
    message = _message(request, await request.body())
    found, path = await proving(request, lambda: saml.finish(name, message, browser, visitor))
    return entered(request, found, path)


@router.get("/{name}/metadata")
async def metadata(request: Request, name: str) -> Response:
    """What the provider has to know of us; its address is our name there."""
    saml = people_of(request).saml
    told = await proving(request, lambda: saml.metadata(name))
    return Response(told, media_type="application/samlmetadata+xml")


@router.get("/{name}/logout")
async def logout(request: Request, name: str) -> Response:
    """Somebody signed out there, or comes back from there after signing out here."""
    query: str = request.scope["query_string"].decode("latin-1")
    relay = request.query_params.get("RelayState", "")[:LONGEST_RELAY]
    if "SAMLResponse" in request.query_params and "SAMLRequest" not in request.query_params:
        return sent_to(SIGN_IN)  # it was asked for after the session had ended: nothing depends on it
    saml, visitor = people_of(request).saml, visitor_of(request)
    address = await proving(request, lambda: saml.told(name, query, relay, visitor))
    return RedirectResponse(address, 303) if address else sent_to(SIGN_IN)


def _message(request: Request, body: bytes) -> str:
    """The one SAMLResponse of a form. What else is in it decides nothing. Raises WrongType, NotLetIn."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise WrongType(f"Content-Type must be {FORM}")
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=MOST_FIELDS).get("SAMLResponse", [])
    except ValueError:
        found = []
    if len(found) != 1:
        raise NotLetIn("the answer of the identity provider is not one: begin once more", "form")
    return found[0]
