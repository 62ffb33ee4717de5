"""Figures for those who watch: counts and ages, no names, no values. They need no caller and leave no event."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from service.core.restoration import Replication
from service.keeper.door import Door
from service.keeper.health import told
from service.keeper.overdue import Overdue
from service.keeper.past import Past
from service.ledger import checks, connections, deliveries, log, postings, restorations, rotations
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Reading:
    """How things stand now."""

    epoch: int
    events: int
    index_lag: int
    index_lag_seconds: float
    """Age of the oldest event that the index lacks."""
    connections: int
    overdue: int
    """Connections whose next rotation was due a minute ago or longer, and is not even planned."""
    late: int
    """Connections with something overdue: see `overdue.py`."""
    health: dict[str, int]
    """Connections by the state of their health."""
    open_rotations: dict[str, int]
    """By stage."""
    held: bool
    """Every rotation is held: the ledger's past may have been lost."""
    connections_held: int
    replication: Replication
    deliveries_waiting: int
    deliveries_dead: int
    delivery_oldest_seconds: float
    """Age of the oldest delivery that waits for an enabled webhook."""


class Figures:
    """Reads them."""

    def __init__(self, door: Door, past: Past, overdue: Overdue) -> None:
        self._door = door
        self._past = past
        self._overdue = overdue

    def read(self) -> Reading:
        """Raises Unavailable."""

        def look(tx: Transaction) -> Reading:
            queue = deliveries.queue(tx)
            return Reading(
                tx.epoch,
                log.last(tx),
                postings.lag(tx),
                _age(tx),
                connections.count(tx),
                connections.overdue(tx),
                len(self._overdue.found(tx)),
                _by_state(checks.healths(tx, None)),
                rotations.open_by_stage(tx),
                restorations.open_one(tx) is not None,
                restorations.count_held(tx),
                self._past.replication,
                queue.waiting,
                queue.dead,
                max(0.0, (tx.now - queue.oldest).total_seconds()) if queue.oldest else 0.0,
            )

        return self._door.look(look)


def _age(tx: Transaction) -> float:
    oldest = postings.oldest_missing(tx)
    return max(0.0, (tx.now - oldest).total_seconds()) if oldest else 0.0


def _by_state(healths: dict[str, dict[str, Any]]) -> dict[str, int]:
    counted = Counter(told(health)[0] for health in healths.values())
    return {state: counted[state] for state in ("well", "warned", "failing")}
