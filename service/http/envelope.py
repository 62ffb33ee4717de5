"""Around every request: an id, a size limit, headers that keep answers out of caches, and a line in the log.

A bare ASGI middleware: nothing is buffered, and a body that is too large is cut off while it arrives.
"""

import secrets
import time
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.core.errors import TooLarge
from service.http import problems

log = structlog.get_logger("http")

LARGEST_BODY = 256 * 1024
LONGEST_PATH = 8192
HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
_BODY = "the body is larger than 256 KiB"


class Envelope:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, answered: Callable[[str, int, float], None]) -> None:
        self._app = app
        self._answered = answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        began = time.perf_counter()
        status = 500
        received = 0
        started = False
        # HEAD is GET without its body (RFC 9110, 9.3.2), events and all; the server leaves the body out.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope

        async def sent(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started = True
                status = message["status"]
                headers = [h for h in message.get("headers", []) if h[0].lower() not in (b"server",)]
                message["headers"] = [*headers, *HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise TooLarge(_BODY)
            return message

        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        try:
            if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > LONGEST_PATH:
                await _refuse(sent, 414, "too-long", "Too long", "the address is longer than 8,192 bytes", request_id)
            elif declared.isdigit() and int(declared) > LARGEST_BODY:
                await _refuse(sent, 413, "too-large", "Too large", _BODY, request_id)
            else:
                await self._app(inner, bounded, sent)
        except Exception as error:  # noqa: BLE001 - the last place: answered, logged without its message, not passed on
            answer = problems.defect(Request(inner), error)
            if not started:
                await answer(inner, receive, sent)
        finally:
            seconds = time.perf_counter() - began
            self._answered(scope["method"], status, seconds)
            # The path may hold a name, never a value; the query is left out.
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                ms=round(seconds * 1000, 1),
                address=(scope.get("client") or ("",))[0],
                id=request_id,
            )


async def _refuse(send: Send, status: int, slug: str, title: str, detail: str, request_id: str) -> None:
    body, headers = problems.bare(status, slug, title, detail, request_id)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
