"""What is overdue: judged by the ledger alone, by every process that serves, whether or not it rotates.

    a connection   was due longer ago than its grace and a minute, and nobody began a rotation
    a rotation     should have gone on five minutes ago, and did not; a stuck one waits for a person, and is not late

The first one to notice records `rotation.overdue`, once for each connection and due time.
"""

from dataclasses import replace
from datetime import timedelta

from service.keeper import definitions
from service.keeper.door import Deed, Door
from service.keeper.tokens import SYSTEM
from service.keeper.walls import Walls
from service.ledger import checks, connections, rotations
from service.ledger.ledger import Transaction

LATE = timedelta(minutes=1)
STILL = timedelta(minutes=5)


class Overdue:
    """Looks for it."""

    def __init__(self, door: Door, walls: Walls) -> None:
        self._door = door
        self._walls = walls

    def look(self) -> tuple[dict[str, str], list[str]]:
        """Sentences by connection id: all that is overdue; and those that this look was the first to notice."""
        found, marked = self._door.look(lambda tx: (self.found(tx), self._marked(tx)))
        first = [
            sentence
            for connection_id, sentence in found.items()
            if marked.get(connection_id) != [sentence] and self._mark(connection_id, [sentence])
        ]
        for connection_id in marked.keys() - found.keys():
            self._mark(connection_id, [])
        return found, first

    def found(self, tx: Transaction) -> dict[str, str]:
        """Sentences by connection id."""
        found = {}
        for connection_id in checks.late(tx, LATE, self._walls.pinned):
            stored = connections.get(tx, connection_id)
            if stored is None or stored.next_due_at is None:
                continue
            policy = definitions.policy(stored.policy, definitions.target(stored.definition).engine)
            grace = policy.schedule.grace if policy and policy.schedule else timedelta(0)
            if stored.next_due_at < tx.now - grace - LATE:
                found[stored.id] = f"the rotation due at {stored.next_due_at.isoformat()} was not begun by anybody"
        for rotation_id in checks.still(tx, STILL, self._walls.pinned):
            if rotation := rotations.find(tx, rotation_id):
                since = rotation.wake_at.isoformat()
                found[rotation.connection_id] = (
                    f"rotation {rotation.id} ({rotation.stage.value}) should have gone on at {since}, and did not"
                )
        return found

    def _marked(self, tx: Transaction) -> dict[str, list[str]]:
        healths = checks.healths(tx, self._walls.pinned)
        return {connection_id: health["overdue"] for connection_id, health in healths.items() if health.get("overdue")}

    def _mark(self, connection_id: str, said: list[str]) -> bool:
        """Note it in the connection's health. False: another replica was the first."""
        deeds = [Deed("rotation.overdue")]

        def act(tx: Transaction) -> bool:
            stored = connections.get(tx, connection_id)
            if stored is None or (stored.health.get("overdue") or []) == said:
                deeds.clear()
                return False
            deeds[0].environment, deeds[0].resource = stored.environment, stored.name
            deeds[0].detail["finding"] = said[0] if said else "it is over"
            connections.replace(tx, replace(stored, health=stored.health | {"overdue": said}))
            return True

        return self._door.change(SYSTEM, deeds, act)
