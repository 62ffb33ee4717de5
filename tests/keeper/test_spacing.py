"""Spacing: scheduled rotations of one group keep their distance, in turn, and nobody starves."""

import threading
from itertools import pairwise

from sqlalchemy import select, update

from service.core.schedule import duration_text
from service.keeper.tokens import SYSTEM
from service.ledger.tables import connections
from tests.keeper.times import MINUTE, Times, add, begun
from tests.ledger.homes import Home
from tests.ledger.rows import environment
from tests.rigs.rotating import BEGINNING


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
    pg_home.by_hand = True
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
