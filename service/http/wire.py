"""HTTP/1.1 as it is read from the wire (RFC 9112): one object for each connection, llhttp (httptools) reads.

Written for the fetch path: uvicorn's protocol costs two to three times as much processor time for each request,
and neither it nor granian tells the client's certificate. What could be read in two ways is refused: a
Content-Length beside a Transfer-Encoding, codings other than `chunked`, none or several Hosts. One request of a
connection is answered at a time; those that came behind it wait, and a client that is slow is sent away by
`late`, once a second.
"""

import asyncio
import secrets
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools
import structlog
from starlette.types import Scope

from service.http.certificates import shown
from service.http.exchange import Exchange
from service.http.refusals import BODY, DEFECT, HEAD, NOT_HTTP, SLOW, Refusal, said

if TYPE_CHECKING:
    from service.http.listener import Listener

log = structlog.get_logger("http")

LARGEST_HEAD = 16 * 1024
"""Bytes of request line and headers."""
LARGEST_REQUEST = 1024 * 1024
"""Bytes of one request as it comes: the envelope allows bodies of 256 KiB, and chunks have heads of their own."""
MOST_BEHIND = 32
"""Requests that may wait behind the one that is answered (pipelining, RFC 9112, 9.3.2)."""
HEAD_WITHIN = 10
BODY_WITHIN = 30
KEEPS = 30
"""Seconds that a connection may be silent between two requests."""
TAKES_WITHIN = 30
"""Seconds in which a client has to take something of a large answer."""
LINGERS = 2
"""Seconds after the last answer in which what still comes is dropped: a reset would destroy the answer."""
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class _Refused(Exception):
    """Out of a callback of the parser."""


