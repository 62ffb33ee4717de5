"""The frame of every page: its route, its template, its headers, and where one may go on to.

    request ──► handler ──► shown(…, "name.html")       autoescaped (Jinja2), nothing from elsewhere (CSP)
                   └─ refused ──► a page with the sentence, and the status that the native door would answer

A page's form is sent back to its own address. `next` is where somebody wanted to go: a path on this server, or it is
forgotten; a sign-in that sends people to where a stranger wants them is half of a stranger's page.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service.core.access import Caller
from service.core.errors import Invalid, KeywrightError, Often, Unauthenticated
from service.http.cookies import Cookies, proof_of
from service.http.fetching import Fetching
from service.http.problems import looked_up, note
from service.http.route import used, who_of

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
"""With `no-referrer`, browsers send `Origin: null` with a form, even to where the form came from (Fetch, 3.2)."""
LONGEST_NEXT = 2000
MOST_FIELDS = 20
HOME, SIGN_IN = "/", "/sign-in"
_LOCAL = re.compile(r"/(?![/\\])[!-~]*")
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
Fields = Mapping[str, str]


class Page(APIRoute):
    """A route whose refusals are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, with refusals as pages."""
        handle = super().get_route_handler()

        async def entered(request: Request) -> Response:
            try:
                return await handle(request)
            except KeywrightError as refusal:
                return refused(request, refusal)

        return entered


def shown(name: str, status: int = 200, **told: object) -> Response:
    """A page."""
    text = _templates.get_template(name).render(**told)
    return HTMLResponse(text, status, HEADERS)


def refused(request: Request, refusal: KeywrightError, name: str = "", **told: object) -> Response:
    """A page that says why not: a form once more, which takes `problem`, or a page that leads on to `next`."""
    status, _, title = looked_up(refusal)
    note(refusal, status, request.url.path)
    if not name:
        # What the API calls it is about tokens, of which people at a browser know nothing.
        name = "message.html"
        told = {"title": "Not signed in" if isinstance(refusal, Unauthenticated) else title, "next": HOME} | told
    answer = shown(name, status, problem=refusal.message, **told)
    if isinstance(refusal, Often):
        answer.headers["Retry-After"] = str(refusal.after)
    return answer


def onward(wanted: str) -> str:
    """Where to go on: a path on this server, or home."""
    plain = len(wanted) <= LONGEST_NEXT and "\\" not in wanted and _LOCAL.fullmatch(wanted)
    return wanted if plain else HOME


def sent_to(path: str, next_: str = "") -> Response:
    """The browser goes on there, by GET."""
    query = f"?next={quote(next_, safe='/')}" if next_ and next_ != HOME else ""
    return RedirectResponse(path + query, 303, {"Content-Security-Policy": POLICY})


async def form(request: Request) -> Fields:
    """What a form of ours sent. Raises Forged for what another site's page sent, Invalid."""
    cookies_of(request).near(request)
    kinds = request.headers.getlist("content-type")
    if [kind.partition(";")[0].strip().lower() for kind in kinds] != ["application/x-www-form-urlencoded"]:
        raise Invalid("this page takes what its form sends")
    try:
        body = (await request.body()).decode("ascii")
        pairs = parse_qsl(
            body, keep_blank_values=True, strict_parsing=bool(body), errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError:
        raise Invalid("this page takes what its form sends") from None
    if len(dict(pairs)) != len(pairs):
        raise Invalid("this page takes what its form sends")
    return dict(pairs)


async def caller_of(request: Request) -> Caller | None:
    """Who is signed in in this browser; None for nobody. Raises Forbidden for where it may not be used."""
    if cookies_of(request).session(request) is None or request.headers.getlist("authorization"):
        return None
    fetching: Fetching = request.app.state.fetching
    try:
        caller = await fetching.caller(who_of(request))
    except Unauthenticated:
        return None
    await used(request, caller)
    return caller


async def sender_of(request: Request, fields: Fields) -> Caller | None:
    """Who sent a form, from a page of ours; None for nobody. Raises Forged."""
    caller = await caller_of(request)
    if caller is not None:
        cookies = cookies_of(request)
        cookies.check(request, fields.get("csrf", ""), cookies.session(request))
    return caller


def csrf_of(request: Request) -> str:
    """For the hidden field `csrf` of a form of who is signed in."""
    text = cookies_of(request).session(request)
    return proof_of(text) if text else ""


def cookies_of(request: Request) -> Cookies:
    """The cookies of the running server."""
    found: Cookies = request.app.state.cookies
    return found
