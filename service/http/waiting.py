"""Waiting for changes (`?wait=SECONDS`): memory only, no thread, task or connection of its own while it lasts.

Whoever waits is found by what it waits for: a change wakes those whom it concerns, and nobody else. The wait also
ends at once when the client goes away, and when the server is told to stop.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from service.http.limits import Limits
from service.http.looking import Looking
from service.http.peer import Peer, let_go
from service.keeper.recorder import Recorder
from service.keeper.references import References
from service.keeper.snapshot import Key

T = TypeVar("T")
LONGEST = 60.0


@dataclass(frozen=True, slots=True)
class Wait:
    """One who waits: for these, until this is done."""

    keys: Collection[Key]
    over: asyncio.Future[None]
    timer: asyncio.TimerHandle
    peer: Peer


class Changes:
    """Wakes those who wait when the recorder has taken over what changed.

    For one event loop, which is the one that somebody waits in first. While a request waits it costs memory only, and
    is none of those that `limits` counts as worked on.
    """

    def __init__(self, recorder: Recorder, references: References, limits: Limits) -> None:
        self._recorder = recorder
        self._limits = limits
        self._looking = Looking(references, self._wake)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[Key, set[asyncio.Future[None]]] = {}
        recorder.on_change(self._heard)

    async def after(self, keys: Collection[Key], epoch: int | None, seconds: float, peer: Peer) -> None:
        """Return when one of these was changed after that epoch, after so many seconds, or when the server stops.

        What a store holds is changed by others: it is looked at while somebody waits (see `Looking`).

        Raises ClientDisconnect when the client goes away.
        """
        wait = self.begin(keys, epoch, seconds, peer)
        try:
            await wait.over
        finally:
            self.end(wait)
        if peer.lost:
            raise ClientDisconnect

    def begin(self, keys: Collection[Key], epoch: int | None, seconds: float, peer: Peer) -> "Wait":
        """A wait that is over when `after` would return, or raise. It must be given to `end` then, or before."""
        self._recorder.start()  # its thread looks for what others change
        loop = self._loop = asyncio.get_running_loop()
        over = peer.waiter = loop.create_future()
        for key in keys:
            if key not in self._waiting:
                self._waiting[key] = set()
                self._looking.begin(key)
            self._waiting[key].add(over)
        # Looked at only now: what changed before is seen here, what changes from here on wakes.
        if self._recorder.snapshot.epoch != epoch or peer.leaving:
            let_go(over)
        self._limits.working -= 1
        return Wait(keys, over, loop.call_later(seconds, let_go, over), peer)

    def end(self, wait: "Wait") -> None:
        """Forget it."""
        self._limits.working += 1
        wait.timer.cancel()
        wait.peer.waiter = None
        for key in wait.keys:
            waiting = self._waiting[key]
            waiting.discard(wait.over)
            if not waiting:
                del self._waiting[key]
                self._looking.end(key)

    async def until(
        self,
        keys: Collection[Key],
        look: Callable[[], Awaitable[T]],
        enough: Callable[[T], bool],
        seconds: float,
        peer: Peer,
    ) -> T:
        """What `look` sees as soon as it is enough, or as it is after that many seconds, or when the server stops.

        Raises ClientDisconnect when the client goes away.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            await run_in_threadpool(self._recorder.look)
            epoch = self._recorder.snapshot.epoch
            found = await look()
            left = deadline - loop.time()
            if enough(found) or left <= 0:
                return found
            await self.after(keys, epoch, left, peer)
            if peer.leaving:
                return found

    def _heard(self, keys: Collection[Key] | None) -> None:
        """In any thread. Who begins to wait meanwhile sees the new epoch: it is there before this is told."""
        found = None if keys is None else [key for key in keys if key in self._waiting]
        if self._loop is not None and (found or (found is None and self._waiting)):
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                self._loop.call_soon_threadsafe(self._wake, found)

    def _wake(self, keys: Collection[Key] | None) -> None:
        concerned = self._waiting.values() if keys is None else [self._waiting.get(key, set()) for key in keys]
        for waiter in set().union(*concerned):
            let_go(waiter)


def matches(if_none_match: str | None, tag: str) -> bool:
    """Does an If-None-Match header hold the tag (RFC 9110, 13.1.2)?"""
    if if_none_match is None:
        return False
    return any(part.strip().removeprefix("W/") in (f'"{tag}"', "*") for part in if_none_match.split(","))


def _changes_of(request: Request) -> Changes:
    changes: Changes = request.app.state.changes
    return changes


Waiting = Annotated[Changes, Depends(_changes_of)]
