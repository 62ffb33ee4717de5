"""Waiting for changes (`?wait=SECONDS`): memory only, no thread and no connection while it lasts."""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from service.keeper.door import Door

T = TypeVar("T")
LONGEST = 60.0
_POLL = 1.0
"""Seconds between two looks at the epoch, for changes that another process made."""


class Changes:
    """Counts the changes of the ledger that this process has heard of."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._lock = threading.Lock()
        self._count = 0
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        door.on_change(self._heard)

    def seen(self) -> tuple[int, int]:
        """Where things stand, noted before looking and given to `after` afterwards: nothing in between is missed."""
        return self._count, 0 if self._door.ledger.embedded else self._door.ledger.epoch()

    async def after(self, seen: tuple[int, int], seconds: float) -> None:
        """Return when something changed since `seen`, or after that many seconds."""
        count, epoch = seen
        woken = asyncio.Event()
        entry = (asyncio.get_running_loop(), woken)
        with self._lock:
            if self._count != count:
                return
            self._waiting.add(entry)
        try:
            if self._door.ledger.embedded:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(woken.wait(), seconds)
            else:
                await self._watch(woken, epoch, seconds)
        finally:
            with self._lock:
                self._waiting.discard(entry)

    async def _watch(self, woken: asyncio.Event, epoch: int, seconds: float) -> None:
        """Other processes change the ledger too: look at its epoch now and then."""
        deadline = asyncio.get_running_loop().time() + seconds
        while await run_in_threadpool(self._door.ledger.epoch) == epoch:
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), min(left, _POLL))
                return

    async def unknown(self, tag: Callable[[], str], known: str, seconds: float) -> str:
        """The tag as soon as it is not `known` any more, or as it is after that many seconds."""
        return await self.until(tag, lambda now: not matches(known, now), seconds)

    async def until(self, look: Callable[[], T], enough: Callable[[T], bool], seconds: float) -> T:
        """What `look` sees as soon as it is enough, or as it is after that many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            before = await run_in_threadpool(self.seen)
            found = await run_in_threadpool(look)
            left = deadline - loop.time()
            if enough(found) or left <= 0:
                return found
            await self.after(before, left)

    def _heard(self) -> None:
        with self._lock:
            self._count += 1
            waiting, self._waiting = self._waiting, set()
        for loop, woken in waiting:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(woken.set)


def matches(if_none_match: str | None, tag: str) -> bool:
    """Does an If-None-Match header hold the tag (RFC 9110, 13.1.2)?"""
    if if_none_match is None:
        return False
    return any(part.strip().removeprefix("W/") in (f'"{tag}"', "*") for part in if_none_match.split(","))


def _changes_of(request: Request) -> Changes:
    changes: Changes = request.app.state.changes
    return changes


Waiting = Annotated[Changes, Depends(_changes_of)]
