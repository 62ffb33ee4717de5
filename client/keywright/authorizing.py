"""How a person signs the command line in: by a browser on this computer, or by one elsewhere.

    browser   the server's page is opened, and leads back to a port that is listened on here, for this once, on the
              loopback address (RFC 8252), with a code that is of use with the verifier only (PKCE, RFC 7636)
    device    a short code is shown, and typed in at the server's page by whoever sees it (RFC 8628)

Either ends in a session of its own at the server, whose text is neither shown nor an argument of any process.
"""

import base64
import hashlib
import hmac
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2

from keywright.address import checked_address
from keywright.answers import failures
from keywright.certificate import Certificate
from keywright.errors import Forbidden, Unauthenticated, Unavailable, Unexpected
from keywright.printable import printable
from keywright.trust import Trust

CLIENT = "keywright"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
PATIENCE = 300.0
"""Seconds that a browser is waited for."""
_CALLBACK = "/callback"
_WAITS = 10.0
_SLOWER = 5.0
"""Seconds that a computer waits longer each time that it asked too soon (RFC 8628, 3.5)."""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Keywright</title></head>
<body><h1>{title}</h1><p>{sentence} You can close this page.</p></body></html>
"""


class Authorizing:
    """One server, asked for a session. Close it when done."""

    def __init__(self, address: str, ca: str | None, certificate: Certificate | None) -> None:
        """As a `Door`. Raises Invalid."""
        self._address = address
        self._http = httpx2.Client(timeout=_WAITS, **Trust(address, ca, certificate).settings())

    def __enter__(self) -> "Authorizing":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def by_browser(self, opened: Callable[[str], bool], say: Callable[[str], None], patience: float = PATIENCE) -> str:
        """The session's text. `opened` opens an address in a browser, or cannot; `say` tells the person what to do.

        Raises Forbidden where the person refused, and every error of `errors`.
        """
        issuer = self._issuer()
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
        digest = hashlib.sha256(verifier.encode()).digest()
        with _Listening(state, issuer) as listening:
            asked = {
                "client_id": CLIENT,
                "response_type": "code",
                "redirect_uri": listening.redirect,
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
                "state": state,
                "host": socket.gethostname()[:64],
            }
            page = f"{issuer}/oauth/authorize?{urlencode(asked)}"
            if opened(page):
                say("a page was opened in your browser: go on there. If you see none, open this yourself:")
            else:
                say("open this in a browser on this computer:")
            say(page)
            answer = listening.wait(patience)
        if answer is None:
            raise Unauthenticated("nobody went on in the browser in time: run `keywright login` again")
        if "code" not in answer:
            raise Forbidden("this computer was not let in: it was refused in the browser")
        code = {"code": answer["code"], "redirect_uri": listening.redirect, "code_verifier": verifier}
        status, body = self._post("/oauth/token", {"grant_type": "authorization_code", "client_id": CLIENT, **code})
        return self._token(status, body)

    def by_device(
        self,
        say: Callable[[str], None],
        pause: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> str:
        """The session's text. Raises as `by_browser`."""
        status, begun = self._post("/oauth/device-authorization", {"client_id": CLIENT, "host": socket.gethostname()})
        try:
            secret, code = str(begun["device_code"]), str(begun["user_code"])
            page, until = str(begun["verification_uri"]), now() + float(begun["expires_in"])
            interval = min(max(float(begun.get("interval", 5)), 1.0), 60.0)
        except (KeyError, TypeError, ValueError):
            raise self._strange(status, begun) from None
        say(f"open {page} in any browser, and type this code there:  {code}")
        while now() < until:
            pause(interval)
            asked = {"grant_type": DEVICE_GRANT, "client_id": CLIENT, "device_code": secret}
            status, body = self._post("/oauth/token", asked)
            if body.get("error") == "slow_down":
                interval += _SLOWER
            elif body.get("error") != "authorization_pending":
                return self._token(status, body)
        raise Unauthenticated("nobody let this computer in in time: run `keywright login --device` again")

    def _issuer(self) -> str:
        """Under which address the server signs people in. Raises Unexpected, Invalid."""
        with failures(self._address, _WAITS):
            answer = self._http.get(f"{self._address}/.well-known/oauth-authorization-server")
        body = _object(answer)
        issuer = body.get("issuer")
        if answer.status_code != 200 or not isinstance(issuer, str):
            raise self._strange(answer.status_code, body)
        return checked_address(issuer, {})

    def _post(self, path: str, form: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        with failures(self._address, _WAITS):
            answer = self._http.post(f"{self._address}{path}", data=dict(form))
        return answer.status_code, _object(answer)

    def _token(self, status: int, body: Mapping[str, Any]) -> str:
        token = body.get("access_token")
        if status == 200 and isinstance(token, str) and token.startswith("kw_"):
            return token
        match body.get("error"):
            case "access_denied":
                raise Forbidden("this computer was not let in: it was refused in the browser")
            case "expired_token" | "invalid_grant":
                raise Unauthenticated("the server let nobody in by this: run `keywright login` again")
            case _:
                raise self._strange(status, body)

    def _strange(self, status: int, body: Mapping[str, Any]) -> Exception:
        if status in (429, 503):
            return Unavailable(f"{self._address} is too busy to sign anybody in: try again in a while", status=status)
        told = body.get("error_description")
        about = f": {printable(told)[:200]}" if isinstance(told, str) else ": is this Keywright's address?"
        return Unexpected(f"{self._address} did not sign you in ({status}){about}", status=status)


class _Listening:
    """A port of this computer at which one answer is waited for."""

    def __init__(self, state: str, issuer: str) -> None:
        outer = self
        self._state, self._issuer = state, issuer
        self._answer: dict[str, str] | None = None

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # seconds: whoever connects and says nothing holds nobody up

            def do_GET(self) -> None:
                outer._met(self)

            def log_message(self, *_: object) -> None:
                """The address holds a code: it is noted nowhere."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.redirect = f"http://127.0.0.1:{self._server.server_port}{_CALLBACK}"

    def __enter__(self) -> "_Listening":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def wait(self, patience: float) -> dict[str, str] | None:
        """What came, if it came in so many seconds."""
        until = time.monotonic() + patience
        while self._answer is None and (left := until - time.monotonic()) > 0:
            self._server.timeout = left
            self._server.handle_request()
        return self._answer

    def _met(self, request: BaseHTTPRequestHandler) -> None:
        """Others may ask here, too: any page, and any program of this computer. Only who knows `state` is listened to,
        and only for the server that was asked (RFC 9207)."""
        parts = urlsplit(request.path)
        said = dict(parse_qsl(parts.query))
        ours = request.headers.get("Host") == urlsplit(self.redirect).netloc and parts.path == _CALLBACK
        known = hmac.compare_digest(said.get("state", "").encode(), self._state.encode())
        if not (ours and known and said.get("iss") == self._issuer and ("code" in said or "error" in said)):
            _tell(request, 404, "Nothing here", "This is not what was waited for.")
            return
        self._answer = said
        if "code" in said:
            _tell(request, 200, "You are signed in", "Go on where you started `keywright login`.")
        else:
            _tell(request, 200, "Not signed in", "The computer was not let in.")


def _tell(request: BaseHTTPRequestHandler, status: int, title: str, sentence: str) -> None:
    body = _PAGE.format(title=title, sentence=sentence).encode()
    request.send_response(status)
    for name, value in {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Length": str(len(body)),
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Connection": "close",
    }.items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(body)


def _object(answer: httpx2.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
