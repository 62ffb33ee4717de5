"""Fences for tests: each with a higher number than the one before, as successive workers have them."""

from itertools import count

from service.core.database import Fence

_NUMBERS = count(1)


def next_fence(key: str = "0123456789abcdef0123456789abcdef", lease: float = 30.0) -> Fence:
    """The fence of a worker that came after all others of this process."""
    return Fence(key, next(_NUMBERS), lease)
