"""A ledger whose clock is moved by hand, with connections that exist on paper only."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update

from service.core.rotation import ENDED, Stage
from service.core.schedule import duration
from service.keeper.tokens import SYSTEM
from service.ledger.tables import connections, rotations
from service.wiring import Service
from tests.ledger.homes import Home
from tests.ledger.rows import connection, environment
from tests.rigs.rotating import BEGINNING

MINUTE = timedelta(minutes=1)


class Times:
    """A ledger whose clock is moved by hand, with connections that are due at given minutes."""

    def __init__(self, home: Home, **settings: str) -> None:
        self.home, self.now = home, BEGINNING
        home.now, home.by_hand = (lambda: self.now), True
        self.service = home.service(**settings)
        with self.service.ledger.change() as tx:
            environment(tx)

    def again(self) -> None:
        """Another process on the same ledger."""
        self.service = self.home.service()

    def end(self, *names: str, stage: Stage = Stage.RETIRED) -> None:
        """What is open ends, or gets to that stage; of the connections named, or of all."""
        with self.service.ledger.change() as tx:
            changed = update(rotations).where(rotations.c.ended_at.is_(None))
            if names:
                changed = changed.where(rotations.c.connection_id.in_(names))
            values = {"stage": stage.value, "wake_at": tx.now + 60 * MINUTE}
            if stage in ENDED:
                values |= {"ended_at": tx.now, "open_key": rotations.c.id}
            tx.sql.execute(changed.values(values))

    def due(self, name: str, at: float, host: str = "db", *, every: str = "7d", **policy: Any) -> None:
        add(self.service, name, BEGINNING + at * MINUTE, host, every=every, **policy)

    def run(self, minutes: float) -> dict[str, list[float]]:
        """Let time pass, tick every half minute, end what was begun; the minutes at which each one began."""
        for _ in range(int(minutes * 2)):
            self.service.keeper.rotations.plan_due(SYSTEM, 100)
            self.end()
            self.now += MINUTE / 2
        return {name: [(at - BEGINNING) / MINUTE for at in all_] for name, all_ in begun(self.service).items()}

    def next_due(self, name: str) -> float:
        query = select(connections.c.next_due_at).where(connections.c.name == name)
        with self.service.ledger.read() as tx:
            return float((tx.sql.execute(query).scalar_one() - BEGINNING) / MINUTE)


def add(service: Service, name: str, at: datetime, host: str, **policy: Any) -> None:
    rotation = {"strategy": "single", "drain_minimum": "1s"} | policy
    spacing = int(duration(policy["spacing"], "").total_seconds()) if "spacing" in policy else None
    with service.ledger.change() as tx:
        group = {"siblings": policy.get("siblings"), "spacing": spacing}
        connection(tx, name, host, next_due_at=at, policy=rotation, **group)


def begun(service: Service) -> dict[str, list[datetime]]:
    query = select(rotations.c.connection_id, rotations.c.created_at).order_by(rotations.c.created_at)
    found: dict[str, list[datetime]] = {}
    with service.ledger.read() as tx:
        for row in tx.sql.execute(query):
            found.setdefault(row.connection_id, []).append(row.created_at)
    return found
