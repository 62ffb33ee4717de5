"""Strangers: requests that were refused because nobody could be made out from them, and how many of them the log tells.

A few each second become events like any other refusal. What comes beyond that is counted, and told in one event a
minute: whoever floods the door with wrong tokens fills neither the log nor the memory. What they presented is told
nowhere: it may be a token with a slip in it.
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime

from service.core.access import Caller, Stranger
from service.core.event import Detail, Event, Outcome

ACTION = "token.use"
PER_SECOND = 3
"""Events of one process, on average; as many seconds' worth at once as:"""
AT_ONCE = 10
EVERY = 60.0
"""Seconds after which what was left out is told."""
ADDRESSES = 10_000
"""Addresses that are told apart, at most, in that time."""
_UNTOLD = Caller("stranger", "", "stranger", ())


class Strangers:
    """Counts for one process. `clock` only grows, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(AT_ONCE)
        self._refilled = clock()
        self._count = 0
        self._addresses: set[str] = set()
        self._since: float | None = None

    def admits(self, address: str) -> bool:
        """May this refusal be an event of its own? If not, it is counted."""
        with self._lock:
            now = self._clock()
            self._left = min(float(AT_ONCE), self._left + (now - self._refilled) * PER_SECOND)
            self._refilled = now
            if self._left >= 1:
                self._left -= 1
                return True
            self._count += 1
            if len(self._addresses) < ADDRESSES:
                self._addresses.add(address)
            if self._since is None:
                self._since = now
            return False

    def due(self) -> bool:
        """Is it time to tell what was left out?"""
        return self._since is not None and self._clock() - self._since >= EVERY

    def told(self, tell: Callable[[int, int], None]) -> None:
        """Tell what was left out, as numbers of refusals and addresses; forgotten only if `tell` does not raise."""
        with self._lock:  # not while it is told: whoever is refused meanwhile must not wait for the disk
            count, addresses, since = self._count, self._addresses, self._since
            self._count, self._addresses, self._since = 0, set(), None
        if not count:
            return
        try:
            tell(count, len(addresses))
        except BaseException:
            with self._lock:
                self._count += count
                self._addresses = set([*addresses, *self._addresses][:ADDRESSES])
                self._since = since
            raise


def refused(at: datetime, it: Stranger) -> Event:
    """The event of one refusal."""
    detail: dict[str, Detail] = {"error": "Unauthenticated", **it.detail}
    return Event(at, it.caller, it.action, Outcome.REFUSED, resource=it.resource, detail=detail)


def left_out(at: datetime, count: int, addresses: int) -> Event:
    """The event of those that had none of their own."""
    detail: dict[str, Detail] = {"error": "Unauthenticated", "more": count, "addresses": addresses}
    return Event(at, _UNTOLD, ACTION, Outcome.REFUSED, detail=detail)
