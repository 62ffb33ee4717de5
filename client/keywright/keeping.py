"""What is known of one credential, and what that allows. Nothing here asks or waits: `Cache` and `AsyncCache` do.

fresh      asked less than `max_age` seconds ago        given again
older                                                   asked again, with If-None-Match
half of its promise used up                             asked again in full: a 304 would not renew `good_until`
no answer, an entry still promised                      given again, `stale`, and the server left alone briefly
no answer, nothing promised any more                    the error
refused (401, 403, 404, …)                              forgotten, and the error

Moments are seconds since 1970 by this machine's clock; promises are judged by the server's.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from keywright.credential import Credential
from keywright.errors import KeywrightError
from keywright.retrying import passing

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
    rest_until: float | None = None

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

    def resting(self, now: float) -> bool:
        return self.rest_until is not None and now < self.rest_until <= now + PAUSE

    def promised(self, now: float) -> Credential | None:
        return self.credential.promised(datetime.fromtimestamp(self.moment(now), UTC))


class Keeping:
    """One credential as it is kept. Not safe between threads: whoever asks holds a lock."""

    def __init__(self, max_age: float) -> None:
        """`max_age` in seconds: how long it is given again without asking."""
        self._max_age = max_age
        self._kept: _Kept | None = None

    @property
    def known(self) -> Credential | None:
        """The last one answered, whatever its age."""
        kept = self._kept
        return kept.credential if kept else None

    def at_hand(self, now: float) -> Credential | None:
        """What may be given without asking."""
        kept = self._kept
        if kept is None:
            return None
        if kept.fresh(now, self._max_age):
            return kept.credential
        return kept.promised(now) if kept.resting(now) else None

    def meanwhile(self, now: float) -> Credential | None:
        """What may be given while another one asks a server that did not answer the last time."""
        kept = self._kept
        return kept.promised(now) if kept and kept.rest_until is not None else None

    def etag(self, now: float) -> str | None:
        """The ETag to ask with, or None when a whole answer is wanted.

        Counted from the last full answer, so a fixed `good_until` costs a handful of full fetches, not one per poll.
        """
        kept = self._kept
        return kept.etag if kept and self.patience(now) > 0 else None

    def patience(self, now: float) -> float:
        """Seconds until a whole answer is wanted, whether or not anything changed."""
        kept = self._kept
        if kept is None:
            return 0.0
        if (good_until := kept.good_until) is None:
            return float("inf")
        return max(0.0, kept.told + (good_until - kept.told) / 2 - kept.moment(now))

    def answered(self, answer: Answer, now: float) -> Credential:
        """Take an answer over."""
        skew = answer.at - now
        if answer.credential is not None:
            self._kept = _Kept(answer.credential, answer.etag, told=answer.at, asked=now, skew=skew)
            return answer.credential
        former = self._kept
        if former is None:
            raise ValueError("an answer without a credential needs a former one")
        etag = answer.etag or former.etag
        self._kept = replace(former, etag=etag, asked=now, skew=skew, rest_until=None)
        return former.credential

    def failed(self, error: KeywrightError, now: float) -> Credential:
        """What is given although asking failed. Raises `error` when there is nothing."""
        if not passing(error):
            self._kept = None
            raise error
        kept = self._kept
        if kept is None or (promised := kept.promised(now)) is None:
            raise error
        self._kept = replace(kept, rest_until=now + min(PAUSE, self._max_age))
        return promised
