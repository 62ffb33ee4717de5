"""Spacing: scheduled rotations of one group keep their distance, in turn, and nobody starves."""

import threading
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import select, update

from service.core.schedule import duration, duration_text
from service.keeper.tokens import SYSTEM
from service.ledger.tables import connections, rotations
from service.wiring import Service
from tests.ledger.homes import Home
from tests.ledger.rows import connection, environment
from tests.rigs.rotating import BEGINNING

MINUTE = timedelta(minutes=1)


class Times:
    """A ledger whose clock is moved by hand, with connections that are due at given minutes."""

    def __init__(self, home: Home) -> None:
        self.now = BEGINNING
        home.now = lambda: self.now
        self.service = home.service()
        with self.service.ledger.change() as tx:
            environment(tx)

    def due(self, name: str, at: float, host: str = "db", *, every: str = "7d", **policy: Any) -> None:
        add(self.service, name, BEGINNING + at * MINUTE, host, every=every, **policy)

    def run(self, minutes: float) -> dict[str, list[float]]:
        """Let time pass, tick every half minute, end what was begun; the minutes at which each one began."""
        for _ in range(int(minutes * 2)):
            self.service.keeper.rotations.plan_due(SYSTEM, 100)
            with self.service.ledger.change() as tx:
                open_ones = update(rotations).where(rotations.c.ended_at.is_(None))
                tx.sql.execute(open_ones.values(ended_at=tx.now, open_key=rotations.c.id))
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


def test_two_of_one_host_do_not_begin_together(sqlite_home: Home) -> None:
    """The one that is due for longer begins; the other waits until the longer spacing of the two is over."""
    times = Times(sqlite_home)
    times.due("late", 0, spacing="5m")
    times.due("early", -1, spacing="10m")
    times.due("elsewhere", 0, host="other", spacing="5m")
    times.due("third", 0)  # asks for none, but its neighbours do
    assert times.run(0.5) == {"early": [0], "elsewhere": [0]}
    assert times.next_due("late") == 10
    assert times.run(30) == {"early": [0], "elsewhere": [0], "late": [10], "third": [15]}


def test_siblings_keep_their_distance_on_any_host(sqlite_home: Home) -> None:
    times = Times(sqlite_home)
    for number in range(3):
        times.due(f"shop/{number}", 0, host=f"db{number}", siblings="shop", spacing="2m")
    times.due("other/db", 0, host="db9", siblings="bank", spacing="2m")
    found = times.run(5)
    assert found == {"shop/0": [0], "other/db": [0], "shop/1": [2], "shop/2": [4]}


def test_those_without_spacing_do_not_wait(sqlite_home: Home) -> None:
    times = Times(sqlite_home)
    times.due("a", 0)
    times.due("b", 0)
    assert times.run(0.5) == {"a": [0], "b": [0]}


def test_a_busy_neighbour_starves_nobody(sqlite_home: Home) -> None:
    """One that turns every three minutes would never leave a gap of ten; it waits for whoever waits longer."""
    times = Times(sqlite_home)
    times.due("busy", 0, every="3m", spacing="1m")
    times.due("rare", 1, spacing="10m")
    found = times.run(31)
    assert found["rare"] == [10]
    assert found["busy"][:2] == [0, 20]


def test_whoever_is_nobodys_any_more_is_not_waited_for(sqlite_home: Home) -> None:
    """Its turn came and went, and no instance planned it: the others go on."""
    times = Times(sqlite_home)
    times.due("a", 0, spacing="5m")
    times.due("gone", -5, spacing="5m")
    with times.service.ledger.change() as tx:
        waiting = {"waits_since": BEGINNING - 60 * MINUTE, "next_due_at": BEGINNING - 6 * MINUTE}
        tx.sql.execute(update(connections).where(connections.c.name == "gone").values(waiting))
        tx.sql.execute(update(connections).where(connections.c.name == "gone").values(policy=None))
    assert times.run(1) == {"a": [0]}


def test_a_turn_outside_of_the_windows_waits_for_the_next_window(sqlite_home: Home) -> None:
    """And holds up nobody meanwhile: it is its window that it waits for."""
    times = Times(sqlite_home)  # the clock stands at 12:00
    times.due("first", 0, spacing="10m")
    times.due("narrow", 0, spacing="10m", windows=[{"from": "11:00", "to": "12:05"}], every="1h")
    times.due("third", 1, spacing="10m")
    found = times.run(12)
    assert found == {"first": [0], "third": [10]}
    assert times.next_due("narrow") == 23 * 60


def test_by_hand_waits_for_nobody(sqlite_home: Home) -> None:
    """But counts as begun: what is scheduled keeps its distance from it."""
    times = Times(sqlite_home)
    times.due("a", 0, spacing="5m")
    times.due("b", 600, spacing="5m")
    times.run(0.5)
    times.service.keeper.rotations.ask(SYSTEM, "production", "b", "by hand")
    assert times.run(1)["b"] == [0.5]
    times.due("c", 2, spacing="5m")
    assert times.run(6)["c"] == [5.5]


def test_several_planners_keep_the_distance(pg_home: Home) -> None:
    """Three replicas see the same ten due at the same time: one of them begins."""
    services = [pg_home.service() for _ in range(3)]
    with services[0].ledger.change() as tx:
        environment(tx)
        now = tx.now
    for number in range(10):
        add(services[0], f"shop/{number}", now, f"db{number % 2}", siblings="shop", spacing="1h", every="7d")
    threads = [threading.Thread(target=it.keeper.rotations.plan_due, args=(SYSTEM, 10)) for it in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(map(len, begun(services[0]).values())) == 1
    query = select(connections.c.next_due_at).order_by(connections.c.next_due_at)
    with services[0].ledger.read() as tx:
        turns = list(tx.sql.execute(query).scalars())
    apart = {duration_text(after - before) for before, after in pairwise(turns[:9])}
    assert apart == {"1h"}
