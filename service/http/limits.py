"""How much one address or one caller may ask for: token buckets in memory, of this process only.

The library `limits` takes 7 to 14 microseconds for a look; this takes a third of one, which the fetch path notices.
"""

import time
from collections.abc import Callable, Hashable
from ipaddress import ip_address
from math import inf

BURST = 5
"""Seconds' worth that may come at once."""
MOST_KEYS = 50_000
"""Addresses or callers that are remembered."""


class Rate:
    """So many a second for each key, and a burst of five seconds' worth. A rate of 0 allows everything.

    Kept is only the time at which a key has its whole burst again (the generic cell rate algorithm).
    """

    def __init__(self, per_second: float, clock: Callable[[], float] = time.monotonic, most: int = MOST_KEYS) -> None:
        self.on = per_second > 0
        self._interval = 1 / per_second if self.on else 0.0
        self._burst = max(BURST - self._interval, 0.0)
        self._clock = clock
        self._most = most
        self._full_at: dict[Hashable, float] = {}

    def spend(self, key: Hashable) -> bool:
        """Count one. False, and not counted: it was one too many."""
        if not self.on:
            return True
        now = self._clock()
        full_at = self._full_at.get(key, 0.0)
        if full_at < now:
            full_at = now
        if full_at - now > self._burst:
            return False
        if len(self._full_at) >= self._most and key not in self._full_at:
            self._forget(now)
        self._full_at[key] = full_at + self._interval
        return True

    def _forget(self, now: float) -> None:
        """Who has its whole burst again is as good as unknown; and if that is nobody, the older half is."""
        kept = [(key, at) for key, at in self._full_at.items() if at > now]
        self._full_at = dict(kept[len(kept) // 2 :] if len(kept) >= self._most else kept)


class Limits:
    """What the envelope asks. Everything that is turned away is 429 or 503 with `Retry-After: 1`."""

    def __init__(
        self,
        *,
        address: float = 0,
        caller: float = 0,
        refused: float = 0,
        requests: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Rates a second; `requests` is how many may be worked on at once. 0 is without limit."""
        self._address = Rate(address, clock)
        self._caller = Rate(caller, clock)
        self._refused = Rate(refused, clock)
        self.rated = self._address.on or self._caller.on
        """Is there a rate that those keep to whose token is known?"""
        self.most = requests or inf
        """How many may be worked on at once."""
        self.working = 0
        """Requests that are worked on now, by every envelope's and lane's count; who waits (`Changes`) is not."""

    def address(self, address: str) -> bool:
        """A request came from there: may it be looked at?"""
        return not self._address.on or self._address.spend(_network(address))

    def caller(self, shown: bytes) -> bool:
        """May who shows this (see `token_in`) ask? By the whole of it: nobody uses up another one's share by its id."""
        return not self._caller.on or not shown or self._caller.spend(hash(shown))

    def refused(self, address: str) -> bool:
        """A token from there was not accepted: is that to be said as it is?

        Tokens that are accepted pass whatever came from the address before: behind it may be many.
        """
        return self._refused.spend(_network(address))


def token_in(authorization: bytes) -> bytes:
    """The token in an Authorization header, however it is spelt (RFC 9110, 11.4); what is none as it is."""
    scheme, _, token = authorization.partition(b" ")
    return token.strip(b" ") if scheme.lower() == b"bearer" else authorization


def _network(address: str) -> str:
    # Of IPv6 whoever has one address has 2^64 of them.
    if ":" not in address:
        return address
    try:
        return ip_address(address.partition("%")[0]).exploded[:19]
    except ValueError:
        return address
