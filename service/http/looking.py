"""Looking: while somebody waits for an answer that holds a reading of a store, the store is asked again.

Each place is asked once for everybody who waits, every ten seconds, and a few at a time for each store, so that what
fetches ask for is not held up. A reading that differs wakes those whose answer holds another one. A store that does
not answer wakes nobody: what it will say is not known. While nobody waits, nothing is asked.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from heapq import nsmallest

import structlog

from service.core.errors import StoreUnreachable
from service.keeper.copies import Place
from service.keeper.outside import OUTSIDE, key_of_reading, place_of
from service.keeper.references import Held, Outcome, References
from service.keeper.snapshot import Key

log = structlog.get_logger("looking")

EVERY = 10.0
"""Seconds between two looks at one place."""
AT_ONCE = 4
"""Places of one store that are looked at at once."""


class Looking:
    """For one event loop. `wake` is told whom a reading concerns."""

    def __init__(self, references: References, wake: Callable[[Collection[Key]], None]) -> None:
        self._references = references
        self._wake = wake
        self._places: dict[str, dict[Place, _Watched]] = {}
        self._rounds: dict[str, asyncio.Task[None]] = {}

    def begin(self, key: Key) -> None:
        """Somebody waits with this key now."""
        if key[0] != OUTSIDE:
            return
        place = place_of(key)
        store = place[0]
        loop = asyncio.get_running_loop()
        watched = self._places.setdefault(store, {}).setdefault(place, _Watched(loop.time() + EVERY))
        watched.keys.add(key)
        if store not in self._rounds:
            self._rounds[store] = loop.create_task(self._look_around(store))

    def end(self, key: Key) -> None:
        """Nobody waits with it any more."""
        if key[0] != OUTSIDE:
            return
        place = place_of(key)
        places = self._places[place[0]]
        places[place].keys.discard(key)
        if not places[place].keys:
            del places[place]
        if not places:
            del self._places[place[0]]
            self._rounds.pop(place[0]).cancel()

    async def _look_around(self, store: str) -> None:
        loop, places = asyncio.get_running_loop(), self._places[store]
        while True:
            await asyncio.sleep(max(min(it.due for it in places.values()) - loop.time(), 0))
            now = loop.time()
            longest = nsmallest(AT_ONCE, places, key=lambda place: places[place].due)  # nobody is passed over for good
            due = [place for place in longest if places[place].due <= now]
            await asyncio.gather(*map(self._look, due))
            for place in due:
                if place in places:
                    places[place].due = loop.time() + EVERY

    async def _look(self, place: Place) -> None:
        over, came = asyncio.Event(), dict[Place, Outcome]()
        loop = asyncio.get_running_loop()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(over.set)

        look = self._references.look({place}, tell, came.update)
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), look.seconds)
        finally:
            look.end()
        outcome = came[place]
        if isinstance(outcome, StoreUnreachable):
            log.debug("a store that is waited for was not reached", store=place[0], reason=type(outcome).__name__)
            return
        # What a store says for good besides a value (there is nothing, or nothing for us) concerns everybody.
        seen = key_of_reading(place, outcome.reading) if isinstance(outcome, Held) else None
        watched = self._places.get(place[0], {}).get(place)
        self._wake([key for key in watched.keys if key != seen] if watched else ())


class _Watched:
    """A place that somebody waits for: when it is to be looked at, and the readings that answers hold."""

    __slots__ = ("due", "keys")

    def __init__(self, due: float) -> None:
        self.due = due
        self.keys: set[Key] = set()
