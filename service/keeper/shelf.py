"""Shelves: what is kept in memory for a short while, bounded by number and by bytes.

What is over its time is dropped by a thread that lives as long as anything is there, whether somebody asks or not:
a plaintext does not stay in memory because nobody came for it any more.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

SWEEP_EVERY = 1.0
"""Seconds between two looks for what is over its time."""


@dataclass(frozen=True, slots=True)
class _Kept(Generic[V]):
    value: V
    until: float
    size: int


class Shelf(Generic[K, V]):
    """Safe between threads. `monotonic` is a clock in seconds; when it is full, what was put first is dropped."""

    def __init__(self, most: int, most_bytes: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, _Kept[V]] = OrderedDict()
        self._bytes = 0
        self._sweeper: threading.Thread | None = None
        self._closed = threading.Event()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """What is there, if its time is not over."""
        with self._lock:
            kept = self._kept.get(key)
            return kept.value if kept is not None and self._monotonic() < kept.until else None

    def put(self, key: K, value: V, until: float, size: int) -> None:
        """Keep it until then (of the clock); in the place of what has the same key."""
        with self._lock:
            self._remove(key)
            if self._monotonic() >= until or size > self._most_bytes or self._closed.is_set():
                return
            self._kept[key] = _Kept(value, until, size)
            self._bytes += size
            while len(self._kept) > self._most or self._bytes > self._most_bytes:
                self._remove(next(iter(self._kept)))
            if self._sweeper is None:
                self._sweeper = threading.Thread(target=self._sweeping, name="shelf", daemon=True)
                self._sweeper.start()

    def drop(self, chosen: Callable[[K, V], bool]) -> None:
        """Keep these no longer."""
        with self._lock:
            for key in [key for key, kept in self._kept.items() if chosen(key, kept.value)]:
                self._remove(key)

    def sweep(self) -> None:
        """Drop what is over its time."""
        with self._lock:
            self._sweep()

    def close(self) -> None:
        """Drop everything, and keep nothing more."""
        self._closed.set()
        self.drop(lambda _key, _value: True)

    def _sweep(self) -> None:
        now = self._monotonic()
        for key in [key for key, kept in self._kept.items() if now >= kept.until]:
            self._remove(key)

    def _remove(self, key: K) -> None:
        former = self._kept.pop(key, None)
        if former is not None:
            self._bytes -= former.size

    def _sweeping(self) -> None:
        while True:
            self._closed.wait(SWEEP_EVERY)
            with self._lock:
                self._sweep()
                if not self._kept:
                    self._sweeper = None
                    return
