"""What a long-running command hears, one thing after the other: news, signals, and that it is late."""

import queue
import time
from collections.abc import Callable

from keywright.agent.journal import note
from keywright.agent.signals import Signal
from keywright.agent.subject import Known, Subject, moment
from keywright.agent.watch import Failed, Heard, News
from keywright.errors import KeywrightError

SETTLE = 0.2
"""Seconds that a change waits for others that come with it."""


class Inbox:
    """Filled by threads, emptied by one."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[News | Signal] = queue.SimpleQueue()
        self.put = self._queue.put

    def take(self, until: float | None) -> News | Signal | None:
        """The next thing; None when it is that late, by time.monotonic. None for `until` waits for ever."""
        try:
            return self._queue.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            return None


class Heeded:
    """What is known of each subject, and whether the server answers for it; says so when that turns."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.known: dict[Subject, Known] = {}
        self.failing: dict[Subject, str] = {}
        """Why nothing new is known of it."""
        self._kinds: dict[Subject, type[KeywrightError]] = {}
        self._late: set[Subject] = set()
        self._refused: set[Subject] = set()

    def heard(self, news: Heard) -> bool:
        """Is it something new?"""
        known = news.known
        differs = known.differs(self.known.get(known.subject))
        self.known[known.subject] = known
        self._late.discard(known.subject)
        self._refused.discard(known.subject)
        if self.failing.pop(known.subject, None) is not None:
            note(f"{known.subject} is answered again")
        return differs

    def failed(self, news: Failed, *, refused: bool = False) -> None:
        """Say it, once for each kind of failure. `refused`: the server answered, and it was no."""
        if refused:
            self._refused.add(news.subject)
        subject, why = news.subject, news.error.message
        known = self.known.get(subject)
        if subject not in self.failing or self._kinds.get(subject) is not type(news.error):
            kept = "" if known is None else f"; what was known at {moment(known.heard)} stays in use"
            note(f"{subject}: {why}{kept}")
        self.failing[subject], self._kinds[subject] = why, type(news.error)
        if known is not None and known.past(self._now()) and subject not in self._late:
            self._late.add(subject)
            until = moment(known.good_until() or 0)
            note(f"{subject} is past its promise (good_until {until}): it may not work any more")

    def allowed(self) -> list[Known]:
        """What was not refused since."""
        return [known for subject, known in self.known.items() if subject not in self._refused]

    def forget(self, subject: Subject) -> None:
        """Nobody wants it any more."""
        self.known.pop(subject, None)
        self.failing.pop(subject, None)
        self._kinds.pop(subject, None)
        self._late.discard(subject)
        self._refused.discard(subject)
