"""Credentials kept for a short while, so that an application may ask before every connection it opens.

What may be given and when to ask is decided in `keywright.keeping`; here it is asked, one question at a time for each
name. While one asks a server that did not answer the last time, the others do not wait for it.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from keywright.credential import Credential
from keywright.errors import KeywrightError
from keywright.keeping import PAUSE, Answer, Keeping

__all__ = ["PAUSE", "Answer", "AsyncCache", "Cache"]


@dataclass
class _Slot:
    keeping: Keeping
    lock: threading.Lock = field(default_factory=threading.Lock)


class Cache:
    """Credentials by name. Safe to share between threads."""

    def __init__(
        self, ask: Callable[[str, str | None], Answer], max_age: float, now: Callable[[], float] = time.time
    ) -> None:
        """`ask(name, etag)` asks the server; `max_age` in seconds; `now` in seconds since 1970."""
        self._ask = ask
        self._max_age = max_age
        self._now = now
        self._slots: dict[str, _Slot] = {}
        self._lock = threading.Lock()

    def get(self, name: str, *, fresh: bool = False) -> Credential:
        """The credential; with `fresh` never without asking. Raises what `ask` raises."""
        slot = self._slot(name)
        if not slot.lock.acquire(blocking=False):
            if not fresh and (known := slot.keeping.meanwhile(self._now())):
                return known
            slot.lock.acquire()
        try:
            now = self._now()
            if not fresh and (known := slot.keeping.at_hand(now)):
                return known
            try:
                answer = self._ask(name, slot.keeping.etag(now))
            except KeywrightError as error:
                return slot.keeping.failed(error, self._now())
            return slot.keeping.answered(answer, self._now())
        finally:
            slot.lock.release()

    def known(self, name: str) -> Credential | None:
        """The last one answered, whatever its age. Asks nobody and waits for nobody."""
        slot = self._slots.get(name)
        return slot.keeping.known if slot else None

    def question(self, name: str) -> tuple[str | None, float]:
        """The ETag to ask with, and for how many seconds a whole answer is not needed."""
        slot, now = self._slot(name), self._now()
        with slot.lock:
            return slot.keeping.etag(now), slot.keeping.patience(now)

    def put(self, name: str, answer: Answer) -> Credential:
        """Take over what somebody else was answered."""
        slot = self._slot(name)
        with slot.lock:
            return slot.keeping.answered(answer, self._now())

    def _slot(self, name: str) -> _Slot:
        with self._lock:
            if (slot := self._slots.get(name)) is None:
                slot = self._slots[name] = _Slot(Keeping(self._max_age))
            return slot


@dataclass
class _AsyncSlot:
    keeping: Keeping
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class AsyncCache:
    """Credentials by name, for one event loop."""

    def __init__(
        self,
        ask: Callable[[str, str | None], Awaitable[Answer]],
        max_age: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """As `Cache`."""
        self._ask = ask
        self._max_age = max_age
        self._now = now
        self._slots: dict[str, _AsyncSlot] = {}

    async def get(self, name: str, *, fresh: bool = False) -> Credential:
        """As `Cache.get`."""
        slot = self._slot(name)
        if slot.lock.locked() and not fresh and (known := slot.keeping.meanwhile(self._now())):
            return known
        async with slot.lock:
            now = self._now()
            if not fresh and (known := slot.keeping.at_hand(now)):
                return known
            try:
                answer = await self._ask(name, slot.keeping.etag(now))
            except KeywrightError as error:
                return slot.keeping.failed(error, self._now())
            return slot.keeping.answered(answer, self._now())

    def known(self, name: str) -> Credential | None:
        """As `Cache.known`."""
        slot = self._slots.get(name)
        return slot.keeping.known if slot else None

    def question(self, name: str) -> tuple[str | None, float]:
        """As `Cache.question`."""
        slot, now = self._slot(name), self._now()
        return slot.keeping.etag(now), slot.keeping.patience(now)

    def put(self, name: str, answer: Answer) -> Credential:
        """As `Cache.put`."""
        return self._slot(name).keeping.answered(answer, self._now())

    def _slot(self, name: str) -> _AsyncSlot:
        if (slot := self._slots.get(name)) is None:
            slot = self._slots[name] = _AsyncSlot(Keeping(self._max_age))
        return slot
