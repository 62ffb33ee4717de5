"""Figures for those who watch: counts and ages, no names, no values. They need no caller and leave no event."""

from dataclasses import dataclass

from service.keeper.door import Door
from service.ledger import connections, log, rotations
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


class Figures:
    """Reads them."""

    def __init__(self, door: Door) -> None:
        self._door = door

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
            )

        return self._door.look(look)
