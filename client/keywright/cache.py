"""Credentials kept for a short while, so that an application may ask before every connection it opens.

fresh      asked less than `max_age` seconds ago        given again
older                                                   asked again, with If-None-Match
half of its promise used up                             asked again in full: a 304 would not renew `good_until`
no answer, an entry still promised                      given again, `stale`, and the server left alone briefly
no answer, nothing promised any more                    the error
refused (401, 403, 404, …)                              forgotten, and the error
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from keywright.credential import Credential
from keywright.errors import KeywrightError, StoreFailed, Unavailable, Unreachable

PAUSE = 5.0
"""Seconds, at most, for which a server that did not answer is not asked again while something promised is at hand."""


@dataclass(frozen=True)
class Answer:
    """What the server said: a credential, or None for "the one you have". `at` is its clock, seconds since 1970."""

    credential: Credential | None
    etag: str | None
    at: float


@dataclass(frozen=True)
class _Kept:
    """`told` is the server's clock at the last full answer, `asked` ours at the last answer of either kind."""

    credential: Credential
    etag: str | None
    told: float
    asked: float
    skew: float
    rest_until: float = 0.0

    def moment(self, now: float) -> float:
        return now + self.skew

    @property
    def good_until(self) -> float | None:
        good_until = self.credential.best.good_until
        return None if good_until is None else good_until.timestamp()

    def fresh(self, now: float, max_age: float) -> bool:
        # An age below zero means that our clock was set back: then nothing is known.
        good_until = self.good_until
        return 0 <= now - self.asked < max_age and (good_until is None or self.moment(now) < good_until)

    def revalidated_by(self, now: float) -> str | None:
        """The ETag to ask with, or None when a whole answer is wanted.

        Counted from the last full answer, so a fixed `good_until` costs a handful of full fetches, not one per poll.
        """
        good_until = self.good_until
        if good_until is not None and self.moment(now) - self.told > (good_until - self.told) / 2:
            return None
        return self.etag


@dataclass
class _Slot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: _Kept | None = None


class Cache:
    """Credentials by name. One question at a time for each name; safe to share between threads."""

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
        with self._lock:
            slot = self._slots.setdefault(name, _Slot())
        with slot.lock:
            now = self._now()
            kept = slot.kept
            if kept is not None and not fresh:
                if kept.fresh(now, self._max_age):
                    return kept.credential
                if now < kept.rest_until <= now + PAUSE and (promised := _promised(kept, now)):
                    return promised
            try:
                answer = self._ask(name, kept.revalidated_by(now) if kept else None)
            except KeywrightError as error:
                if not _passing(error):
                    slot.kept = None
                    raise
                now = self._now()
                if kept is None or (promised := _promised(kept, now)) is None:
                    raise
                slot.kept = replace(kept, rest_until=now + min(PAUSE, self._max_age))
                return promised
            slot.kept = kept = _keep(answer, kept, self._now())
            return kept.credential


def _keep(answer: Answer, former: _Kept | None, now: float) -> _Kept:
    skew = answer.at - now
    if answer.credential is not None:
        return _Kept(answer.credential, answer.etag, told=answer.at, asked=now, skew=skew)
    if former is None:
        raise ValueError("an answer without a credential needs a former one")
    return replace(former, etag=answer.etag or former.etag, asked=now, skew=skew, rest_until=0.0)


def _promised(kept: _Kept, now: float) -> Credential | None:
    return kept.credential.promised(datetime.fromtimestamp(kept.moment(now), UTC))


def _passing(error: KeywrightError) -> bool:
    """Is this an outage, rather than an answer?"""
    return isinstance(error, Unreachable | Unavailable) or (
        isinstance(error, StoreFailed) and error.slug == "store-unreachable"
    )
