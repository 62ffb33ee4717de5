"""Around every request: an id, limits of size and of rate, headers that keep answers out of caches, a line in the log.

A bare ASGI middleware: nothing is buffered, and a body that is too large is cut off while it arrives. Successful
fetches, which the event log has, leave no line.
"""

import time
from collections.abc import Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core.errors import TooLarge
from service.http import problems
from service.http.certificates import proven_to
from service.http.cookies import sessions_in
from service.http.limits import token_in
from service.http.plain import Bare
from service.http.reception import WRONG, Reception, Refusal

LARGEST_BODY = 256 * 1024
LONGEST_PATH = 8192
CSP, REFERRER = b"content-security-policy", b"referrer-policy"
POLICIES = (CSP, REFERRER)
"""What a page may say otherwise."""
HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (CSP, b"default-src 'none'; frame-ancestors 'none'"),
    (REFERRER, b"no-referrer"),
]
STRANGE = "strange"
"""Set in a request's state by a door that answers who is not known otherwise than with 401."""
_NONE: Mapping[str, Bare] = {}
_BODY = "the body is larger than 256 KiB"
_VAULT = "/v1/"
_DOORS = ("/api/", "/scim/", _VAULT, "/sign-in", "/sign-out", "/oauth/")
_WATCHED = "/v1/sys/health"
"""Whoever watches (here, or at `/healthz`, `/readyz`, `/metrics`) is turned away by no limit: that would look like a
failure."""

_LONG: Refusal = (414, "too-long", "Too long", "the address is longer than 8,192 bytes")
_LARGE: Refusal = (413, "too-large", "Too large", _BODY)


class Envelope:
    """Wraps the application. One event loop's thread uses it, and the limits that several of them may share."""

    def __init__(self, app: ASGIApp, reception: Reception, bares: Mapping[str, Bare] = _NONE) -> None:
        """`bares` are the shapes of refusals of other doors, by the first four characters of their paths."""
        self._app = app
        self._reception = reception
        self._bares = bares

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        reception = self._reception
        state = scope.setdefault("state", {})
        let_in = "request_id" in state  # by the fast lane: it is not charged for twice
        request_id = state["request_id"] if let_in else reception.new_id()
        state["request_id"] = request_id
        given = (b"x-request-id", request_id.encode())
        method, path = scope["method"], scope["path"]
        bare = self._bares.get(path[:4], problems.bare)
        address = (scope.get("client") or ("",))[0]
        status = 500
        received = 0
        started = turned = False
        # HEAD is GET without its body (RFC 9110, 9.3.2), events and all; the server leaves the body out.
        inner = {**scope, "method": "GET"} if method == "HEAD" else scope
        state["bare"] = method == "HEAD"

        async def sent(message: Message) -> None:
            nonlocal status, started, turned
            if turned:
                return
            if message["type"] == "http.response.start":
                strange = message["status"] == 401 or STRANGE in state
                if strange and not reception.limits.refused(address):
                    turned, started, status = True, True, 429
                    await _refuse(send, WRONG, request_id, bare)
                    return
                started = True
                status = message["status"]
                given_ = message["headers"]
                # A page says itself what it may load, and where from its forms come; of two policies both would hold.
                own = {name for name, _ in given_}.intersection(POLICIES)
                message["headers"] = [*given_, *(each for each in HEADERS if each[0] not in own), given]
            await send(message)

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            if body := message.get("body"):
                received += len(body)
                if received > LARGEST_BODY:
                    raise TooLarge(_BODY)
            return message

        declared, shown = b"", set[bytes]()
        for name, value in scope["headers"]:
            if name == b"content-length":
                declared = value
            elif name == b"authorization":
                shown.add(token_in(value))
            elif name == b"x-vault-token" and path.startswith(_VAULT):
                shown.add(value)
            elif name == b"cookie" and not path.startswith(_VAULT):
                shown.update(sessions_in(value))
        # As the doors see it: what is empty is none, and of several that differ none counts.
        shown.discard(b"")
        token = shown.pop() if len(shown) == 1 else b""
        reception.limits.working += 1
        try:
            refusal: Refusal | None = None
            if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > LONGEST_PATH:
                refusal = _LONG
            elif declared and declared.isdigit() and int(declared) > LARGEST_BODY:
                refusal = _LARGE
            elif path.startswith(_DOORS) and path != _WATCHED and not let_in:
                refusal = reception.refusal(address, token or _machine(scope))
            if refusal is not None:
                status = refusal[0]
                await _refuse(send, refusal, request_id, bare)
            else:
                await self._app(inner, bounded, sent)
        except ClientDisconnect:
            status = 499  # nobody is there to be answered; the number is nginx's
        except Exception as error:  # noqa: BLE001 - the last place: answered, logged without its message, not passed on
            answer = problems.defect(Request(inner), error)
            if not started:
                await answer(inner, receive, sent)
        finally:
            reception.limits.working -= 1
            seconds = time.perf_counter() - began
            reception.count(method, status, seconds)
            if not (status in (200, 304) and _fetches(inner["method"], path)):
                reception.note(method, path, status, seconds, address, request_id)


def _machine(scope: Scope) -> bytes:
    """Whom a certificate may stand for, where there is no token."""
    shown = proven_to(scope)
    return shown.sha256.encode() if shown is not None else b""


def _fetches(method: str, path: str) -> bool:
    """`/api/v1/environments/{env}/values…` or `…/credentials/…`."""
    return method == "GET" and path.split("/", 6)[5:6] in (["values"], ["credentials"])


async def _refuse(send: Send, refusal: Refusal, request_id: str, bare: Bare) -> None:
    body, headers = bare(*refusal, request_id)
    headers += [*HEADERS, (b"x-request-id", request_id.encode())]
    if refusal[0] in (429, 503):
        headers.append((b"retry-after", b"1"))
    await send({"type": "http.response.start", "status": refusal[0], "headers": headers})
    await send({"type": "http.response.body", "body": body})
