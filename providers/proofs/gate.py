"""The way to one issuer or cluster: who asks it now, and what came of it the last time.

    fewer ask than may                      go
    as many as may, and not for long        wait for one of them
    one of them for longer than PATIENCE    Unavailable, at once
    it failed less than RESTS ago           Unavailable, at once

Whoever asks, or waits to, holds one of the places that all of these ways share: where none is left, it is Unavailable
at once. So there is always a thread for whom nobody outside must be asked.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from service.core.errors import Unavailable
from service.core.proof import ASKING

PATIENCE = 2.0
RESTS = 5.0
"""Seconds."""
EACH = 16
"""Who may ask one of them, or wait to, at once."""


class Places:
    """Those of one process: ASKING of them."""

    def __init__(self) -> None:
        self._left = threading.BoundedSemaphore(ASKING)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises Unavailable."""
        if not self._left.acquire(blocking=False):
            raise Unavailable("as many logins ask issuers and clusters as may")
        try:
            yield
        finally:
            self._left.release()


class Gate:
    """Before one of them, which `most` may ask at once. `clock` only grows, in seconds."""

    def __init__(self, most: int, places: Places, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._places = places
        self._clock = clock
        self._room = threading.Condition()
        self._waiting = 0
        self._began: list[float] = []
        """When those did who ask, the oldest first."""
        self._failure: tuple[float, str] | None = None

    @contextmanager
    def passed(self) -> Iterator[None]:
        """Ask within. Raises Unavailable, as who asks does: then the others hear of it."""
        with self._places.one():
            began = self._enter()
            try:
                yield
            except Unavailable as error:
                self._failure = self._clock(), error.message
                raise
            finally:
                with self._room:
                    self._began.remove(began)
                    self._room.notify_all()

    def _enter(self) -> float:
        with self._room:
            if self._waiting + len(self._began) >= EACH:
                raise Unavailable("as many logins ask it, or wait to, as may")
            self._waiting += 1
            try:
                self._wait(self._clock() + PATIENCE)
            finally:
                self._waiting -= 1
            self._began.append(self._clock())
            return self._began[-1]

    def _wait(self, until: float) -> None:
        while True:
            now = self._clock()
            if self._failure is not None and now - self._failure[0] < RESTS:
                raise Unavailable(self._failure[1])
            if len(self._began) < self._most:
                return
            left = min(until, self._began[0] + PATIENCE) - now
            if left <= 0 or not self._room.wait(left):
                raise Unavailable("it is being asked already, and has not answered so far")
