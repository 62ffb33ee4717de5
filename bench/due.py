"""The clock's look for due work, among few connections and among many, none of which is due.

The rows are put straight into the ledger. All are on one host and ask for a spacing, which is the worst case
for planning: a rotation that is due must know when the last one of its group began.
"""

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select, update

from bench.run import Run
from service.core.environment import Environment
from service.keeper.tokens import SYSTEM
from service.ledger import environments
from service.ledger.tables import connections, rotations
from service.settings import read
from service.wiring import Service, build

FEW, MANY = 100, 100_000
LOOKS, PLANS = 200, 40
_LEASE = timedelta(seconds=30)
_LATER = timedelta(days=30)


def measure(run: Run) -> dict[str, Any]:
    """Medians in milliseconds, by turns at both sizes, and their ratios."""
    folder = run.new_folder("due")
    services = {size: _furnished(folder / str(size), size) for size in (FEW, MANY)}
    looks: dict[int, list[float]] = {FEW: [], MANY: []}
    plans: dict[int, list[float]] = {FEW: [], MANY: []}
    try:
        for _ in range(LOOKS):
            for size, service in services.items():
                looks[size].append(_timed(lambda it=service: _look(it)))  # type: ignore[misc]
        for number in range(PLANS):
            for size, service in services.items():
                _make_due(service, f"{number:06}")
                plans[size].append(_timed(lambda it=service: _look(it)))  # type: ignore[misc]
                _end_all(service)
    finally:
        for service in services.values():
            service.close()
    few, many = statistics.median(looks[FEW]), statistics.median(looks[MANY])
    plan_few, plan_many = statistics.median(plans[FEW]), statistics.median(plans[MANY])
    return {
        "few": FEW,
        "many": MANY,
        "look_ms": {"few": few, "many": many, "ratio": many / few},
        "plan_ms": {"few": plan_few, "many": plan_many, "ratio": plan_many / plan_few},
    }


def _timed(act: Callable[[], None]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000


def _look(service: Service) -> None:
    """What a tick of the clock asks the ledger."""
    service.keeper.incidents.work(SYSTEM)
    service.keeper.rotations.plan_due(SYSTEM, 100)
    service.keeper.rotations.claim("bench", _LEASE, 16)


def _furnished(folder: Path, size: int) -> Service:
    service = build(read({}, data=folder))
    with service.ledger.change() as tx:
        environments.add(tx, Environment("bench", "bench", {}, (), 1, tx.now, tx.now))
        common = {
            "environment_id": "bench",
            "definition": {"engine": "postgresql", "endpoints": [{"host": "db"}], "database": "shop"},
            "server": "postgresql://db:5432",
            "host": "db",
            "spacing": 1,
            "policy": {"strategy": "single", "every": "7d", "spacing": "1s"},
            "health": {},
            "generation": 1,
            "revision": 1,
            "fence": 0,
            "known": {},
            "next_due_at": tx.now + _LATER,
            "updated_at": tx.now,
        }
        names = [f"{number:06}" for number in range(size)]
        tx.sql.execute(insert(connections), [common | {"id": name, "name": name} for name in names])
    return service


def _make_due(service: Service, name: str) -> None:
    with service.ledger.change() as tx:
        tx.sql.execute(update(connections).where(connections.c.id == name).values(next_due_at=tx.now))


def _end_all(service: Service) -> None:
    """What was planned is over, since a while ago, so that nothing waits for its spacing."""
    with service.ledger.change() as tx:
        planned = select(rotations.c.id).where(rotations.c.ended_at.is_(None))
        ended = {"ended_at": tx.now, "created_at": tx.now - _LATER, "open_key": rotations.c.id, "lease_until": None}
        changed = tx.sql.execute(update(rotations).where(rotations.c.id.in_(planned)).values(ended))
    if changed.rowcount != 1:
        raise SystemExit(f"bench: {changed.rowcount} rotations were planned where one was due")