class Wire(asyncio.Protocol):
    """A connection."""

    def __init__(self, listener: "Listener") -> None:
        self.app = listener.app
        self.lost = False
        self.leaving = False
        """The answers from now on are the last ones."""
        self.full = False
        """The client does not take what is written."""
        self.current: Exchange | None = None
        self.began = listener.now
        """When the present silence, head or body began; in seconds of the listener's clock."""
        self._listener = listener
        self._parser: Any = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._reading: Exchange | None = None
        self._behind: deque[Exchange] = deque()
        self._refusal: Refusal | None = None
        self._room: asyncio.Future[None] | None = None
        self._stuck = 0
        self._closing = self._deaf = False
        self._paused = False
        self._size = 0
        self._chunk = 0
        self._extensions: dict[str, object] | None = None

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open, TLS included."""
        self._transport = transport  # type: ignore[assignment]  # asyncio says Base, and means what a stream gets
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (str(peer[0]), int(peer[1])) if peer else None
        self._server = (str(own[0]), int(own[1])) if own else None
        encrypted = transport.get_extra_info("ssl_object")
        self._scheme = "https" if encrypted else "http"
        if encrypted:
            self._extensions = {"tls": shown(encrypted)}
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """It is gone: the application is told, nothing is written any more."""
        self.lost = self.leaving = True
        self._listener.connections.discard(self)
        self._behind.clear()
        self._parser = None
        if self.current:
            self.current.wake()
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._deaf:
            return
        self._chunk = len(data)
        if self._size == 0:
            self.began = self._listener.now
        self._size += self._chunk
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._last()  # nothing else is spoken here; the request itself is answered (RFC 9110, 7.8)
        except httptools.HttpParserCallbackError as error:
            if self._refusal is None:
                cause = error.__context__
                log.error("a defect", error=type(cause).__name__, where="reading a request")
            self._refuse(self._refusal or NOT_HTTP)
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)
        else:
            if self._size > LARGEST_HEAD and self._reading is None:
                self._refuse(HEAD)
            elif self._size > LARGEST_REQUEST:
                self._refuse(BODY)

    def pause_writing(self) -> None:
        """More is written than the client takes."""
        self.full = True
        self._stuck = self._listener.now

    def resume_writing(self) -> None:
        """It took enough."""
        self.full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    # -- the parser's side

    def on_message_begin(self) -> None:
        """A request begins; it may be in the middle of a piece."""
        self._size = self._size or self._chunk
        self._url = b""
        self._hosts = 0
        self._expects = False
        self._headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        """A piece of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped (RFC 9110, 6.5.1)."""
        if self._reading is not None:
            return
        name = name.lower()
        if value[-1:] in b" \t":
            value = value.rstrip(b" \t")
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self._expects = value.lower() == b"100-continue"
        elif name == b"transfer-encoding" and value.lower() != b"chunked":
            self._stop(NOT_HTTP)
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole: an exchange begins, or waits for the one before it."""
        if self._size > LARGEST_HEAD:
            size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._headers)
            if size > LARGEST_HEAD:
                self._stop(HEAD)
        version = self._parser.get_http_version()
        if version != "1.1" and (version != "1.0" or any(name == b"transfer-encoding" for name, _ in self._headers)):
            self._stop(NOT_HTTP)
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            self._stop(NOT_HTTP)  # RFC 9112, 3.2
        exchange = Exchange(
            self, self._scope(version), version == "1.1" and self._parser.should_keep_alive(), self._expects
        )
        self._reading = exchange
        self.began = self._listener.now
        if self.current is None:
            self._begin(exchange)
        else:
            self._behind.append(exchange)
            self._pause()
            if len(self._behind) >= MOST_BEHIND:
                self._last()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        if self._reading is not None and self._reading.hear(body):
            self._pause()

    def on_message_complete(self) -> None:
        """The request is whole."""
        if self._reading is not None:
            self._reading.heard()
            self._reading = None
        self._size = 0

    def _scope(self, version: str) -> Scope:
        target = self._url
        if not target.startswith(b"/"):
            target = _origin(target)
            if not target:
                self._stop(NOT_HTTP)
        raw, _, query = target.partition(b"?")
        path = raw.decode("ascii")
        scope: Scope = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": self._scheme,
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._client,
            "server": self._server,
            "state": {},
        }
        if self._extensions is not None:
            scope["extensions"] = self._extensions
        return scope

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _Refused

    # -- the exchanges' side

    def write(self, data: bytes) -> None:
        """To the client, if it is still there."""
        if not self.lost:
            self._transport.write(data)

    async def room(self) -> None:
        """Wait until the client took enough of what was written, or went away."""
        while self.full:
            self._room = asyncio.get_running_loop().create_future()
            await self._room

    def listen(self) -> None:
        """There is room again for what the client sends."""
        if self._paused and not self._behind and not self.lost:
            self._paused = False
            self._transport.resume_reading()

    def ended(self, exchange: Exchange) -> None:
        """The application is done with an exchange."""
        self._listener.working.discard(exchange)
        self.current = None
        if self.lost:
            return
        if not exchange.done:
            if exchange.started:
                self._close()
            else:
                self._say(self._refusal if exchange.cut and self._refusal else DEFECT)
        elif not exchange.keep:
            self._close()
        elif self._behind:
            self._begin(self._behind.popleft())
            self.listen()
        elif self._refusal is not None:
            self._say(self._refusal)
        else:
            self.began = self._listener.now
            self.listen()

    def _begin(self, exchange: Exchange) -> None:
        self.current = exchange
        self._listener.working.add(exchange)
        exchange.task = self._listener.loop.create_task(exchange.run())

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _last(self) -> None:
        """Nothing of what comes from now on is read; what came is answered."""
        self._deaf = True
        last = self._behind[-1] if self._behind else self.current
        if last is not None:
            last.keep = False

    def _refuse(self, refusal: Refusal) -> None:
        """What comes cannot be read any more: say so, after the answers to what could be."""
        self._deaf = True
        broken, self._reading = self._reading, None
        if broken is not None and broken is not self.current:
            self._behind.remove(broken)
        last = self._behind[-1] if self._behind else self.current
        self._refusal = refusal if last is None or last.keep else None
        if self.current is None:
            self._say(refusal)
        elif broken is self.current:
            broken.cut = True
            broken.wake()

    def _say(self, refusal: Refusal) -> None:
        request_id = secrets.token_hex(8)
        log.info("refused", status=refusal[0], address=self._client and self._client[0], id=request_id)
        self.write(said(refusal, request_id))
        self._close()

    # -- the listener's side

    @property
    def idle(self) -> bool:
        """Nothing is asked that is not answered; a head may have begun."""
        return self.current is None

    def leave(self) -> None:
        """Answer what is being answered, and close."""
        self.leaving = True
        self._behind.clear()
        if self.current is None:
            self._closing = self._deaf = True
            self.began = self._listener.now
            self._transport.close()
        else:
            self._deaf = self._deaf or self._reading is None
            self.current.keep = False

    def late(self, now: int) -> None:
        """Send away who is too slow."""
        passed = now - self.began
        if self._closing:
            if passed > LINGERS:
                self._transport.abort()
        elif self.full and now - self._stuck > TAKES_WITHIN:
            self._transport.abort()
        elif self._reading is not None and self._reading is self.current and not self._paused:
            if passed > BODY_WITHIN:
                self._refuse(SLOW)
        elif self.current is None and self._size and passed > HEAD_WITHIN:
            self._say(SLOW)
        elif self.current is None and passed > KEEPS:
            self._close()

    def abort(self) -> None:
        """At once."""
        self._transport.abort()

    def _close(self) -> None:
        """After what was written. Whoever may still be sending gets a moment to read it."""
        lingers = self._deaf or self._size or self._reading is not None
        self._closing = self.leaving = self._deaf = True
        self.began = self._listener.now
        self._behind.clear()
        if not lingers:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()


def _origin(target: bytes) -> bytes:
    """The path of an absolute target (RFC 9112, 3.2.2), `*`, or nothing for what we do not serve."""
    scheme, mark, rest = target.partition(b"://")
    if mark and scheme.lower() in (b"http", b"https"):
        _, slash, path = rest.partition(b"/")
        return b"/" + path if slash else b"/"
    return target if target == b"*" else b""
