"""Reading references: in threads of the callers, one at a time per location, remembered for a short while.

Whoever asks for a location that somebody is reading already waits for that reading (single flight). A
failure is remembered too, for a second, so that a broken store is not asked again by every caller.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from service.core.errors import StoreError, StoreUnreachable
from service.core.reference import Reading, Reference, Store
from service.keeper.recorder import Unready

FRESH = 2.0
"""Seconds for which a reading is used again; the age is stated in the answer."""
FAILED = 1.0
"""Seconds for which a failure is given again."""
_MOST = 10_000


@dataclass(frozen=True)
class Held:
    """What a store said, and when (a monotonic clock, in seconds)."""

    reading: Reading
    at: float


class Readings:
    """What was read for one fetch; kept over its evaluations."""

    def __init__(self, references: "References") -> None:
        self._references = references
        self._held: dict[Reference, Held] = {}

    def __getitem__(self, reference: Reference) -> Held:
        return self._held[reference]

    def require(self, wanted: set[Reference]) -> None:
        """Ends the evaluation if something wanted was not read yet."""
        if missing := wanted - self._held.keys():
            raise Unread(self, missing)

    def read(self, wanted: set[Reference]) -> None:
        """Read these as well. Raises the first store error."""
        self._held.update(self._references.read(wanted))


class Unread(Unready):
    """An evaluation came upon references that were not read yet."""

    def __init__(self, readings: Readings, wanted: set[Reference]) -> None:
        super().__init__()
        self._missing = (readings, wanted)

    def prepare(self) -> None:
        """Read them. Raises the first store error."""
        readings, wanted = self._missing
        readings.read(wanted)


class References:
    """Reads through the stores. `stores` maps their names; a store that is not configured is not in it."""

    def __init__(self, stores: Mapping[str, Store], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._stores = stores
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: dict[tuple[str, str], Held | StoreError] = {}
        self._failed_at: dict[tuple[str, str], float] = {}
        self._flights: dict[tuple[str, str], threading.Event] = {}

    def read(self, wanted: Iterable[Reference]) -> dict[Reference, Held]:
        """Every wanted reference, fresh. Raises the first store error."""
        held = {}
        for reference in wanted:
            outcome = self._outcome(reference)
            if isinstance(outcome, StoreError):
                raise outcome
            held[reference] = outcome
        return held

    def readings(self) -> Readings:
        """For one fetch."""
        return Readings(self)

    def forget(self, reference: Reference) -> None:
        """Ask the store again next time: it was just written to."""
        with self._lock:
            self._held.pop((reference.store, reference.location), None)

    def now(self, reference: Reference) -> Reading:
        """Ask the store itself, whatever is remembered. Raises the store errors."""
        return self._store(reference).read(reference)

    def _store(self, reference: Reference) -> Store:
        store = self._stores.get(reference.store)
        if store is None:
            raise StoreUnreachable(
                f"the store {reference.store} is not configured on this server; see the settings in the README",
                store=reference.store,
                reference=str(reference),
            )
        return store

    def _outcome(self, reference: Reference) -> Held | StoreError:
        key = (reference.store, reference.location)
        while True:
            with self._lock:
                known = self._held.get(key)
                if known is not None and self._is_fresh(key, known):
                    return known
                flight = self._flights.get(key)
                if flight is None:
                    mine = self._flights[key] = threading.Event()
                    break
            flight.wait()
        try:
            outcome = self._asked(reference)
            with self._lock:
                if len(self._held) >= _MOST:
                    self._held.clear()
                    self._failed_at.clear()
                self._held[key] = outcome
                self._failed_at[key] = self._monotonic()
            return outcome
        finally:
            with self._lock:
                del self._flights[key]
            mine.set()

    def _is_fresh(self, key: tuple[str, str], known: Held | StoreError) -> bool:
        now = self._monotonic()
        if isinstance(known, StoreError):
            return now - self._failed_at[key] < FAILED
        return now - known.at < FRESH

    def _asked(self, reference: Reference) -> Held | StoreError:
        at = self._monotonic()
        try:
            return Held(self._store(reference).read(reference), at)
        except StoreError as error:
            return error
