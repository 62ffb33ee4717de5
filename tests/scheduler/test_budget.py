"""No lock-out policy of a server is ever tripped by us: rejected logins in a row stay within a budget."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from service.core.connection import Accepted, NotPermitted, Rejected
from service.core.errors import ChangeUnreachable, Invalid
from service.core.rotation import Stage, Strategy
from service.keeper.budget import FAILED_LOGINS, FORGIVES, Budget, Withheld
from service.keeper.tokens import SYSTEM
from service.ways_out import Databases
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.rotating import Stand, stand

LOCKING = 5


@contextmanager
def locking(strategy: Strategy) -> Iterator[Stand]:
    """A stand whose database locks a login after five rejected logins in a row; nobody was rejected yet."""
    with stand(strategy) as here:
        here.fake.locking = LOCKING
        assert _probes(here, "first-password", 1) == ["Accepted"]
        yield here


def _budget(here: Stand) -> Budget:
    return Budget(here.service.ledger, {here.fake.engine: here.fake})


def _probes(here: Stand, password: str, times: int, **more: Any) -> list[str]:
    access, budget = here.fake.access("shop", password), _budget(here)
    outcomes = [budget.probe(access, here.fake.endpoints[0], **more) for _ in range(times)]
    return [type(outcome).__name__ for outcome in outcomes]


def test_the_budget_is_kept_and_an_accepted_login_ends_the_run() -> None:
    with locking(Strategy.SINGLE) as here:
        assert _probes(here, "wrong", 5) == ["Rejected"] * 3 + ["Withheld"] * 2
        assert here.fake.rejected["shop"] == FAILED_LOGINS
        here.reopen()  # a process that died forgets nothing
        assert _probes(here, "wrong", 1) == ["Withheld"]
        here.now += FORGIVES
        assert _probes(here, "wrong", 2, lasting=True) == ["Withheld"] * 2
        assert _probes(here, "wrong", 2) == ["Rejected", "Withheld"]
        here.now += FORGIVES
        assert _probes(here, "first-password", 1) == ["Accepted"]
        assert _probes(here, "wrong", 4) == ["Rejected"] * 3 + ["Withheld"]


def test_a_login_that_works_goes_in_between() -> None:
    with locking(Strategy.SINGLE) as here:
        works = here.fake.access("shop", "first-password").account
        assert _probes(here, "wrong", 20, works=works) == ["Rejected"] * 20
        assert here.fake.locked == set()
        wrong_too = here.fake.access("shop", "wrong-too").account
        here.fake.rejected.clear()
        _probes(here, "first-password", 1)
        assert "Rejected" not in _probes(here, "wrong", 20, works=wrong_too)[FAILED_LOGINS:]
        assert here.fake.rejected["shop"] == FAILED_LOGINS + 1
        assert here.fake.locked == set()


def test_what_is_not_a_rejection_costs_nothing() -> None:
    with locking(Strategy.SINGLE) as here:
        here.fake.unreachable.add(here.fake.everywhere)
        assert _probes(here, "wrong", 10) == ["Unreachable"] * 10
        here.fake.unreachable.clear()
        assert _probes(here, "wrong", 4)[3] == "Withheld"


def test_many_at_once_stay_within_it() -> None:
    with locking(Strategy.SINGLE) as here:
        budgets = [_budget(here), _budget(here)]  # two processes, as far as the ledger can tell
        access = here.fake.access("shop", "wrong")
        threads = [
            threading.Thread(target=budgets[n % 2].probe, args=(access, here.fake.endpoints[0])) for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Each process may have tried one that the other does not know of.
        assert FAILED_LOGINS <= here.fake.rejected["shop"] <= FAILED_LOGINS + 1
        assert here.fake.locked == set()


def test_no_more_changes_than_the_budget_are_under_way_with_one_administration_login() -> None:
    with locking(Strategy.SINGLE) as here:
        budget, way = _budget(here), here.fake.access("admin", "admin-password")
        inside, most = [], []
        lock = threading.Lock()

        def change() -> None:
            with budget.changing(way):
                with lock:
                    inside.append(1)
                    most.append(len(inside))
                time.sleep(0.02)
                with lock:
                    inside.pop()

        threads = [threading.Thread(target=change) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert max(most) == FAILED_LOGINS


def test_an_administration_login_is_believed_until_something_fails() -> None:
    with locking(Strategy.SINGLE) as here:
        budget, way = _budget(here), here.fake.access("admin", "admin-password")
        assert isinstance(budget.way(way, (way,)), Accepted)
        here.fake.create("admin", "somebody-elses")
        assert isinstance(budget.way(way, (way,)), Accepted)
        with pytest.raises(ChangeUnreachable), budget.changing(way):
            raise ChangeUnreachable("for whatever reason")
        assert isinstance(budget.way(way, (way,)), Rejected)


def _unreachable_for_changes(here: Stand) -> None:
    def refuse(operation: str) -> None:
        if operation in ("join", "add_password", "set_password"):
            raise ChangeUnreachable("the server takes no changes now")

    here.fake.before = refuse


def _losing(here: Stand) -> None:
    here.fake.losing = 10**6


def _powerless(here: Stand) -> None:
    here.fake.powerless = True


def _strict(here: Stand) -> None:
    here.fake.policy = lambda _: False


def _foreign_administration(here: Stand) -> None:
    here.fake.create("admin", "changed-by-somebody")


def _foreign(here: Stand) -> None:
    for username in list(here.fake.logins):
        here.fake.create(username, "changed-by-somebody")


FAILURES: list[tuple[Strategy, Callable[[Stand], None]]] = [
    (Strategy.SINGLE, _unreachable_for_changes),
    (Strategy.OVERLAPPING, _losing),
    (Strategy.SINGLE, _powerless),
    (Strategy.ALTERNATING, _strict),
    (Strategy.ALTERNATING, _foreign_administration),
    (Strategy.SINGLE, _foreign),
    (Strategy.OVERLAPPING, _foreign),
]


@pytest.mark.parametrize(
    ("strategy", "failure"), FAILURES, ids=lambda it: it.__name__.strip("_") if callable(it) else str(it)
)
def test_retrying_for_long_locks_nobody(strategy: Strategy, failure: Callable[[Stand], None]) -> None:
    """Two rotations that work, then one thing goes wrong for hours, asked for again and again."""
    with locking(strategy) as here:
        for _ in range(2):
            here.ask()
            here.run(step=5)
        failure(here)
        for _ in range(6):
            here.ask()
            for _ in range(3):
                here.work()
                here.now += timedelta(minutes=10)
            assert here.fake.locked == set()


@pytest.mark.parametrize("strategy", [Strategy.SINGLE, Strategy.OVERLAPPING])
def test_a_password_changed_in_the_middle_locks_nobody(strategy: Strategy) -> None:
    """Neither candidate nor former is accepted, and nothing can be changed for hours; then it goes on."""
    with locking(strategy) as here:
        here.ask()
        for _ in range(3):
            here.work()
            here.now += timedelta(seconds=1)
        _foreign(here)
        here.fake.create("admin", "admin-password")
        _unreachable_for_changes(here)
        for _ in range(20):
            here.work()
            here.now += timedelta(minutes=10)
        assert here.fake.locked == set()
        here.fake.before = lambda _: None
        story = here.run(seconds=2000)
        assert story.rotation.stage is Stage.RETIRED, story.lines
        assert here.fake.locked == set()


def test_a_replica_that_lags_locks_nobody_and_the_rotation_ends_well() -> None:
    """The new password is rejected there for a while; the former one goes in between."""
    with locking(Strategy.SINGLE) as here:
        here.ask()
        here.fake.losing = 2
        story = here.run(seconds=2000)
        assert story.rotation.stage is Stage.RETIRED
        assert here.fake.locked == set()


def test_registering_with_wrong_passwords_locks_nobody() -> None:
    """A person, or a pipeline, that puts a wrong password again and again is told so, and not tried for."""
    with locking(Strategy.SINGLE) as here:
        here.fake.create("shop", "somebody-elses")
        for _ in range(FAILED_LOGINS + 1):  # one above the budget: whoever puts it says that it is right
            with pytest.raises(Invalid):
                here.put(password="wrong")
        for _ in range(5):
            with pytest.raises(ChangeUnreachable, match="not tried"):
                here.put(password="wrong")
        assert here.fake.locked == set()
        here.now += FORGIVES
        here.put(password="somebody-elses")
        assert here.fetch().entries[0].account.password.reveal() == "somebody-elses"


def test_a_rehearsal_looks_within_the_budget() -> None:
    with locking(Strategy.SINGLE) as here:
        here.fake.create("admin", "somebody-elses")
        for _ in range(8):
            assert here.service.keeper.rehearsals.rehearse(SYSTEM, "production", "shop/db").problems
        assert here.fake.locked == set()


def test_mariadb_counts_as_we_do(mariadb: MariaDBServer) -> None:
    """max_password_errors: the server locks at five in a row, and an accepted login ends the run."""
    ((former,),) = mariadb.execute("SELECT @@GLOBAL.max_password_errors")
    mariadb.login("budgeted", "right-password")
    mariadb.login("reckless", "right-password")
    mariadb.execute("SET GLOBAL max_password_errors = %s", LOCKING)
    try:
        engine = mariadb.access("x", "x").target.engine
        with stand(Strategy.OVERLAPPING) as here:
            budget = Budget(here.service.ledger, Databases())
            right, wrong = (mariadb.access("budgeted", word) for word in ("right-password", "wrong"))
            seen = [budget.probe(wrong, mariadb.endpoint) for _ in range(8)]
            assert [isinstance(outcome, Rejected) for outcome in seen] == [True] * 3 + [False] * 5
            assert isinstance(seen[-1], Withheld)
            assert isinstance(budget.probe(wrong, mariadb.endpoint, right.account), Rejected)
            for _ in range(20):
                budget.probe(wrong, mariadb.endpoint, right.account)
            assert isinstance(Databases()[engine].probe(right, mariadb.endpoint), Accepted)
        reckless = mariadb.access("reckless", "wrong")
        for _ in range(LOCKING):
            Databases()[engine].probe(reckless, mariadb.endpoint)
        locked = Databases()[engine].probe(mariadb.access("reckless", "right-password"), mariadb.endpoint)
        assert isinstance(locked, NotPermitted), "the server locks nobody, so this test proves nothing"
        assert "FLUSH PRIVILEGES" in locked.reason
    finally:
        mariadb.execute("SET GLOBAL max_password_errors = %s", former)
        mariadb.execute("FLUSH PRIVILEGES")


def test_guesses_by_others_stop_no_rotation() -> None:
    """Whoever may put a connection can spend the budget of the administration login; its password is right, though."""
    with locking(Strategy.ALTERNATING) as here:
        wrong, endpoint = here.fake.access("admin", "guessed"), here.fake.endpoints[0]
        budget = _budget(here)
        for _ in range(FAILED_LOGINS):
            budget.probe(wrong, endpoint)
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert here.fake.locked == set()


def test_rehearsals_of_a_login_that_was_changed_just_now_lock_nobody() -> None:
    with locking(Strategy.ALTERNATING) as here:
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        here.fake.create("admin", "somebody-elses")
        for _ in range(9):
            assert here.service.keeper.rehearsals.rehearse(SYSTEM, "production", "shop/db").problems
        assert here.fake.locked == set()
