"""The session's cookie, and what a request has to show beside it.

    __Host-keywright   Secure, HttpOnly, SameSite=Lax, Path=/, no Domain: sent over TLS, to this host, by its pages
                       (RFC 6265bis, 4.1.3: another host of the same domain can neither read nor set one of this name)
    keywright          the same without Secure, for development: where people reach the server by http on their machine

A browser adds the cookie to whatever any page makes it send. So what changes something shows more:

    X-CSRF-Token       an HMAC of the session's secret, which `GET /session` tells to pages of ours only
    Origin             where there is one, it is ours; Sec-Fetch-Site, where there is one, is `same-origin` or `none`
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response

from service.core.errors import Forged

SameSite = Literal["lax", "none"] | None
SECURE, PLAIN = "__Host-keywright", "keywright"
WAITING = "-waiting"
"""Behind the name: the cookie of a sign-in that waits for its other half."""
HEADER = "X-CSRF-Token"
_SAFE = ("GET", "HEAD", "OPTIONS")
_NOT_OURS = "this came with a cookie, but from a page of another site: go on from a page of this server"
_NO_TOKEN = f"what changes something by a cookie needs the header {HEADER}, as GET /api/v1/session tells it"


class Cookies:
    """Of one server. `url` is where people reach it; empty if nobody said. `secure` is whether by TLS."""

    def __init__(self, url: str = "", *, secure: bool = True) -> None:
        self._url = url
        self.secure = secure
        self.name = SECURE if secure else PLAIN

    def session(self, request: Request) -> str | None:
        """The text that a browser shows; None for none. More than one is none of them: the empty text."""
        return self._text(request, self.name)

    def waiting(self, request: Request) -> str:
        """The text of the sign-in that waits in this browser; empty for none."""
        return self._text(request, self.name + WAITING) or ""

    def keep(self, response: Response, text: str) -> None:
        """Give the browser a session. What waited there is over."""
        self._set(response, self.name, text)
        self._drop(response, self.name + WAITING)

    def wait(self, response: Response, text: str) -> None:
        """Give the browser what it is to show to go on with its sign-in."""
        self._set(response, self.name + WAITING, text)

    def other(self, request: Request, what: str) -> str:
        """The text of another cookie of ours; `what` stands behind the name. Empty for none."""
        return self._text(request, self.name + what) or ""

    def keep_other(self, response: Response, what: str, text: str, lasts: timedelta, *, across: bool = False) -> None:
        """Give the browser one, for so long. `across`: it comes back with forms that other sites post, too."""
        # Browsers take `None` with Secure only; one that says nothing they send along to anywhere for two minutes.
        same: SameSite = "lax" if not across else "none" if self.secure else None
        self._set(response, self.name + what, text, int(lasts.total_seconds()), same)

    def forget(self, response: Response) -> None:
        """Take it all from the browser."""
        self._drop(response, self.name)
        self._drop(response, self.name + WAITING)

    def check(self, request: Request, shown: str, text: str | None) -> None:
        """Did a page of ours send this? `shown` is what it shows for the session's `text`. Raises Forged."""
        self.near(request)
        if request.method not in _SAFE and not (text and hmac.compare_digest(shown.encode(), proof_of(text).encode())):
            raise Forged(_NO_TOKEN)

    def near(self, request: Request) -> None:
        """Does it come from another site, as far as the browser says? Raises Forged."""
        for said in request.headers.getlist("sec-fetch-site"):
            if said not in ("same-origin", "none"):
                raise Forged(_NOT_OURS)
        for origin in request.headers.getlist("origin"):
            if not self._ours(origin, request.headers.getlist("host")):
                raise Forged(_NOT_OURS)

    def _ours(self, origin: str, hosts: Sequence[str]) -> bool:
        if self._url and origin == self._url:
            return True
        found = urlsplit(origin)
        return found.scheme == ("https" if self.secure else "http") and [found.netloc] == list(hosts)

    def _set(
        self, response: Response, name: str, text: str, seconds: int | None = None, same: SameSite = "lax"
    ) -> None:
        response.set_cookie(name, text, seconds, path="/", secure=self.secure, httponly=True, samesite=same)

    def _drop(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self.secure, httponly=True, samesite="lax")

    @staticmethod
    def _text(request: Request, name: str) -> str | None:
        found = [text for header in request.headers.getlist("cookie") for text in named(header, name)]
        return found[0] if len(found) == 1 else "" if found else None


def named(header: str, name: str) -> list[str]:
    """The values of this name in a Cookie header (RFC 6265, 4.2.1)."""
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return [text for key, _, text in pairs if key == name]


def sessions_in(header: bytes) -> list[bytes]:
    """What may be sessions in a Cookie header, whichever of the two names this server uses."""
    text = header.decode("latin-1")
    return [found.encode("latin-1") for name in (SECURE, PLAIN) for found in named(text, name)]


def proof_of(text: str) -> str:
    """What a page of ours shows beside the cookie with this text."""
    made = hmac.digest(text.encode(), b"keywright csrf 1", hashlib.sha256)
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()
