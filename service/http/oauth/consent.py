"""`/oauth/authorize`: a person lets the command line of this very computer in, or does not.

asked ──► wrong in any way ──► a page; nobody is sent anywhere
  ├─────► nobody is signed in ──► /sign-in, and back
  └─────► "Let this computer in?" ──► the answer goes to the port at which the command line listens
"""

from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse, Response

from service.core.errors import Invalid
from service.http.oauth.well_known import issuer
from service.http.pages.frame import POLICY, SIGN_IN, Page, caller_of, csrf_of, form, sender_of, sent_to, shown
from service.http.route import address_of
from service.people.authorization import CLIENT, Authorization, Wish, wish

router = APIRouter(route_class=Page, include_in_schema=False)
PATH = "/oauth/authorize"
STARTED = "Go on only if you started it yourself, on this computer, just now."


def authorization_of(request: Request) -> Authorization:
    """Of the running service."""
    found: Authorization = request.app.state.authorization
    return found


@router.get(PATH)
async def ask(request: Request) -> Response:
    """Let this computer in?"""
    asked = request.query_params.multi_items()
    if len(dict(asked)) != len(asked):
        raise Invalid("a parameter is there twice")  # RFC 6749, 3.1
    wanted = wish(dict(asked))
    caller = await caller_of(request)
    if caller is None or caller.user is None:
        return sent_to(SIGN_IN, f"{PATH}?{urlencode(_asked(wanted))}")
    page = shown(
        "computer.html",
        title="Let this computer in?",
        email=caller.user.email,
        computer={"It calls itself": wanted.host, "Address of this browser": address_of(request)},
        warning=STARTED,
        action=PATH,
        hidden={"csrf": csrf_of(request), **_asked(wanted)},
    )
    # A browser holds the redirect that answers a form against this, too.
    back = urlsplit(wanted.redirect)
    leads = f"form-action 'self' {back.scheme}://{back.netloc}"
    page.headers["Content-Security-Policy"] = POLICY.replace("form-action 'self'", leads)
    return page


@router.post(PATH)
async def decide(request: Request) -> Response:
    """It is decided; the command line is told where it listens."""
    fields = await form(request)
    wanted = wish(dict(fields))
    caller = await sender_of(request, fields)
    if caller is None:
        return sent_to(SIGN_IN, f"{PATH}?{urlencode(_asked(wanted))}")
    authorization = authorization_of(request)
    if fields.get("decision") == "allow":
        answer = {"code": await run_in_threadpool(authorization.allow, caller, wanted)}
    else:
        await run_in_threadpool(authorization.refuse, caller, wanted.host)
        answer = {"error": "access_denied"}
    # Whose answer it is (RFC 9207): a client of several servers cannot be led to take one for another.
    told = urlencode({**answer, "state": wanted.state, "iss": issuer(request)})
    return RedirectResponse(f"{wanted.redirect}?{told}", 303)


def _asked(wanted: Wish) -> dict[str, str]:
    return {
        "client_id": CLIENT,
        "redirect_uri": wanted.redirect,
        "response_type": "code",
        "code_challenge": wanted.challenge,
        "code_challenge_method": "S256",
        "state": wanted.state,
        "host": wanted.host,
    }
