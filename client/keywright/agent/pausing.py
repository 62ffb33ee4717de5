"""How long to leave a server alone that did not answer, or answered too soon."""

import secrets
from collections.abc import Callable

FIRST, LONGEST = 1.0, 30.0
"""Seconds."""

Chance = Callable[[], float]
"""A number from 0 up to 1."""


def chance() -> float:
    """One that nobody can guess, so that no two agents ask in step."""
    return secrets.randbits(53) / (1 << 53)


def pause(failures: int, chance: Chance = chance, *, first: float = FIRST, longest: float = LONGEST) -> float:
    """Seconds to wait after so many failures in a row: doubling up to a limit, of which half is left to chance."""
    whole = min(longest, first * 2.0 ** min(failures - 1, 32))
    return whole * (0.5 + chance() / 2)
