"""When a pooled connection has had its time: never in a transaction, only between two uses.

A session outlives the password that it began with, but a rotation that drains waits for it, and may end it when the
drain limit is over (`after_limit`). So a connection goes by itself, at a point between a half and nine tenths of the
promise (`good_until`) that its login was given. The point differs for each one, so that a pool is not renewed all at
once.

    before the point                     it stays
    its login is still the first offered its promise is longer now: it stays
    nobody answers                       it stays: another one would begin with the same login
    else                                 it goes, and the next login is of the new generation
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from keywright.credential import Credential, Entry
from keywright.errors import KeywrightError

_FINE = 1 << 30


@dataclass
class Mark:
    """What is remembered of a connection: whose login it began with, and when to look whether it is still offered."""

    generation: int
    entry: Entry
    look_at: datetime | None

    def looks(self, now: datetime) -> bool:
        """Is it time to look?"""
        return self.look_at is not None and now >= self.look_at

    def over(self, credential: Credential, now: datetime) -> bool:
        """Has it had its time, by what is offered now? If not, its promise is that of the answer from here on."""
        if credential.stale:
            return False
        best = credential.best
        if (best.username, best.password) != (self.entry.username, self.entry.password):
            return True
        self.generation, self.look_at = credential.generation, _point(best, now)
        return False


def mark(credential: Credential, entry: Entry, now: datetime | None = None) -> Mark:
    """The mark of a connection that was just opened with this entry."""
    return Mark(credential.generation, entry, _point(entry, now or datetime.now(UTC)))


def retired(mark: Mark | None, ask: Callable[[], Credential]) -> bool:
    """Has a connection had its time? Asks only when it is time to look."""
    now = datetime.now(UTC)
    if mark is None or not mark.looks(now):
        return False
    try:
        return mark.over(ask(), now)
    except KeywrightError:
        return False


async def retired_async(mark: Mark | None, ask: Callable[[], Awaitable[Credential]]) -> bool:
    """As `retired`."""
    now = datetime.now(UTC)
    if mark is None or not mark.looks(now):
        return False
    try:
        return mark.over(await ask(), now)
    except KeywrightError:
        return False


def _point(entry: Entry, now: datetime) -> datetime | None:
    if entry.good_until is None:
        return None
    share = 0.5 + 0.4 * secrets.randbelow(_FINE) / _FINE
    return now + (entry.good_until - now) * share
