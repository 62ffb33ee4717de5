"""Waiting for changes (`?wait=SECONDS`): memory only, no thread and no connection while it lasts.

Whoever waits is found by what it waits for: a change wakes those whom it concerns, and nobody else.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool

from service.keeper.recorder import Recorder
from service.keeper.snapshot import Key

T = TypeVar("T")
LONGEST = 60.0


class Waiter:
    """One who waits, in its event loop."""

    __slots__ = ("loop", "woken")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.woken = asyncio.Event()

    def wake(self) -> None:
        """From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
            self.loop.call_soon_threadsafe(self.woken.set)


class Changes:
    """Wakes those who wait when the recorder has taken over what changed."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._lock = threading.Lock()
        self._waiting: dict[Key, set[Waiter]] = {}
        recorder.on_change(self._heard)

    async def after(self, keys: Collection[Key], epoch: int | None, seconds: float) -> None:
        """Return when one of these was changed after that epoch, or after so many seconds."""
        self._recorder.start()  # its thread looks for what others change
        waiter = Waiter()
        with self._lock:
            for key in keys:
                self._waiting.setdefault(key, set()).add(waiter)
        try:
            # Looked at only now: what changed before is seen here, what changes from here on wakes.
            if self._recorder.snapshot.epoch == epoch:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(waiter.woken.wait(), seconds)
        finally:
            with self._lock:
                for key in keys:
                    waiting = self._waiting.get(key, set())
                    waiting.discard(waiter)
                    if not waiting:
                        self._waiting.pop(key, None)

    async def until(
        self, keys: Collection[Key], look: Callable[[], Awaitable[T]], enough: Callable[[T], bool], seconds: float
    ) -> T:
        """What `look` sees as soon as it is enough, or as it is after that many seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            await run_in_threadpool(self._recorder.look)
            epoch = self._recorder.snapshot.epoch
            found = await look()
            left = deadline - loop.time()
            if enough(found) or left <= 0:
                return found
            await self.after(keys, epoch, left)

    def _heard(self, keys: Collection[Key] | None) -> None:
        with self._lock:
            concerned = (
                list(self._waiting.values()) if keys is None else [self._waiting[k] for k in keys if k in self._waiting]
            )
            woken = set().union(*concerned)
        for waiter in woken:
            waiter.wake()


def matches(if_none_match: str | None, tag: str) -> bool:
    """Does an If-None-Match header hold the tag (RFC 9110, 13.1.2)?"""
    if if_none_match is None:
        return False
    return any(part.strip().removeprefix("W/") in (f'"{tag}"', "*") for part in if_none_match.split(","))


def _changes_of(request: Request) -> Changes:
    changes: Changes = request.app.state.changes
    return changes


Waiting = Annotated[Changes, Depends(_changes_of)]
