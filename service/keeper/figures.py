"""Figures for those who watch: counts and ages, no names, no values. They need no caller and leave no event."""

from dataclasses import dataclass

from service.core.restoration import Replication
from service.keeper.door import Door
from service.keeper.past import Past
from service.ledger import connections, log, restorations, rotations
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Reading:
    """How things stand now."""

    epoch: int
    events: int
    index_lag: int
    connections: int
    overdue: int
    """Connections whose next rotation was due a minute ago or longer, and is not even planned."""
    open_rotations: dict[str, int]
    """By stage."""
    held: bool
    """Every rotation is held: the ledger's past may have been lost."""
    connections_held: int
    replication: Replication


class Figures:
    """Reads them."""

    def __init__(self, door: Door, past: Past) -> None:
        self._door = door
        self._past = past

    def read(self) -> Reading:
        """Raises Unavailable."""

        def look(tx: Transaction) -> Reading:
            return Reading(
                tx.epoch,
                log.last(tx),
                log.lag(tx),
                connections.count(tx),
                connections.overdue(tx),
                rotations.open_by_stage(tx),
                restorations.open_one(tx) is not None,
                restorations.count_held(tx),
                self._past.replication,
            )

        return self._door.look(look)
