"""Turns to write: first come, first served.

SQLite has one writer at a time, and its own way of waiting is by growing sleeps, which starves some. A plain lock
would starve some as well: whoever writes batch after batch takes it back before a waiting thread has woken up.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turn:
    """One at a time, in the order of their coming."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._line: deque[threading.Lock] = deque()

    @contextmanager
    def taken(self, seconds: float) -> Iterator[None]:
        """Inside of it nobody else is. Raises TimeoutError if the turn did not come within so many seconds."""
        self.take(seconds)
        try:
            yield
        finally:
            self.give()

    def take(self, seconds: float) -> None:
        """For whoever has no time for a context. Raises TimeoutError if the turn did not come in so many seconds."""
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            if seconds <= 0:
                raise TimeoutError
            called = threading.Lock()
            called.acquire()
            self._line.append(called)
        if called.acquire(timeout=seconds):
            return
        with self._lock:
            if called in self._line:
                self._line.remove(called)
                raise TimeoutError
        # It was called between the end of its patience and now: the turn is its own.

    def give(self) -> None:
        """The turn is over."""
        with self._lock:
            if self._line:
                self._line.popleft().release()
            else:
                self._taken = False
