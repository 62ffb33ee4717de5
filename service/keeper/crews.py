"""Crews: threads that one store has for itself, so that one that hangs holds up nobody who reads another.

Threads are started when there is work for them and end when there was none for a while. They are daemons: a store
that never answers does not keep the process from ending.
"""

import contextlib
import threading
from collections import deque
from collections.abc import Callable

THREADS = 16
"""Readings of one store at once."""
QUEUE = 200
"""Readings that wait for one of its threads, at most."""
_IDLE = 10.0
"""Seconds after which a thread without work ends."""

Work = Callable[[], None]


class Crew:
    """The threads of one store. What they are given must not raise."""

    def __init__(self, name: str, threads: int = THREADS, queue: int = QUEUE) -> None:
        self._name = name
        self._most = threads
        self._queue = queue
        self._ready = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._threads = 0
        self._free = 0
        """Threads that have no work, those that are about to begin among them."""

    def offer(self, work: Work) -> bool:
        """Have it done, now or in its turn; False if too much waits already."""
        with self._ready:
            behind = len(self._waiting) - self._free
            if behind >= 0 and self._threads < self._most and self._started():
                behind -= 1
            if not self._threads or behind >= self._queue:
                return False
            self._waiting.append(work)
            self._ready.notify()
            return True

    def drop(self, work: Work) -> bool:
        """Leave it undone; False if it was begun."""
        with self._ready, contextlib.suppress(ValueError):
            self._waiting.remove(work)
            return True
        return False

    def _started(self) -> bool:
        thread = threading.Thread(target=self._run, name=f"store {self._name}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads: those that there are must do
            return False
        self._threads += 1
        self._free += 1
        return True

    def _run(self) -> None:
        while True:
            with self._ready:
                found = self._ready.wait_for(lambda: self._waiting, _IDLE)
                self._free -= 1
                if not found:
                    self._threads -= 1
                    return
                work = self._waiting.popleft()
            work()
            with self._ready:
                self._free += 1
