"""Streams of signals: one reader of the ledger for all of them, one task and no thread for each.

    the ledger ──► Feed: reads what is new, once for everybody, and keeps the latest in memory
                        │ wakes
                        ▼
                   Stream: takes what is behind its place, from memory, or a page from the ledger where it is far
                           behind; asks the keeper who may be told; sends; and waits

A stream has a place in the log and no queue: a client that takes nothing holds nothing but its place. Whoever takes
nothing of what was written for 30 seconds is cut by the connection (`wire.py`), and resumes by the id it has seen.
What is sent is as the HTML standard, 9.2.6 ("Interpreting an event stream") reads it.
"""

import asyncio
import contextlib
from bisect import bisect_right
from collections import Counter

import structlog
from anyio import CapacityLimiter, to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.core.access import Caller
from service.core.errors import Forbidden, KeywrightError, Often, Unauthenticated, Unavailable
from service.core.signal import Signal, Wanted
from service.http.limits import Limits
from service.http.peer import let_go, peer_of
from service.keeper.asked import Who
from service.keeper.signals import PAGE, Reading, Signals

log = structlog.get_logger("streams")

BEATS_EVERY = 15.0
"""Seconds between two signs of life where there is nothing to tell."""
LOOKS_EVERY = 1.0
"""Seconds between two looks at the ledger: other processes may have changed something."""
BREATH = 0.05
"""Seconds between two looks because of what this process changed."""
KEPT = 5_000
"""Signals that are kept in memory."""
EACH = 20
"""Streams of one token, at most."""
SHARE = 4
"""All tokens of one machine together may have this part of all streams: a quarter."""
READERS = 4
"""Readings of the ledger at once, for those who are far behind."""
_RETRY = b"retry: 2000\n\n"


class Feed:
    """Reads for the streams of one event loop, which is the one that the first of them begins in."""

    def __init__(self, signals: Signals, limits: Limits, most: int) -> None:
        self.signals = signals
        self._limits = limits
        self._most = most
        self._readers = CapacityLimiter(READERS)
        self._streams: set[Stream] = set()
        self._each: Counter[tuple[str, str]] = Counter()
        self._news: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reading: asyncio.Task[None] | None = None
        self._kept: list[Signal] = []
        self._from = 0
        self.reached = 0
        """What is kept is all that there is behind `_from`, up to here."""
        signals.on_change(self._changed)

    @property
    def open(self) -> int:
        """Streams that are open now."""
        return len(self._streams)

    def require_room(self, caller: Caller) -> None:
        """Raises Often, Unavailable."""
        for (whose, of), most in self._counted(caller).items():
            if self._each[whose, of] >= most:
                raise Often(f"{most} streams of one {whose} are the most: end one, or listen to more on each")
        if len(self._streams) >= self._most:
            raise Unavailable("as many streams are open as KEYWRIGHT_STREAMS allows")

    def _counted(self, caller: Caller) -> dict[tuple[str, str], int]:
        """What its streams are counted by, and how many of each may be."""
        of_machine = {("machine", caller.machine_id): max(self._most // SHARE, 1)} if caller.machine_id else {}
        return {("token", caller.id): EACH} | of_machine

    def begin(self, stream: "Stream", caller: Caller) -> None:
        """One more. It must be given to `end`. Raises as `require_room`."""
        self.require_room(caller)
        self._streams.add(stream)
        self._each.update(self._counted(caller).keys())
        self._limits.working -= 1
        self._loop = asyncio.get_running_loop()
        if self._reading is None:
            self._news = asyncio.Event()
            self._kept, self._from, self.reached = [], stream.begins, stream.begins
            self._reading = self._loop.create_task(self._read_on())

    def end(self, stream: "Stream", caller: Caller) -> None:
        """One less."""
        self._limits.working += 1
        self._streams.discard(stream)
        for each in self._counted(caller):
            self._each[each] -= 1
            if not self._each[each]:
                del self._each[each]
        if not self._streams and self._reading is not None:
            self._reading.cancel()
            self._reading = None

    async def read(self, behind: int) -> Reading:
        """From the ledger. Raises Unavailable."""
        return await to_thread.run_sync(self.signals.read, behind, limiter=self._readers)

    def kept(self, behind: int) -> tuple[list[Signal], int] | None:
        """What is behind an event, from memory, a page of it, and how far that reaches.

        None where memory does not reach back so far.
        """
        if behind < self._from:
            return None
        begin = bisect_right(self._kept, behind, key=lambda it: it.seq)
        page = self._kept[begin : begin + PAGE]
        return page, self.reached if begin + PAGE >= len(self._kept) else page[-1].seq

    def _changed(self) -> None:
        """In any thread."""
        loop, news = self._loop, self._news
        if self._reading is not None and loop is not None and news is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens there any more
                loop.call_soon_threadsafe(news.set)

    async def _read_on(self) -> None:
        news = self._news
        assert news is not None  # made with this task  # noqa: S101
        while True:
            try:
                news.clear()
                reading = await self.read(self.reached)
                self._take(reading)
                if not reading.whole:
                    continue
            except KeywrightError as error:
                log.warning("signals could not be read", reason=error.message)
            except Exception as error:  # noqa: BLE001 - every stream depends on it: said, and survived
                log.error("a defect", where="reading signals", error=type(error).__name__)
            await asyncio.sleep(BREATH)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), LOOKS_EVERY)

    def _take(self, reading: Reading) -> None:
        if reading.last < self.reached:  # a ledger that failed over may have lost its end
            self._kept, self._from = [], reading.last
            for stream in self._streams:
                stream.lost = stream.lost or stream.place > reading.last
        self._kept += reading.signals
        self.reached = reading.reached
        if len(self._kept) > KEPT:
            self._from = self._kept[-KEPT - 1].seq
            self._kept = self._kept[-KEPT:]
        for stream in self._streams:
            stream.wake()


