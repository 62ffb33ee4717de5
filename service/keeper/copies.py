"""Copies: the last readings of environments that chose to be answered while a store cannot be reached.

Kept sealed, in memory only, under the data key of the environment that chose so (`stale_if_error`) and was answered
with them; no other environment is. A copy is dropped when its time is over, when the environment wants it no longer,
when the store was written to or answers anything but a value, and with the data key.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from service.core.environment import Environment
from service.core.errors import SealBroken
from service.core.reference import Reading
from service.core.sealed import Randomness, copy_context
from service.keeper.keys import Keyrings
from service.keeper.shelf import Shelf
from service.ledger.changes import Kind

MOST = 10_000
MOST_BYTES = 64 * 2**20
"""Copies, and bytes of them, that are kept at most."""

Place = tuple[str, str, str]
"""Store, location, and the credential that it is read for; empty for a value."""


@dataclass(frozen=True, slots=True)
class _Copy:
    sealed: bytes
    version: str | None
    at: float
    chosen: int


class Copies:
    """Safe between threads. `wall` finds an environment by its id, as it is now."""

    def __init__(
        self,
        keyrings: Keyrings,
        randomness: Randomness,
        wall: Callable[[str], Environment | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keyrings = keyrings
        self._randomness = randomness
        self._wall = wall
        self._monotonic = monotonic
        self._shelf: Shelf[tuple[str, Place], _Copy] = Shelf(MOST, MOST_BYTES, monotonic)

    def keep(self, wall: Environment, place: Place, reading: Reading, at: float) -> None:
        """This environment was answered with this. Raises Unopened."""
        if not wall.stale_if_error:
            return
        former = self._shelf.get((wall.id, place))
        if former is not None and former.at >= at and former.chosen == wall.stale_if_error:
            return
        ring = self._keyrings.present(wall.id)
        sealed = ring.seal(reading.value, copy_context(wall.id, *place), self._randomness)
        copy = _Copy(sealed, reading.version, at, wall.stale_if_error)
        self._shelf.put((wall.id, place), copy, at + wall.stale_if_error, len(sealed))

    def find(self, wall: Environment, place: Place) -> tuple[Reading, float] | None:
        """The last reading that is not older than the environment chose, and when it was made. Raises Unopened."""
        copy = self._shelf.get((wall.id, place)) if wall.stale_if_error else None
        if copy is None or self._monotonic() - copy.at > wall.stale_if_error:
            return None
        ring = self._keyrings.present(wall.id)
        try:
            value = ring.unseal(copy.sealed, copy_context(wall.id, *place))
        except SealBroken:  # its data key was replaced and is gone: so is the copy
            self._shelf.drop(lambda key, _: key == (wall.id, place))
            return None
        return Reading(value, copy.version), copy.at

    def forget(self, store: str, location: str) -> None:
        """What was read there is of no use any more."""
        self._shelf.drop(lambda key, _: key[1][:2] == (store, location))

    def heard(self, changed: Collection[tuple[str, str]] | None) -> None:
        """These were changed in the ledger: what an environment wants no longer is dropped."""
        ids = None if changed is None else {each for kind, each in changed if kind == Kind.ENVIRONMENT.value}
        if ids is not None and not ids:
            return

        def unwanted(key: tuple[str, Place], copy: _Copy) -> bool:
            if ids is not None and key[0] not in ids:
                return False
            wall = self._wall(key[0])
            return wall is None or wall.stale_if_error < copy.chosen

        self._shelf.drop(unwanted)

    def close(self) -> None:
        """Drop everything."""
        self._shelf.close()
