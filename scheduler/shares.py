"""Shares: how many more attempts at a webhook may begin, so that slow targets of one environment leave room for others.

    together       128 attempts at once
    environment    half of what the other environments leave
    host           half of what the other hosts of its environment leave
    webhook        two

Half of what is left is never all of it: whoever comes next finds room at once. An environment that had much while it
was alone begins nothing more when others come, until it is down to its share; with n of them that is one part of n + 1.
A host's share is of its environment, so that nobody delays what another environment sends there.
"""

from collections import Counter
from collections.abc import Callable

from service.keeper.deliveries import Due

EACH = 2
"""Attempts at one webhook at once."""
MOST = 128
"""Attempts at once."""


class Shares:
    """Counts what is under way. Not for several threads at once: whoever uses it has a lock."""

    def __init__(self) -> None:
        self._running: Counter[Due] = Counter()

    def __len__(self) -> int:
        return self._running.total()

    def room(self, due: Due) -> int:
        """How many more attempts may begin."""
        mine = self._count(lambda it: it.environment == due.environment)
        environment = _half(MOST - (len(self) - mine))
        at_host = self._count(lambda it: (it.environment, it.host) == (due.environment, due.host))
        host = _half(environment - (mine - at_host))
        webhook = self._count(lambda it: it.webhook_id == due.webhook_id)
        return max(0, min(EACH - webhook, host - at_host, environment - mine))

    def begin(self, due: Due) -> None:
        """One more is under way."""
        self._running[due] += 1

    def end(self, due: Due) -> None:
        """One has ended."""
        self._running[due] -= 1
        self._running += Counter()  # those with nothing under way go

    def _count(self, counts: Callable[[Due], bool]) -> int:
        return sum(number for it, number in self._running.items() if counts(it))


def _half(number: int) -> int:
    """The greater one, so that the last place is had by somebody."""
    return (number + 1) // 2
