"""One request on a connection and its answer: the application's side of `wire.py` (ASGI 3)."""

import asyncio
from typing import TYPE_CHECKING

import structlog
from starlette.types import Message, Scope

from service.http.refusals import LINES

if TYPE_CHECKING:
    from service.http.wire import Wire

log = structlog.get_logger("http")

ENOUGH_BODY = 64 * 1024
"""Bytes of a body that are kept for an application that is not reading; then the sender has to wait."""
_COLON = b": ".join
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange:
    """What is asked, and how far the answer is. Only the loop's thread touches it."""

    # Defaults of the class: most requests have no body, and setting all of this takes a microsecond each time.
    complete = False
    """The whole request is here."""
    cut = False
    """The rest of the request cannot be read."""
    started = False
    """Something of the answer was sent."""
    done = False
    """The whole answer was sent."""
    task: asyncio.Task[None] | None = None
    _start: Message | None = None
    _body = b""
    _told = False
    _chunked = False
    _left = -1
    _waiter: asyncio.Future[None] | None = None

    def __init__(self, wire: "Wire", scope: Scope, keep: bool, expects: bool) -> None:
        self._wire = wire
        self.scope = scope
        self.keep = keep
        """May the connection go on after this answer?"""
        self.expects = expects
        """The client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1)."""

    async def run(self) -> None:
        """Let the application answer; the connection is told in any case."""
        try:
            await self._wire.app(self.scope, self.receive, self.send)
        except Exception as error:  # noqa: BLE001 - the envelope answers what fails: what comes here is its own defect
            log.error("a defect", path=self.scope["path"][:200], error=type(error).__name__)
        finally:
            self._wire.ended(self)

    def hear(self, body: bytes) -> bool:
        """A piece of the body came. True: that is enough for now."""
        self._body += body
        self.wake()
        return len(self._body) > ENOUGH_BODY

    def heard(self) -> None:
        """The request is complete."""
        self.complete = True
        self.wake()

    def wake(self) -> None:
        """Something happened that `receive` may be waiting for."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def receive(self) -> Message:
        """The next piece of the body; after its end, that the client went away."""
        while not (self._wire.lost or self.done or self.cut):
            if self._body or (self.complete and not self._told):
                body, self._body = self._body, b""
                self._told = self.complete
                self._wire.listen()
                return {"type": "http.request", "body": body, "more_body": not self.complete}
            if self.expects and not self.complete:
                self.expects = False
                self._wire.write(_CONTINUE)
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """A part of the answer. The head leaves together with the first piece of the body."""
        if message["type"] == "http.response.start":
            if self._start is not None:
                raise RuntimeError("an answer begins once")
            self._start = message
            return
        if self.done or self._start is None:
            raise RuntimeError("a body belongs between the head and the end of an answer")
        body: bytes = message.get("body", b"")
        more: bool = message.get("more_body", False)
        size = len(body)
        bare = self.scope["method"] == "HEAD" or self._start["status"] in (204, 304)
        head = b"" if self.started else self._head(self._start, size, more, bare)
        if self._left >= 0 and not bare:
            self._left -= size
            if self._left < 0 or (self._left and not more):
                self.keep = False
                raise RuntimeError("a body of another length than its head said")
        if bare:
            body = b""
        elif self._chunked:
            body = (b"%x\r\n%b\r\n" % (size, body) if size else b"") + (b"" if more else b"0\r\n\r\n")
        self.started = True
        self.done = not more
        self._wire.write(head + body)
        if self._wire.full:
            await self._wire.room()

    def _head(self, start: Message, size: int, more: bool, bare: bool) -> bytes:
        """Raises RuntimeError for headers that would break out of their lines (RFC 9110, 5.5)."""
        status: int = start["status"]
        headers: list[tuple[bytes, bytes]] = start["headers"]
        named = dict(headers)
        closes = b"connection" in named
        if closes or not self.complete or self._wire.leaving:
            self.keep = False  # what is left of a body that nobody reads would be taken for the next request
        added = b""
        if (length := named.get(b"content-length")) is not None:
            self._left = int(length)
        elif not bare:
            if not more:
                added = b"content-length: %d\r\n" % size
            elif self.scope["http_version"] == "1.1":
                self._chunked = True
                added = b"transfer-encoding: chunked\r\n"
            else:
                self.keep = False
        if not self.keep and not closes:
            added += b"connection: close\r\n"
        # In C: this is the longest loop of an answer.
        block = b"\r\n".join(map(_COLON, headers))
        breaks = max(len(headers) - 1, 0)
        if block.count(b"\n") != breaks or block.count(b"\r") != breaks or b"\0" in block:
            self.keep = False
            self._start = None
            raise RuntimeError("a header holds a line break")
        line = LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        return line + block + (b"\r\n" + added + b"\r\n" if headers else added + b"\r\n")