class Stream(Response):
    """An answer that goes on until the client, the server, or the loss of its token ends it."""

    media_type = "text/event-stream"

    def __init__(
        self, feed: Feed, who: Who, caller: Caller, wanted: Wanted, first: Reading, behind: int | None
    ) -> None:
        """`first` is a reading behind `behind`, the id that the client has; None: it has none, and begins now."""
        super().__init__()
        del self.headers["content-length"]
        self.begins = first.last
        """The end of the log before it began."""
        self.place = first.last if behind is None else behind
        self._feed = feed
        self._who = who
        self._caller = caller
        self._wanted = wanted
        self.lost = behind is not None and not first.dropped <= behind <= first.last
        """What lies behind its place is not known any more."""
        self._bare = False
        self._waiter: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """There may be something to tell."""
        let_go(self._waiter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002  ASGI 3
        """Answer. Raises Often, Unavailable before anything was sent."""
        self._feed.begin(self, self._caller)
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            if not scope["state"].get("bare"):
                await self._tell(scope, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            peer_of(scope).waiter = None
            self._feed.end(self, self._caller)

    async def _tell(self, scope: Scope, send: Send) -> None:
        peer = peer_of(scope)
        begun = _RETRY if self.lost else _RETRY + _here(self.place)
        await send({"type": "http.response.body", "body": begun, "more_body": True})
        loop = asyncio.get_running_loop()
        beat = loop.time() + BEATS_EVERY
        while not peer.leaving:
            self._waiter = peer.waiter = loop.create_future()
            try:
                frames = await self._next()
            except (Unauthenticated, Forbidden):
                return  # it may not listen any more; when it comes again it is told why
            if frames is None:
                frames = b""
                if (left := beat - loop.time()) > 0:
                    timer = loop.call_later(left, let_go, self._waiter)
                    await self._waiter
                    timer.cancel()
                if loop.time() >= beat:
                    frames = b": nothing new\n" + _here(self.place)
            if frames:
                await send({"type": "http.response.body", "body": frames, "more_body": True})
                beat = loop.time() + BEATS_EVERY

    async def _next(self) -> bytes | None:
        """What is to be sent now, perhaps nothing; None: there is no more before something changes."""
        if self.lost:
            self.lost, self.place = False, self._feed.reached
            return _reset(self.place)
        kept = self._feed.kept(self.place)
        if kept is not None:
            found, reached = kept
            whole = reached == self._feed.reached
        else:
            try:
                reading = await self._feed.read(self.place)
            except Unavailable:
                return None  # the feed says it; it wakes when the ledger is there again
            if self.place < reading.dropped:
                self.place = reading.last
                return _reset(self.place)
            found, reached, whole = reading.signals, reading.reached, reading.whole
        told = self._feed.signals.told(self._who, self._wanted, found)
        self.place = max(self.place, reached)
        frames = b"".join(map(_frame, told))
        return None if whole and not frames else frames


def _frame(signal: Signal) -> bytes:
    return f"id: {signal.seq}\nevent: {signal.kind}\ndata: {signal.text()}\n\n".encode()


def _here(place: int) -> bytes:
    """No event, but the place to resume at: without data a client keeps the id and calls nobody."""
    return b"id: %d\n\n" % place


def _reset(place: int) -> bytes:
    """What lies between the client's id and this is not known any more: it must look at everything anew."""
    return b'id: %d\nevent: reset\ndata: {"id":"%d","kind":"reset"}\n\n' % (place, place)
