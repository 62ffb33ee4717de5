"""When a question is asked again: only after an outage, a few times, later each time, never in step with others.

no answer, 429, 5xx, a store that is away      asked again after a pause; Retry-After (RFC 9110, 10.2.3) is heeded
any other answer                               is an answer
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from keywright.errors import KeywrightError, StoreFailed, Unavailable, Unreachable

T = TypeVar("T")

_FINE = 1 << 30


def passing(error: KeywrightError) -> bool:
    """Is this an outage, rather than an answer?"""
    return isinstance(error, Unreachable | Unavailable) or (
        isinstance(error, StoreFailed) and error.slug == "store-unreachable"
    )


@dataclass(frozen=True)
class Pace:
    """Pauses in seconds: the first, doubled each time up to the longest; of each between a half and all is taken."""

    first: float = 0.2
    longest: float = 5.0

    def pause(self, failures: int, error: KeywrightError | None = None) -> float:
        """How long to wait after so many failures in a row."""
        whole = min(self.longest, self.first * 2.0 ** min(failures - 1, 30))
        wanted = error.retry_after if error is not None and error.retry_after is not None else 0.0
        # A server may ask for more patience than ours; what it may not do is to silence us for good.
        return max(whole * (0.5 + secrets.randbelow(_FINE) / _FINE / 2), min(wanted, 10 * self.longest))


def patient(ask: Callable[[], T], times: int, pace: Pace = Pace(), sleep: Callable[[float], None] = time.sleep) -> T:
    """`ask()`, and after an outage up to `times` again. Raises what it raises."""
    failures = 0
    while True:
        try:
            return ask()
        except KeywrightError as error:
            failures += 1
            if failures > times or not passing(error):
                raise
            pause = pace.pause(failures, error)
        sleep(pause)


async def patient_async(
    ask: Callable[[], Awaitable[T]],
    times: int,
    pace: Pace = Pace(),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """As `patient`, for who waits without a thread."""
    failures = 0
    while True:
        try:
            return await ask()
        except KeywrightError as error:
            failures += 1
            if failures > times or not passing(error):
                raise
            pause = pace.pause(failures, error)
        await sleep(pause)
