"""The port and its connections: accept, bound, drain.

One event loop (uvloop) in the thread that calls `run`. A connection costs memory only; how many there may be is
`most`. Where they are as many, TLS handshakes that do not end give way first; where there are none, those that asked
nothing for the longest time are closed, and who comes meanwhile is turned away at once.
"""

import asyncio
import contextlib
import errno
import signal
import socket
import threading
from functools import partial
from typing import Any

import structlog
import uvloop
from starlette.types import ASGIApp

from service.core.errors import Unavailable
from service.http.awake import Awake
from service.http.certificates import Certificates
from service.http.exchange import Exchange
from service.http.lane import Fetch, Lane
from service.http.proxies import Proxies
from service.http.refusals import FULL, said
from service.http.wire import Wire

log = structlog.get_logger("http")

HANDSHAKE_WITHIN = 10
"""Seconds for a TLS handshake."""
FEWEST_HANDSHAKES = 16
"""TLS handshakes that may be under way in any case; otherwise a quarter of the connections."""
LOOKS_EVERY = 5
"""Seconds between two looks at the certificate's files."""
_BACKLOG = 2048
_AT_ONCE = 64
"""Connections that are accepted before the loop does something else."""


class Listener:
    """Serves an application (ASGI 3) on a port."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        *,
        lane: Lane | None = None,
        awake: Awake | None = None,
        certificates: Certificates | None = None,
        proxies: Proxies | None = None,
        most: int = 10_000,
        drains_within: float = 20,
    ) -> None:
        self.app = app
        self.lane = lane
        """Is offered every request first."""
        self.awake = awake
        self.certificates = certificates
        self.proxies = proxies or Proxies()
        self.started = threading.Event()
        """Set while connections are accepted."""
        self.loop: asyncio.AbstractEventLoop
        self.now = 0
        """Whole seconds of the loop's clock: exact enough for who is slow, and free."""
        self.connections: set[Wire] = set()
        self.working: set[Exchange | Fetch] = set()
        self._opening: dict[asyncio.Task[None], Wire] = {}
        """The oldest first. With TLS, these are handshakes under way."""
        self._host, self._port = host, port
        self._most = most
        self._drains_within = drains_within
        self._sockets: list[socket.socket] = []
        self._stopping: asyncio.Event | None = None
        self._stopped = False
        self._hurried = False
        self._most_handshakes = max(most // 4, FEWEST_HANDSHAKES)
        self._relieved = self._gave_up = -1

    def bind(self) -> None:
        """Take the port; nobody is listened to yet. Raises Unavailable."""
        where = f"{self._host}:{self._port}"
        try:
            found = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
            )
        except (OSError, UnicodeError):
            raise Unavailable(f"cannot listen on {where}: there is no such address") from None
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                taken = socket.socket(family, kind, protocol)
                self._sockets.append(taken)
                taken.setblocking(False)
                taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                taken.bind(address)
        except OSError as error:
            self.close()
            raise _cannot(where, error) from None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens. `bind` must have been called."""
        name = self._sockets[0].getsockname()
        return name[0], name[1]

    @property
    def stopping(self) -> bool:
        """Was it told to stop?"""
        return self._stopped

    def run(self) -> None:
        """Serve until `stop`, or SIGTERM or SIGINT in the main thread. Raises Unavailable."""
        if not self._sockets:
            self.bind()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        finally:
            self.started.clear()
            self.close()
            if self.awake:
                self.awake.close()

    def stop(self, *, hurry: bool = False) -> None:
        """Accept nobody any more, let the requests under way end. From any thread; `hurry` cuts them short."""
        self._stopped = True
        self._hurried = self._hurried or hurry
        if self._stopping is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has stopped
                self.loop.call_soon_threadsafe(self._stopping.set)

    def close(self) -> None:
        """Let go of the port."""
        for taken in self._sockets:
            taken.close()

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(_unexpected)
        self.now = int(self.loop.time())
        self._stopping = asyncio.Event()
        if self._stopped:
            return
        signals = threading.current_thread() is threading.main_thread()
        if signals:
            for number in (signal.SIGTERM, signal.SIGINT):
                self.loop.add_signal_handler(number, self._asked_to_stop)
            self.loop.add_signal_handler(signal.SIGHUP, self._asked_to_look)
        try:
            for taken in self._sockets:
                taken.listen(_BACKLOG)
                self.loop.add_reader(taken.fileno(), self._come, taken)
        except OSError as error:
            raise _cannot(f"{self._host}:{self._port}", error) from None
        ticking = self.loop.create_task(self._tick())
        scheme = "https" if self.certificates else "http"
        log.info("serving", address=f"{scheme}://{self.address[0]}:{self.address[1]}")
        self.started.set()
        await self._stopping.wait()
        await self._drain()
        ticking.cancel()

    # -- connections

    def _come(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # No more file descriptors, or no memory for one: who waits in the backlog may be lucky later.
                log.error("cannot accept connections for a second", error=error.strerror)
                self.loop.remove_reader(listening.fileno())
                self.loop.call_later(1, self._listen_again, listening)
                return
            accepted.setblocking(False)
            # One that began in this very second may be as good as any; where all of them did, nobody would come about.
            full = len(self.connections) + len(self._opening) >= self._most
            if full and not self._give_up_oldest(before=self.now):
                self._turn_away(accepted)
                continue
            if len(self._opening) >= self._most_handshakes:
                self._give_up_oldest(before=self.now + 1)
            wire = Wire(self)
            task = self.loop.create_task(self._open(accepted, wire))
            self._opening[task] = wire
            task.add_done_callback(partial(self._opened, accepted))

    def _listen_again(self, listening: socket.socket) -> None:
        if not self._stopped:
            self.loop.add_reader(listening.fileno(), self._come, listening)

    def _give_up_oldest(self, *, before: int) -> bool:
        """End the oldest handshake under way, if it began before that second."""
        for task, wire in self._opening.items():
            if self.certificates and wire not in self.connections:  # otherwise it has just come about
                if wire.began >= before:
                    return False
                del self._opening[task]  # at once: it counts no more
                task.cancel()
                if self._gave_up != self.now:
                    self._gave_up = self.now
                    log.warning("TLS handshakes are begun and not ended: the oldest are given up")
                return True
        return False

    async def _open(self, accepted: socket.socket, wire: Wire) -> None:
        more: dict[str, Any] = {}
        if self.certificates:
            more = {"ssl": self.certificates.context, "ssl_handshake_timeout": HANDSHAKE_WITHIN}
        try:
            await self.loop.connect_accepted_socket(lambda: wire, accepted, **more)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            log.debug("a connection did not come about", error=getattr(error, "reason", None) or type(error).__name__)
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise

    def _opened(self, accepted: socket.socket, task: "asyncio.Task[None]") -> None:
        self._opening.pop(task, None)
        if task.cancelled():  # perhaps before it began
            accepted.close()

    def _turn_away(self, accepted: socket.socket) -> None:
        if self._relieved != self.now:
            self._relieved = self.now
            log.warning("as many connections are open as KEYWRIGHT_CONNECTIONS allows", most=self._most)
            if not (self.certificates and self._opening):  # handshakes end, or give way in a second
                self._relieve()
        if not self.certificates:
            with contextlib.suppress(OSError):
                accepted.send(said(FULL, ""))
        accepted.close()

    def _relieve(self) -> None:
        silent = sorted((wire for wire in self.connections if wire.idle), key=lambda wire: wire.began)
        for wire in silent[: self._most // 100 + 1]:
            self.connections.discard(wire)  # not only when the transport says so: somebody may be waiting
            wire.abort()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(1)
            self.now = int(self.loop.time())
            for wire in tuple(self.connections):
                wire.late(self.now)
            if self.awake:
                self.awake.look()
            if self.certificates and self.now % LOOKS_EVERY == 0:
                await asyncio.to_thread(self.certificates.look)

    # -- the end

    def _asked_to_stop(self) -> None:
        self.stop(hurry=self._stopped)  # who asks twice means it

    def _asked_to_look(self) -> None:
        if self.certificates:
            self.loop.run_in_executor(None, partial(self.certificates.look, asked=True))

    async def _drain(self) -> None:
        self.started.clear()
        for taken in self._sockets:
            self.loop.remove_reader(taken.fileno())
        self.close()
        for wire in tuple(self.connections):
            wire.leave()
        log.info("stopping", under_way=len(self.working))
        deadline = self.loop.time() + self._drains_within
        while (self.connections or self.working) and self.loop.time() < deadline and not self._hurried:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0)  # one that is cancelled before it began would leave its socket open
        for task in tuple(self._opening):  # not before: it would close a connection behind the back of its wire
            task.cancel()
        if self.working:
            log.warning("requests did not end in time and are cut short", requests=len(self.working))
        tasks = [exchange.task for exchange in self.working if exchange.task]
        for cut in tasks:
            cut.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)
        for wire in tuple(self.connections):
            wire.abort()
        await asyncio.sleep(0)


def _cannot(where: str, error: OSError) -> Unavailable:
    why = {
        errno.EADDRINUSE: "another process listens there",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EACCES: "this user may not; ports below 1024 need CAP_NET_BIND_SERVICE",
    }.get(error.errno or 0, error.strerror or "the system refuses")
    return Unavailable(f"cannot listen on {where}: {why}")


def _unexpected(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # What clients bring about (resets, broken TLS) is no defect; the rest is, and its message may quote anything.
    error: BaseException | None = context.get("exception")
    if isinstance(error, OSError):
        log.debug("a connection broke", error=type(error).__name__)
        return
    log.error("a defect", where=str(context.get("message", ""))[:200], error=type(error).__name__)
