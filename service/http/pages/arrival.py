"""What a browser is answered that comes from an identity provider: let in, on the way, or turned away.

Cookies are of this host alone (`__Host-`), out of reach of scripts, and sent along when somebody follows a link here
(`Lax`: the answer of a provider is such a link). Over plain http, which is for this machine only, browsers keep none
of that name.

What a provider, or whoever sent the browser, wrote is on no page.
"""

import html
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.core.errors import KeywrightError, Unavailable
from service.http.envelope import STRANGE
from service.http.problems import looked_up, note
from service.http.route import address_of
from service.people.arrivals import Arrived, Visitor

SESSION = "keywright"
FACTOR = "keywright-factor"
LONGEST_PATH = 2000
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title} - Keywright</title></head>
<body><main><h1>{title}</h1><p>{sentence}</p><p><a href="/sign-in">Go to the sign-in page</a></p></main></body>
</html>
"""


def visitor(request: Request) -> Visitor:
    """Who comes."""
    return Visitor(address_of(request), request.headers.get("user-agent", ""), request.state.request_id)


def onward(text: str) -> str:
    """Where to go on: a path of ours, whatever was asked for. Anything that leads elsewhere leads to `/`."""
    fits = text.startswith("/") and not text.startswith(("//", "/\\")) and len(text) <= LONGEST_PATH
    if not fits or not text.isascii() or not text.isprintable() or "\\" in text or " " in text:
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    return "/" if parts.scheme or parts.netloc else text


def let_in(request: Request, arrived: Arrived, path: str) -> Response:
    """A session, or a second factor to be shown first; and on."""
    if arrived.text is None:
        answer = RedirectResponse("/sign-in/factor", 303)
        keep(request, answer, FACTOR, arrived.waits)
    else:
        answer = RedirectResponse(path, 303)
        keep(request, answer, SESSION, arrived.text.reveal())
    return answer


def turned_away(request: Request, error: KeywrightError) -> Response:
    """A page that says why. What only those who configure it understand is in the server's log."""
    status, _, title = looked_up(error)
    sentence = error.message
    if status == 401:
        title = "You are not signed in"
    if isinstance(error, Unavailable):
        sentence = "The identity provider cannot be asked now: try again in a while. The server's log says why."
    note(error, status, request.url.path)
    if status in (401, 404, 503):
        request.scope["state"][STRANGE] = True
    said = sentence[:1].upper() + sentence[1:]
    return HTMLResponse(_PAGE.format(title=html.escape(title), sentence=html.escape(said)), status)


def kept(request: Request, name: str) -> str:
    """The text of a cookie of ours; empty where there is none."""
    return request.cookies.get(_named(request, name), "")


def keep(request: Request, answer: Response, name: str, text: str, seconds: int | None = None) -> None:
    """Have the browser keep it; for so long, or until it is closed."""
    safe = _safe(request)
    answer.set_cookie(_named(request, name), text, seconds, path="/", secure=safe, httponly=True, samesite="lax")


def _named(request: Request, name: str) -> str:
    return f"__Host-{name}" if _safe(request) else name


def _safe(request: Request) -> bool:
    here: str = request.app.state.url
    return not here.startswith("http://")
