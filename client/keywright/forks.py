"""What a process must not share with the one it was forked from: locks, which a thread of the parent may hold."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OfProcess(Generic[T]):
    """One thing for each process, made when it is first asked for there."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made = os.getpid(), make()

    def get(self) -> T:
        """This process's own."""
        made = self._made
        if made[0] != os.getpid():
            made = self._made = os.getpid(), self._make()
        return made[1]
