"""One question at a time for each subject, held open until there is news (`?wait=`).

ask in whole ─► heard ─► ask with If-None-Match, ?wait= ─► 200: heard ─┐
                 ▲                                         304: heard ─┤  half of a promise is over: in whole
                 └─────────────────────────────────────────────────────┘
no answer, or a refusal   failed, and a pause that grows; it ends early when somebody else was answered
anything else             failed just so: whatever an answer is made of, the next one is asked for
304 long before its time  a pause that grows as well: whatever answers there does not hold questions open
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from keywright.agent.pausing import FIRST, LONGEST, Chance, chance, pause
from keywright.agent.subject import Known, Subject, known
from keywright.discovery import Discovered
from keywright.door import Door, Reply
from keywright.errors import KeywrightError, Unexpected

WAIT = 45
"""Seconds that the server is asked to hold a question open."""
PATIENCE = WAIT + 15.0
QUICK = 10.0
"""Seconds that an answer may take: one that is held open, and one that is not."""
APART = 0.2
"""Seconds, at least, between two questions about one subject."""
SHARED = 16
"""Subjects that share a door: it opens up to 20 connections."""


@dataclass(frozen=True)
class Heard:
    """The server answered."""

    known: Known


@dataclass(frozen=True)
class Failed:
    """It did not, or refused."""

    subject: Subject
    error: KeywrightError


News = Heard | Failed
Tell = Callable[[News], None]


class Ask(Protocol):
    """Asks about a subject; raises any of `keywright.errors`."""

    def __call__(self, subject: Subject, etag: str | None, wait: int) -> Reply: ...


class Asking:
    """One server and environment, asked by many threads."""

    def __init__(self, found: Discovered) -> None:
        """Raises Invalid when no environment was named."""
        self._found, self.environment = found, found.named_environment()
        self.address = found.address
        self._doors: list[Door] = []
        self._quick = self._opened(QUICK)
        self._places: dict[Subject, Door] = {}
        self._lock = threading.Lock()

    def __call__(self, subject: Subject, etag: str | None, wait: int) -> Reply:
        """See `Ask`."""
        path, query = subject.question(self.environment)
        if not wait:
            return self._quick.get(path, query or None, etag=etag)
        return self._door(subject).get(path, query | {"wait": str(wait)}, etag=etag)

    def leave(self, subject: Subject) -> None:
        """It is asked about no more."""
        with self._lock:
            self._places.pop(subject, None)

    def _door(self, subject: Subject) -> Door:
        with self._lock:
            if subject not in self._places:
                taken = list(self._places.values())
                free = next((door for door in self._doors if taken.count(door) < SHARED), None)
                if free is None:
                    free = self._opened(PATIENCE)
                    self._doors.append(free)
                self._places[subject] = free
            return self._places[subject]

    def _opened(self, timeout: float) -> Door:
        found = self._found
        return Door(found.address, found.token, timeout=timeout, ca=found.ca, certificate=found.certificate)


class Watching:
    """Threads that watch subjects of one server, and tell what they hear. `begin` and `end` are for one thread."""

    def __init__(
        self,
        ask: Ask,
        tell: Tell,
        *,
        chance: Chance = chance,
        now: Callable[[], float] = time.time,
        leave: Callable[[Subject], None] = lambda _: None,
    ) -> None:
        """`tell` is called in those threads, `leave` when one ends; `now` is in seconds since 1970."""
        self._ask, self._tell, self._chance, self._now, self._leave = ask, tell, chance, now, leave
        self._watches: dict[Subject, _Watch] = {}
        self._answered = threading.Condition()
        self._answers = 0

    @property
    def subjects(self) -> frozenset[Subject]:
        """Those that are watched."""
        return frozenset(self._watches)

    def begin(self, subject: Subject, former: Known | None = None) -> None:
        """Watch it, if it is not watched yet. From `former` on, if it was asked before."""
        if subject not in self._watches:
            watch = self._watches[subject] = _Watch(self, subject, former)
            threading.Thread(target=watch.run, name=f"watch {subject}", daemon=True).start()

    def end(self, subject: Subject) -> None:
        """Watch it no more. A question that is held open now is not answered to anybody."""
        watch = self._watches.pop(subject, None)
        if watch is not None:
            watch.over.set()

    def answered(self) -> None:
        """The server is back: whoever rests goes on soon."""
        with self._answered:
            self._answers += 1
            self._answered.notify_all()

    def rest(self, seconds: float) -> None:
        """Return after so many seconds, or within one once somebody else was answered after an outage."""
        with self._answered:
            before = self._answers
            early = self._answered.wait_for(lambda: self._answers != before, seconds)
        if early:
            time.sleep(min(seconds, self._chance()))


class _Watch:
    def __init__(self, those: Watching, subject: Subject, former: Known | None) -> None:
        self._those, self._subject, self._known = those, subject, former
        self._whole = former is None or former.sealed
        self.over = threading.Event()

    def run(self) -> None:
        those, failures, hasty = self._those, 0, 0
        while not self.over.is_set():
            began = time.monotonic()
            wait = self._wait()
            try:
                reply = those._ask(self._subject, self._known.etag if self._known and wait else None, wait)
                heard = known(self._subject, reply, self._known, those._now())
            except Exception as error:  # noqa: BLE001 - a subject that nobody watches any more would never be heard of again
                failures += 1
                self._say(Failed(self._subject, _told(error)))
                those.rest(pause(failures, those._chance, longest=self._patience()))
                continue
            if failures:
                those.answered()
            failures, self._known, self._whole = 0, heard, False
            self._say(Heard(heard))
            took = time.monotonic() - began
            if heard.etag is None:  # nothing to wait with
                those.rest(WAIT)
                continue
            hasty = hasty + 1 if wait and reply.status == 304 and took < wait / 2 else 0
            time.sleep(pause(hasty, those._chance) if hasty else max(0.0, APART - took))
        those._leave(self._subject)

    def _wait(self) -> int:
        """Seconds to be waited for news; 0 to ask in whole, at once."""
        if self._known is None or self._whole or self._known.etag is None:
            return 0
        renewal = self._known.renewal()
        if renewal is None:
            return WAIT
        return min(WAIT, max(0, int(renewal - self._those._now())))

    def _patience(self) -> float:
        """Seconds that a pause may take, so that what was promised is not retired while we rest.

        A server that is back may turn a password at once, and keeps the former for as long as it promised before.
        """
        promised = self._known.promised() if self._known else None
        return LONGEST if promised is None else min(LONGEST, max(FIRST, promised / 4))

    def _say(self, news: News) -> None:
        if not self.over.is_set():
            self._those._tell(news)


def _told(error: Exception) -> KeywrightError:
    """As what is told and logged: the text of what nobody foresaw may quote a value."""
    if isinstance(error, KeywrightError):
        return error
    return Unexpected(
        f"what the server answered could not be taken ({type(error).__name__}): update it, or this client"
    )
