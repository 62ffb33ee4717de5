"""Around every request: an id, a size limit, headers that keep answers out of caches, and a line in the log.

A bare ASGI middleware: nothing is buffered, and a body that is too large is cut off while it arrives.
"""

import secrets
import time
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger("http")

LARGEST_BODY = 256 * 1024
LONGEST_PATH = 4096
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
]
_TOO_LARGE = (
    b'{"type":"urn:keywright:problem:too-large","title":"Too large","status":%d,"detail":"%s","request_id":"%s"}'
)


class Envelope:
    """Wraps the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [h for h in message.get("headers", []) if h[0].lower() not in (b"server",)]
                message["headers"] = [*headers, *_HEADERS, (b"x-request-id", request_id.encode())]
            await send(message)

        async def bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > LARGEST_BODY:
                raise _TooLarge
            return message

        declared = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
        try:
            if len(scope.get("raw_path", b"")) + len(scope["query_string"]) > LONGEST_PATH:
                await _refuse(sent, 414, b"the address is longer than 4,096 bytes", request_id)
            elif declared.isdigit() and int(declared) > LARGEST_BODY:
                await _refuse(sent, 413, b"the body is larger than 256 KiB", request_id)
            else:
                await self._app(scope, bounded, sent)
        except _TooLarge:
            await _refuse(sent, 413, b"the body is larger than 256 KiB", request_id)
        finally:
            # The path may hold a name, never a value; the query is left out.
            log.info(
                "request",
                method=scope["method"],
                path=scope["path"][:200],
                status=status,
                ms=round((time.perf_counter() - began) * 1000, 1),
                id=request_id,
            )


class _TooLarge(Exception):
    """The body went over the limit while it arrived."""


async def _refuse(send: Any, status: int, detail: bytes, request_id: str) -> None:
    body = _TOO_LARGE % (status, detail, request_id.encode())
    headers = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
