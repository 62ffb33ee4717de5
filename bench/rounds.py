"""Rounds: a few of each measurement, so that there is a median, but never past the time that is left."""

import time
from collections.abc import Iterator

BUDGET = 110.0
"""Seconds after which no further round begins; one that is under way ends. Each measurement has one at least."""


class Rounds:
    """Iterate over it once for each measurement."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._until = time.monotonic() + BUDGET

    def __iter__(self) -> Iterator[int]:
        for number in range(self._most):
            if number and time.monotonic() > self._until:
                return
            yield number
