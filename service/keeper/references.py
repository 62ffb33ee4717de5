"""Reading references: in threads of their store, once at a time per location, remembered for a short while.

Whoever asks for a location that somebody is reading already waits for that reading (single flight), and several
references of one fetch are read at the same time. Nobody waits longer than the limit: a flight that is out longer is
waited for no more until it ends, and a store that too many wait for refuses at once. Only whoever reads that store
notices. A failure is remembered too, for a second, so that a broken store is not asked again by every caller.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from service.core.environment import Environment
from service.core.errors import StoreBusy, StoreError, StoreUnreachable
from service.core.reference import Reading, Reference, Store, select
from service.core.secret import Secret
from service.keeper.asked import Errand, Unready
from service.keeper.copies import Copies, Place
from service.keeper.crews import Crew
from service.keeper.outside import key_of_reading
from service.keeper.shelf import Shelf
from service.keeper.snapshot import Key

FRESH = 2.0
"""Seconds for which a reading is used again; the age is stated in the answer."""
FAILED = 1.0
"""Seconds for which a failure is given again."""
LIMIT = 10.0
"""Seconds that a fetch waits for a store, if nothing else is set."""
MOST = 10_000
MOST_BYTES = 64 * 2**20
"""Readings, and bytes of them, that are remembered at most."""
_FAILURE = 500
"""Bytes that a remembered failure counts for."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A reference, and what for.

    `credential` is the id of the credential whose password it is: what was read for a former one is not this one's.
    """

    reference: Reference
    credential: str = ""

    @property
    def place(self) -> Place:
        """What is read for it."""
        return self.reference.store, self.reference.location, self.credential


@dataclass(frozen=True, slots=True)
class Held:
    """What a store said, and when it was asked (a monotonic clock, in seconds)."""

    reading: Reading
    at: float


@dataclass(frozen=True, slots=True)
class Read:
    """A value out of a store. `age` is how many seconds ago it was read; `stale`: it could not be read now."""

    value: Secret
    age: float
    stale: bool = False


Outcome = Held | Exception
"""A StoreError, mostly; what else a store raised is a defect, and told to whoever waited."""


class Readings:
    """What was read for one fetch; kept over its evaluations."""

    def __init__(self, references: "References") -> None:
        self._references = references
        self._came: dict[Place, Outcome] = {}
        self._keys: dict[Place, Key] = {}

    def __getitem__(self, sought: Sought) -> Held:
        outcome = self._came[sought.place]
        if isinstance(outcome, Exception):
            raise outcome.with_traceback(None)  # others raise the same one
        return outcome

    def read(self, sought: Sought, wall: Environment) -> Read:
        """The value for this environment, whose rules let it be read. Raises the store errors, Unopened."""
        copies = self._references.copies
        try:
            held = self[sought]
        except StoreUnreachable:
            copy = copies.find(wall, sought.place) if copies else None
            if copy is None:
                raise
            self._keys[sought.place] = key_of_reading(sought.place, copy[0])
            return Read(select(copy[0], sought.reference), self._references.since(copy[1]), stale=True)
        self._keys[sought.place] = key_of_reading(sought.place, held.reading)
        value = select(held.reading, sought.reference)
        if copies:
            copies.keep(wall, sought.place, held.reading, held.at)
        return Read(value, self._references.since(held.at))

    def require(self, wanted: Collection[Sought]) -> None:
        """Ends the evaluation if something wanted was not read yet. Raises what a store refused for good."""
        places = {sought.place: sought for sought in wanted}
        missing = places.keys() - self._came.keys()
        for place in missing:
            known = self._references.known(place)
            if known is not None:
                self._came[place] = known
        for place, sought in places.items():
            if _is_final(self._came.get(place)):
                self[sought]
        missing = places.keys() - self._came.keys()
        if missing:
            raise Unread(self, missing)

    def look(self, places: Collection[Place], over: Callable[[], None]) -> "Look":
        """Begin to read these as well."""
        return self._references.look(places, over, self._came.update)

    def keys(self) -> set[Key]:
        """What whoever was answered with them may wait for: other readings."""
        return set(self._keys.values())

    def renew(self) -> None:
        """Forget them: the same is to be asked once more, later."""
        self._came.clear()
        self._keys.clear()


class Unread(Unready):
    """An evaluation came upon references that were not read yet."""

    def __init__(self, readings: Readings, places: Collection[Place]) -> None:
        super().__init__()
        self._missing = (readings, places)

    def prepare(self) -> None:
        """Read them. What the stores refuse, the next evaluation raises."""
        came = threading.Event()
        look = self.begin(came.set)
        try:
            came.wait(look.seconds)
        finally:
            look.end()

    def begin(self, over: Callable[[], None]) -> "Look":
        """See Unready."""
        readings, places = self._missing
        return readings.look(places, over)


class Look(Errand):
    """What one fetch waits for. The lock is that of its `References`."""

    def __init__(
        self,
        references: "References",
        over: Callable[[], None],
        take: Callable[[dict[Place, Outcome]], None],
        seconds: float,
    ) -> None:
        self.seconds = seconds
        self.over = over
        self._references = references
        self._take = take
        self.flights: dict[Place, Flight] = {}
        self.came: dict[Place, Outcome] = {}

    def landed(self, place: Place, outcome: Outcome) -> bool:
        """Take it; True if there is nothing to wait for any more."""
        waiting = not self.is_over
        self.flights.pop(place, None)
        self.came[place] = outcome
        return waiting and self.is_over

    @property
    def is_over(self) -> bool:
        """Is everything there, or something that makes the rest needless?"""
        return not self.flights or any(_is_final(outcome) for outcome in self.came.values())

    def end(self) -> None:
        """Wait no more. What has not come by now was not reached in time."""
        self._take(self._references.ended(self))


class Flight:
    """A reading under way, or waiting for a thread."""

    __slots__ = ("at", "forgotten", "looks", "place", "work")

    def __init__(self, place: Place, at: float) -> None:
        self.place = place
        self.at = at
        self.forgotten = False
        self.looks: set[Look] = set()
        self.work: Callable[[], None] = _nothing


def _nothing() -> None:
    """Until it is known what is to be done."""


class References:
    """Reads through the stores. `stores` maps their names; a store that is not configured is not in it.

    `limit` is how many seconds a fetch waits.
    """

    def __init__(
        self,
        stores: Mapping[str, Store],
        monotonic: Callable[[], float] = time.monotonic,
        limit: float = LIMIT,
        copies: Copies | None = None,
    ) -> None:
        self.copies = copies
        self._stores = stores
        self._monotonic = monotonic
        self._limit = limit
        self._lock = threading.Lock()
        self._recent: Shelf[Place, Outcome] = Shelf(MOST, MOST_BYTES, monotonic)
        self._flights: dict[Place, Flight] = {}
        self._crews: dict[str, Crew] = {}

    def read(self, wanted: Iterable[Reference]) -> dict[Reference, Held]:
        """Every wanted reference, fresh. Raises the first store error."""
        sought = {reference: Sought(reference) for reference in wanted}
        readings = self.readings()
        while True:
            try:
                readings.require(list(sought.values()))
            except Unread as unread:
                unread.prepare()
            else:
                return {reference: readings[it] for reference, it in sought.items()}

    def readings(self) -> Readings:
        """For one fetch."""
        return Readings(self)

    def forget(self, reference: Reference) -> None:
        """Ask the store again next time: it was just written to."""
        where = reference.store, reference.location
        with self._lock:
            for place in [place for place in self._flights if place[:2] == where]:
                self._flights.pop(place).forgotten = True  # it may bring what was there before
        self._recent.drop(lambda place, _: place[:2] == where)
        if self.copies:
            self.copies.forget(*where)

    def now(self, reference: Reference) -> Reading:
        """Ask the store itself, whatever is remembered. Raises the store errors."""
        return self._store(reference).read(reference)

    def since(self, at: float) -> float:
        """Seconds since a moment of the clock."""
        return self._monotonic() - at

    def known(self, place: Place) -> Outcome | None:
        """What is remembered."""
        return self._recent.get(place)

    def look(
        self, places: Collection[Place], over: Callable[[], None], take: Callable[[dict[Place, Outcome]], None]
    ) -> Look:
        """Begin to read. `over` is called once, in any thread, when nothing is left to wait for."""
        look = Look(self, over, take, self._limit)
        with self._lock:
            for place in places:
                flight = self._joined(place)
                if isinstance(flight, Flight):
                    flight.looks.add(look)
                    look.flights[place] = flight
                else:
                    look.came[place] = flight
            at_once = look.is_over
        if at_once:
            over()
        return look

    def ended(self, look: Look) -> dict[Place, Outcome]:
        """What has come of it; whom nobody waits for, and who has not begun, is left undone."""
        with self._lock:
            if not look.is_over:
                for store, location, credential in look.flights:
                    look.came[store, location, credential] = _unreachable(
                        store, location, f"did not answer within {self._limit:g} s"
                    )
            for place, flight in look.flights.items():
                flight.looks.discard(look)
                if not flight.looks and self._crew(place[0]).drop(flight.work) and self._flights.get(place) is flight:
                    del self._flights[place]
            look.flights = {}
            return look.came

    def close(self) -> None:
        """Remember nothing any more."""
        self._recent.close()
        if self.copies:
            self.copies.close()

    def _store(self, reference: Reference) -> Store:
        store = self._stores.get(reference.store)
        if store is None:
            raise _unreachable(
                reference.store,
                reference.location,
                f"the store {reference.store} is not configured on this server; see the settings in the README",
            )
        return store

    def _crew(self, store: str) -> Crew:
        return self._crews.setdefault(store, Crew(store))

    def _joined(self, place: Place) -> Flight | Outcome:
        """The flight that reads it, or what is known without one."""
        store, location, _ = place
        known = self._recent.get(place)
        if known is not None:
            return known
        flight = self._flights.get(place)
        if flight is not None:
            if self._monotonic() - flight.at >= self._limit:
                return _unreachable(store, location, f"has not answered for {self._limit:g} s")
            return flight
        flight = Flight(place, self._monotonic())
        flight.work = lambda: self._fly(flight)
        if not self._crew(store).offer(flight.work):
            return StoreBusy(
                "more is asked of this store than it answers; ask again in a second",
                store=store,
                reference=f"{store}:{location}",
            )
        self._flights[place] = flight
        return flight

    def _fly(self, flight: Flight) -> None:
        store, location, _ = flight.place
        reference = Reference(store, location)  # without a key: somebody else's key is nobody's business
        at = self._monotonic()
        outcome: Outcome
        try:
            outcome = Held(self._store(reference).read(reference), at)
        except Exception as error:  # noqa: BLE001 - whoever waits raises it
            outcome = error
        with self._lock:
            if self._flights.get(flight.place) is flight:
                del self._flights[flight.place]
            if not flight.forgotten:
                self._remember(flight.place, outcome, at)
            over = [look for look in flight.looks if look.landed(flight.place, outcome)]
            flight.looks.clear()
        if self.copies and _is_final(outcome):
            self.copies.forget(store, location)
        for look in over:
            look.over()

    def _remember(self, place: Place, outcome: Outcome, at: float) -> None:
        if isinstance(outcome, Held):
            size = len(outcome.reading.value.reveal().encode(errors="surrogatepass"))
            self._recent.put(place, outcome, at + FRESH, size)
        elif isinstance(outcome, StoreError):
            self._recent.put(place, outcome, self._monotonic() + FAILED, _FAILURE)


def _is_final(outcome: Outcome | None) -> bool:
    """Is it an answer after which the others need not be waited for?"""
    return isinstance(outcome, Exception) and not isinstance(outcome, StoreUnreachable)


def _unreachable(store: str, location: str, said: str) -> StoreUnreachable:
    return StoreUnreachable(said, store=store, reference=f"{store}:{location}")
