"""Holders: the callers whose youngest fetch of a connection gave them the former credential.

What they hold is told by the log alone: it says what was handed out, not what is in use. A token that
several processes share counts once, by the fetch that any of them made last.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from service.core.access import Caller, Kind, Thing
from service.core.drain import MOST
from service.core.rotation import Rotation, Strategy
from service.keeper.door import Door
from service.keeper.indexer import Indexer
from service.ledger import connections, fetches, log, postings, tokens
from service.ledger.connections import StoredConnection
from service.ledger.fetches import LastFetch
from service.ledger.ledger import Transaction

_PAGES = 40
"""Pages of the log that one look brings into the index, at most: a look stays short, and the next one goes on."""
_PATIENCE = 2.0
"""Seconds that it takes for it, at most."""


@dataclass(frozen=True)
class Holder:
    """One caller who holds the former credential, or an older one. `address` is where its fetch came from."""

    name: str
    generation: int
    at: datetime
    address: str | None


@dataclass(frozen=True)
class Held:
    """The callers, the youngest fetch first. `more` were left out; `lag` events are not counted in yet."""

    callers: tuple[Holder, ...]
    more: bool
    lag: int

    @property
    def somebody(self) -> bool:
        """Is anybody known to hold it, or may somebody do so of whom the index does not know yet?"""
        return bool(self.callers) or self.more or self.lag > 0


class Holders:
    """Asks who holds what."""

    def __init__(self, door: Door, indexer: Indexer) -> None:
        self._door = door
        self._indexer = indexer

    def catch_up(self) -> int:
        """Bring the log's query index up to its present end, or a good piece nearer to it; the event it ends with."""
        end = self._door.look(log.last)
        self._indexer.reach(end, seconds=_PATIENCE, pages=_PAGES)
        return end

    def look(self, rotation: Rotation) -> Held:
        """Who holds what this rotation retires, as far as the log is indexed now."""
        # What is fetched after this look began is fetched after the publication: it makes nobody a holder.
        end = self.catch_up()
        return self._door.look(lambda tx: holders(tx, rotation, end))


def holders(tx: Transaction, rotation: Rotation, end: int | None = None) -> Held:
    """The callers whose youngest fetch is of an older generation than the rotation published.

    `end` is the last event that counts; the last one of the log if it is not given.

    Left out is who cannot hold what is about to be retired: whoever fetched before the former credential was
    offered at all, and tokens that are revoked, expired, or without a grant on the connection by now.
    """
    former = connections.credential(tx, rotation.former_id) if rotation.former_id else None
    lag = max(0, (log.last(tx) if end is None else end) - postings.reached(tx))
    if former is None or rotation.generation is None:
        return Held((), False, lag)
    # Under `single` it was announced, and so handed out, before it was live.
    announced = rotation.strategy is Strategy.SINGLE or former.valid_from is None
    since = former.created_at if announced else former.valid_from or former.created_at
    found = fetches.behind(tx, rotation.environment, rotation.connection, rotation.generation, since, MOST + 1)
    callers = _told(tx, found[:MOST], Thing(Kind.CONNECTION, rotation.environment_id, rotation.connection))
    return Held(callers, len(found) > MOST, lag)


def lately(tx: Transaction, stored: StoredConnection, since: datetime) -> tuple[Holder, ...]:
    """The callers who may still fetch a connection and did so since then, each with what it got last."""
    found = fetches.behind(tx, stored.environment, stored.name, stored.generation + 1, since, MOST)
    return _told(tx, found, Thing(Kind.CONNECTION, stored.environment_id, stored.name))


def _told(tx: Transaction, found: Iterable[LastFetch], thing: Thing) -> tuple[Holder, ...]:
    """Those of them that still have a grant on the connection."""
    callers = []
    for last in found:
        token = tokens.find(tx, last.token_id)
        if token and Caller(token.id, token.name, "machine", token.grants).level(thing):
            event = log.shown(tx, last.seq)
            callers.append(Holder(last.token, last.generation, last.at, event["address"] if event else None))
    return tuple(callers)
