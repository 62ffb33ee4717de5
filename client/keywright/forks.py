"""What a process must not share with the one it was forked from: locks, which a thread of the parent may hold."""

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OfProcess(Generic[T]):
    """One thing for each process, made when it is first asked for there. Threads that ask together get the same one."""

    def __init__(self, make: Callable[[], T]) -> None:
        """`make` may be called more often than once; what it makes too much is dropped unused."""
        self._make = make
        self._made: dict[int, T] = {}

    def get(self) -> T:
        """This process's own."""
        pid = os.getpid()
        made = self._made.get(pid)
        # setdefault() is one step between threads, and needs no lock that a fork could leave locked.
        return self._made.setdefault(pid, self._make()) if made is None else made
