"""Claims: nothing twice, never more than the limits, and no server in the way of another."""

import threading
from collections import Counter
from datetime import timedelta

from sqlalchemy import func, select

from service.core.rotation import Limits
from service.ledger import rotations
from service.ledger.ledger import Ledger
from service.ledger.rotations import Claim
from service.ledger.tables import rotations as rows
from tests.ledger.homes import Home
from tests.ledger.rows import connection, furnish, plan

LEASE = timedelta(seconds=60)


def claim(ledger: Ledger, limits: Limits, limit: int = 100) -> list[Claim]:
    with ledger.work() as tx:
        return rotations.claim(tx, "worker", LEASE, limit, limits)


def end(ledger: Ledger, held: Claim) -> None:
    """It has nothing to do for an hour."""
    with ledger.change() as tx:
        rotations.change(tx, held, wake_at=tx.now + timedelta(hours=1))
        rotations.release(tx, held)


def servers(claims: list[Claim]) -> Counter[str]:
    return Counter(held.rotation_id.partition("/")[0] for held in claims)


def test_a_server_takes_its_own_places_and_no_others(home: Home) -> None:
    """However much is due on one that hangs, the others' work is claimed at once."""
    ledger = home.ledger()
    furnish(ledger, ["hangs"], 300)
    with ledger.change() as tx:
        for name in ("well/000", "fine/000"):
            connection(tx, name, name[:4])
            plan(tx, name, 599)  # due since a second ago; the others for minutes
    limits = Limits(4, 16)
    first = claim(ledger, limits)
    assert servers(first) == {"hangs": 4, "well": 1, "fine": 1}
    assert claim(ledger, limits) == []  # nothing else may begin while those four hang
    end(ledger, next(held for held in first if held.rotation_id.startswith("hangs")))
    assert servers(claim(ledger, limits)) == {"hangs": 1}


def test_all_servers_together_keep_the_other_limit(home: Home) -> None:
    """The places are shared: each server gets one before any gets two."""
    ledger = home.ledger()
    furnish(ledger, ["a", "b", "c"], 5)
    first = claim(ledger, Limits(4, 5))
    assert sorted(servers(first).values()) == [1, 2, 2]
    assert claim(ledger, Limits(4, 5)) == []
    assert len(claim(ledger, Limits(4, 7))) == 2


def test_emergencies_go_first(home: Home) -> None:
    ledger = home.ledger()
    furnish(ledger, ["a"], 5)
    with ledger.change() as tx:
        connection(tx, "a/late", "a")
        plan(tx, "a/late", 599, emergency=True)
    assert [held.rotation_id for held in claim(ledger, Limits(1, 1))] == ["a/late"]


def test_a_lease_that_is_over_gives_its_place_back(home: Home) -> None:
    """Whoever died does not hold a place for ever; the rotation is another's then."""
    ledger = home.ledger()
    furnish(ledger, ["a"], 2)
    with ledger.work() as tx:
        (dead,) = rotations.claim(tx, "dead", timedelta(microseconds=-1), 1, Limits(1, 1))
    (again,) = claim(ledger, Limits(1, 1))
    assert again.rotation_id == dead.rotation_id
    assert again.fence > dead.fence


def test_several_ledgers_claim_nothing_twice_and_keep_the_limits(pg_home: Home) -> None:
    """Three replicas with two threads each, on one ledger: each looks while the others claim."""
    ledgers = [pg_home.ledger() for _ in range(3)]
    furnish(ledgers[0], ["a", "b", "c", "d"], 15)
    limits, claimed, wrong = Limits(2, 5), [], []

    def work(ledger: Ledger) -> None:
        while len(claimed) < 60 and not wrong:
            taken = claim(ledger, limits, 3)
            claimed.extend(taken)
            in_force = select(rows.c.id).where(rows.c.lease_until.is_not(None))
            with ledger.read() as tx:
                held = Counter(str(it).partition("/")[0] for it in tx.sql.execute(in_force).scalars())
            if held.total() > limits.in_all or max(held.values(), default=0) > limits.per_server:
                wrong.append(held)
            for it in taken:
                end(ledger, it)

    threads = [threading.Thread(target=work, args=(ledger,)) for ledger in ledgers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert len(claimed) == len({held.rotation_id for held in claimed}) == 60
    with ledgers[0].read() as tx:
        assert tx.sql.execute(select(func.count()).where(rows.c.lease_until.is_not(None))).scalar_one() == 0
