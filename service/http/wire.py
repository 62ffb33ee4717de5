"""A connection of HTTP/1.1 (RFC 9112): what was read is answered, one request at a time.

Written for the fetch path: uvicorn's protocol over the same parser takes about half as much processor time again
for each request (it sends the head and the body of an answer apart), and neither it nor granian tells the client's
certificate. Requests that came behind another one wait for it; a client that is slow is sent away by `late`, once
a second.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from service.core.token import Shown
from service.http import certificates
from service.http.exchange import Exchange
from service.http.lane import Fetch, Lane
from service.http.peer import EXTENSION, let_go
from service.http.plain import REFUSED, Headers, Plain
from service.http.reading import Reading
from service.http.refusals import DEFECT, SLOW, Refusal, said
from service.http.taking import Taking

if TYPE_CHECKING:
    from service.http.listener import Listener

log = structlog.get_logger("http")

MOST_BEHIND = 32
"""Requests that may wait behind the one that is answered (pipelining, RFC 9112, 9.3.2)."""
LONGEST_SAME = 2048
"""Bytes of a plain request that is kept, with what was read of it, to be known again."""
HEAD_WITHIN = 10
BODY_WITHIN = 30
KEEPS = 30
"""Seconds that a connection may be silent between two requests."""
GONE_AFTER = 10
"""Seconds after which one that said it will say nothing more is taken for gone, if there is no answer yet."""
LINGERS = 2
"""Seconds after the last answer in which what comes is dropped: a reset would destroy the answer."""


class Wire(Reading):
    """A connection."""

    def __init__(self, listener: "Listener") -> None:
        super().__init__(listener)
        self.app = listener.app
        self.lost = False
        self.leaving = False
        """The answers from now on are the last ones."""
        self.full = False
        """The client does not take what is written."""
        self.address = ""
        """The client's, or a proxy's."""
        self.certificate: Shown | None = None
        """What the client has shown of itself."""
        self.waiter: asyncio.Future[None] | None = None
        """What `current` waits with; see `Peer`."""
        self._transport: asyncio.Transport
        self._taking: Taking
        self._behind: deque[Exchange] = deque()
        self._room: asyncio.Future[None] | None = None
        self._closing = self._paused = self._proxied = False
        self._plain: Plain | None = None
        self._same = b""
        """The bytes of the plain request that was read last. Whoever polls sends the same again and again."""

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open, TLS included."""
        self._transport = transport  # type: ignore[assignment]  # asyncio says Base, and means what a stream gets
        self._taking = Taking(self._transport)
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client = (str(peer[0]), int(peer[1])) if peer else None
        self.address = self._client[0] if self._client else ""
        self._proxied = self._listener.proxies.trusts(self.address)
        self._server = (str(own[0]), int(own[1])) if own else None
        encrypted = transport.get_extra_info("ssl_object")
        self._scheme = "https" if encrypted else "http"
        self._extensions[EXTENSION] = self
        if encrypted:
            self._extensions["tls"] = certificates.shown(encrypted)
            self.certificate = self._extensions[certificates.EXTENSION] = certificates.proven(encrypted)
        self._listener.connections.add(self)
        if self._listener.stopping:
            self.leave()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """It is gone: the application is told, nothing is written any more."""
        self.lost = self.leaving = True
        self._listener.connections.discard(self)
        self._behind.clear()
        self._parser = None
        self._extensions = {}  # the former holds this object: no work for the garbage collector
        if self.current:
            self.current.wake()
        let_go(self.waiter)
        self.resume_writing()

    def pause_writing(self) -> None:
        """More is written than the client takes."""
        self.full = True

    def resume_writing(self) -> None:
        """It took enough."""
        self.full = False
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Bytes came. Where they are, to the last one, the plain request before them, they are not read again."""
        lane, plain = self._listener.lane, self._plain
        if data == self._same and lane is not None and plain is not None and self._free:
            self.began = self._listener.now
            self._enter(lane, plain, keep=True)
            return
        begun = self._begun
        super().data_received(data)
        one_whole = self._begun == begun + 1 and self._size == 0 and len(data) <= LONGEST_SAME
        if one_whole and self._plain is not None:
            self._same = data
        else:
            self._same, self._plain = b"", None

    @property
    def _free(self) -> bool:
        """Is nothing under way, and may something begin?"""
        return self.current is None and self._size == 0 and not (self._deaf or self.full or self.leaving)

    # -- the exchanges' side

    def write(self, data: bytes) -> None:
        """To the client, if it is still there."""
        if not self.lost:
            self._transport.write(data)

    def address_of(self, headers: Headers) -> str:
        """Where a request comes from: the client, unless that is a proxy that is trusted to say it."""
        return self._listener.proxies.client(self.address, headers) if self._proxied else self.address

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

    def later(self, act: Callable[[], None]) -> None:
        """Do it in the next turn of the loop."""
        self._listener.loop.call_soon(act)

    def instead(self, fetch: Fetch, target: bytes) -> None:
        """The application answers what the lane does not. It is the same request still, and was let in already."""
        exchange = Exchange(self, self._scope("GET", target, fetch.plain.headers, "1.1"), fetch.keep, expects=False)
        exchange.scope["state"]["request_id"] = fetch.request_id
        exchange.scope["state"][REFUSED] = fetch.refused
        exchange.complete = True
        self._listener.working.discard(fetch)
        self.current = None
        if not self.lost:
            self._begin(exchange)

    def ended(self, exchange: Exchange | Fetch) -> None:
        """The application is done with an exchange."""
        self._listener.working.discard(exchange)
        exchange.task = self.current = None  # the task holds the exchange: no work for the garbage collector
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

    def _asked(self, method: str, version: str, keep: bool) -> Exchange | Fetch:
        lane, self._plain = self._listener.lane, None
        if lane is not None and method == "GET" and version == "1.1" and self.current is None and not self.full:
            plain = lane.read(self._url, self._headers)
            if plain is not None:
                self._plain = plain if keep else None
                return self._enter(lane, plain, keep)
        exchange = Exchange(self, self._scope(method, self._url, self._headers, version), keep, self._expects)
        if self.current is None:
            self._begin(exchange)
        else:
            self._behind.append(exchange)
            self._pause()
            if len(self._behind) >= MOST_BEHIND:
                self._last()
        return exchange

    def _enter(self, lane: Lane, plain: Plain, keep: bool) -> Fetch:
        self.current = fetch = lane.begin(self, plain, keep)
        self._listener.working.add(fetch)
        return fetch

    def _begin(self, exchange: Exchange) -> None:
        self.current = exchange
        self._listener.working.add(exchange)
        exchange.task = self._listener.loop.create_task(exchange.run())

    def _client_of(self, headers: Headers) -> tuple[str, int] | None:
        return (self.address_of(headers), 0) if self._proxied else self._client

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _last(self) -> None:
        self._deaf = True
        last = self._behind[-1] if self._behind else self.current
        if last is not None:
            last.keep = False

    def _refuse(self, refusal: Refusal) -> None:
        """What comes cannot be read any more: say so, after the answers to what could be."""
        self._deaf = True
        broken, self._reading = self._reading, None
        if isinstance(broken, Exchange) and broken is not self.current:
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
        """Answer what is being answered, and close; who waits for a change is answered now."""
        self.leaving = True
        self._behind.clear()
        if self.current is None:
            self._closing = self._deaf = True
            self.began = self._listener.now
            self._transport.close()
        else:
            self._deaf = self._deaf or self._reading is None
            self.current.keep = False
            let_go(self.waiter)

    def late(self, now: int) -> None:
        """Send away who is too slow."""
        passed = now - self.began
        if self._closing:
            if passed > LINGERS and not self._taking.goes_on(now):
                self._transport.abort()
        elif self.full:
            if not self._taking.goes_on(now):
                self._transport.abort()
        elif self._mute and self.current is not None and not self.current.started:
            if passed > GONE_AFTER:
                self._transport.abort()
        elif self._reading is not None and self._reading is self.current and not self._paused:
            if passed > BODY_WITHIN:
                self._refuse(SLOW)
        elif self.current is None and self._size and passed > HEAD_WITHIN:
            self._say(SLOW)
        elif self.current is None and passed > KEEPS and not self._taking.goes_on(now):
            self._close()

    def abort(self) -> None:
        """At once."""
        self._transport.abort()

    def _close(self) -> None:
        """After what was written. Whoever may still be sending gets a moment to read it."""
        lingers = not self._mute and (self._deaf or self._size or self._reading is not None)
        self._closing = self.leaving = self._deaf = True
        self.began = self._listener.now
        self._behind.clear()
        if not lingers:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
