"""Promise 13: a ledger that lost some of its past knows it, and resurrects no retired password.

The databases are in memory here; `test_restored_ledgers.py` does it with real servers.
"""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from service.core.errors import Conflict
from service.core.restoration import Finding
from service.core.rotation import Stage, Strategy
from service.keeper.tokens import OPERATOR, SYSTEM
from service.ledger.findings import Found
from tests.rigs.rotating import Died, Stand, stand


def copy_away(here: Stand) -> Path:
    """Yesterday's copy of the ledger, by SQLite's own means."""
    copy = here.folder / "yesterday.sqlite"
    copy.unlink(missing_ok=True)
    with closing(sqlite3.connect(here.folder / "ledger.sqlite")) as ledger, closing(sqlite3.connect(copy)) as to:
        ledger.backup(to)
    return copy


def bring_back(here: Stand, copy: Path) -> None:
    """Stop, put the copy in the ledger's place, start: what an operator does."""
    here.service.close()
    for rest in here.folder.glob("ledger.sqlite*"):
        rest.unlink()
    copy.rename(here.folder / "ledger.sqlite")
    here.now += timedelta(days=1)
    here.held.clear()
    here.open()


def rotate(here: Stand) -> None:
    """Once, to its end."""
    here.ask()
    assert here.run().rotation.stage is Stage.RETIRED
    here.service.restoration.look()


def found(here: Stand, connection: str = "shop/db") -> Found:
    """What the latest restoration found of a connection."""
    keeper = here.service.keeper.restorations
    latest = keeper.listed(SYSTEM, "", 1)[0].restoration
    return next(f for f in keeper.findings(SYSTEM, latest.id, None, ("", ""), 100) if f.connection == connection)


def restored(here: Stand, copy: Path) -> Found:
    """Bring the copy back, see that it is noticed, and probe to the end, changing nothing in the target."""
    bring_back(here, copy)
    before, said = dict(here.fake.logins), len(here.fake.log)
    assert here.service.restoration.look()
    assert_held(here, "see `keywright restoration`")
    here.service.restoration.work()
    assert not here.service.restoration.look()
    assert (here.fake.logins, len(here.fake.log)) == (before, said)
    here.held.clear()
    return found(here)


def assert_held(here: Stand, sentence: str) -> None:
    """Nothing is asked for, planned or claimed, and the health says why."""
    with pytest.raises(Conflict, match=sentence):
        here.ask()
    here.service.keeper.rotations.plan_due(SYSTEM, 100)
    assert here.service.keeper.rotations.claim("worker", timedelta(seconds=30), 10) == []
    state, findings = here.service.keeper.connections.get(SYSTEM, "production", "shop/db").health
    assert state == "failing"
    assert sentence in findings[0]
    assert here.fetch().entries  # fetches go on


def offered(here: Stand) -> str:
    """The password that applications get first."""
    return here.fetch().entries[0].account.password.reveal()


@pytest.mark.parametrize("fenced", [True, False], ids=["fenced", "unfenced"])
@pytest.mark.parametrize("strategy", Strategy)
def test_an_older_copy_is_found_out_and_resurrects_nothing(strategy: Strategy, fenced: bool) -> None:
    """Two rotations later: a person must look, and after the connection was put again it rotates."""
    with stand(strategy) as here:
        if not fenced:
            here.fake.unfenced = ("the administration login may not keep a number",)
        rotate(here)
        rotate(here)
        copy = copy_away(here)
        rotate(here)
        rotate(here)
        newest = here.fetch().entries[0].account
        it = restored(here, copy)
        if strategy is Strategy.ALTERNATING and not fenced:
            # Nothing shows the newer ledger, and the login that became the role still has its password.
            assert it.finding is Finding.ADOPTED
            assert here.fake.valid("shop", offered(here))
            return
        assert ("newer ledger" in it.sentence) is fenced
        assert it.finding is Finding.STUCK
        assert "put the connection again with the login that works" in it.sentence
        assert offered(here) != newest.password.reveal()
        assert_held(here, "put the connection again")
        here.fake.create(newest.username, "set-by-a-dba") if strategy is not Strategy.ALTERNATING else None
        works = "set-by-a-dba" if strategy is not Strategy.ALTERNATING else newest.password.reveal()
        put_again(here, newest.username, works)
        assert found(here).finding is Finding.SETTLED
        assert offered(here) == works
        rotate(here)
        assert here.fake.valid(newest.username, works) is False


def put_again(here: Stand, username: str, password: str) -> None:
    """As a person does who found out what works."""
    from service.core.secret import Secret
    from service.keeper.registration import registration

    rotation = {"strategy": here.strategy.value, "drain_minimum": "10s", "drain_limit": "60s"}
    data = here._target() | {"administered_by": "admin", "rotation": rotation, "login": {"username": username}}
    keeper = here.service.keeper.connections
    here.held.clear()  # what was offered while a person had to look was as dead as its health said
    keeper.put(OPERATOR, "production", "shop/db", registration(data, Secret(password)), if_match=None)


def test_a_copy_after_which_nothing_was_rotated_is_fine() -> None:
    """Only events are missing: everything is probed, and goes on."""
    with stand(Strategy.SINGLE) as here:
        rotate(here)
        copy = copy_away(here)
        here.now += timedelta(seconds=5)
        here.fetch()
        here.service.restoration.look()
        it = restored(here, copy)
        assert it.finding is Finding.FINE
        rotate(here)


def test_another_password_that_the_ledger_has_is_adopted() -> None:
    """The copy knows the candidate of a rotation that ended after it."""
    with stand(Strategy.OVERLAPPING) as here:
        here.fake.unfenced = ("no",)
        here.ask()
        here.now += timedelta(seconds=1)
        here.die_at(3)
        with pytest.raises(Died):
            here.run()
        here.reopen()
        copy = copy_away(here)
        assert here.run().rotation.stage is Stage.RETIRED
        here.service.restoration.look()
        newest, generation = offered(here), here.fetch().generation
        it = restored(here, copy)
        assert it.finding is Finding.ADOPTED
        assert offered(here) == newest
        assert here.fetch().generation == generation
        assert here.latest().rotation.stage is Stage.ABANDONED
        rotate(here)


def test_a_rotation_that_its_own_look_settles_goes_on() -> None:
    """Under `single` the target has the candidate, and the ledger lost that it was applied."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.fake.before = lambda name: None
        while here.latest().rotation.stage is not Stage.ANNOUNCED:
            here.work()
        copy = copy_away(here)
        while here.latest().rotation.stage is not Stage.RETIRED:
            here.now += timedelta(seconds=1)
            here.work()
        here.service.restoration.look()
        newest = offered(here)
        here.fake.fences.clear()
        it = restored(here, copy)
        assert it.finding is Finding.FINE
        assert here.run().rotation.stage is Stage.RETIRED
        assert offered(here) == newest


def test_another_login_of_the_pair_that_somebody_turned() -> None:
    """The live one logs in, but the resting one is not as it was left: a newer ledger may have begun with it."""
    with stand(Strategy.ALTERNATING) as here:
        here.fake.unfenced = ("no",)
        rotate(here)
        rotate(here)
        copy = copy_away(here)
        here.ask()
        while here.latest().rotation.stage is not Stage.DRAINING:
            here.work()
            here.now += timedelta(seconds=1)
        here.now += timedelta(seconds=5)
        here.service.restoration.look()
        it = restored(here, copy)
        assert it.finding is Finding.STUCK
        assert "was turned by somebody else" in it.sentence


def test_few_passwords_of_one_login_are_tried_and_none_twice() -> None:
    """Servers lock accounts that fail often: also a worker that takes over does not begin anew."""
    with stand(Strategy.SINGLE) as here:
        for _ in range(6):
            here.ask()
            here.fake.powerless = True
            assert here.run().rotation.stage is Stage.ABANDONED
        here.fake.powerless = False
        here.fake.create("shop", "nobody-knows")
        assert here.service.keeper.restorations.begin(OPERATOR, "a try")[1]
        tried: list[str] = []
        probe = here.fake.probe

        def watched(access: Any, endpoint: Any) -> Any:
            if access.account.username == "shop":
                tried.append(access.account.password.reveal())
                if len(tried) == 2:
                    raise Died
            return probe(access, endpoint)

        here.fake.probe = watched  # type: ignore[method-assign]
        with pytest.raises(Died):
            here.service.restoration.work()
        here.reopen()
        here.service.restoration.work()
        assert found(here).finding is Finding.PENDING
        assert "could lock it" in found(here).sentence
        while here.service.restoration.look():
            here.now += timedelta(minutes=2)
            here.service.restoration.work()
        assert found(here).finding is Finding.STUCK
        # The live one, and two others; the one in the middle of which the process died was not noted.
        assert len(tried) == 4
        assert len(set(tried)) == 3
        assert tried[0] == "first-password"


def test_a_target_that_does_not_answer_is_for_a_person_after_a_while() -> None:
    """And when it answers again, all are probed again if somebody says so."""
    with stand(Strategy.SINGLE) as here:
        here.fake.unreachable.add(here.fake.everywhere)
        here.service.keeper.restorations.begin(OPERATOR, "a try")
        tries = 0
        while here.service.restoration.look():
            here.service.restoration.work()
            here.now += timedelta(seconds=30)
            tries += 1
            assert tries < 100
        assert found(here).finding is Finding.STUCK
        assert found(here, "admin").finding is Finding.STUCK
        assert "cannot be reached" in found(here).sentence
        here.fake.unreachable.clear()
        assert_held(here, "cannot be reached")
        here.service.keeper.restorations.begin(OPERATOR, "it answers again")
        here.service.restoration.work()
        assert found(here).finding is Finding.FINE
        rotate(here)


def test_who_is_administered_by_one_that_is_stuck_is_held_too() -> None:
    """The administration connection is probed first."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.fake.create("admin", "nobody-knows")
        here.service.keeper.restorations.begin(OPERATOR, "a try")
        here.service.restoration.work()
        assert found(here, "admin").finding is Finding.STUCK
        assert found(here).finding is Finding.FINE
        assert_held(here, "administration connection")
        here.fake.administration()
        admin = here._target() | {"login": {"username": "admin"}}
        from service.core.secret import Secret
        from service.keeper.registration import registration

        here.service.keeper.connections.put(
            SYSTEM, "production", "admin", registration(admin, Secret("admin-password")), if_match=None
        )
        rotate(here)


def test_a_ledger_without_the_witness_that_it_had_is_held() -> None:
    """Brought to another machine from a copy: nothing shows that it is the newest."""
    with stand(Strategy.SINGLE) as here:
        assert not here.service.restoration.look()
        (witness,) = here.folder.glob("witness-*.json")
        assert not here.service.restoration.look()
        here.reopen()
        assert not here.service.restoration.look()
        witness.unlink()
        here.reopen()
        assert here.service.restoration.look()
        assert "witness" in here.service.keeper.restorations.listed(SYSTEM, "", 1)[0].restoration.reason


def test_a_restoration_survives_a_restart_and_is_begun_once() -> None:
    """What was noticed stays noticed; saying so beside it begins no second one."""
    with stand(Strategy.SINGLE) as here:
        rotate(here)
        copy = copy_away(here)
        rotate(here)
        bring_back(here, copy)
        assert here.service.restoration.look()
        assert not here.service.keeper.restorations.begin(OPERATOR, "yesterday's copy")[1]
        here.reopen()
        assert here.service.restoration.look()
        here.service.restoration.work()
        here.reopen()
        assert not here.service.restoration.look()
        assert len(here.service.keeper.restorations.listed(SYSTEM, "", 10)) == 1
        actions = [e["action"] for e in here.service.keeper.events.ask(SYSTEM, _question("restoration.begin"))]
        assert actions == ["restoration.begin"]
        assert len(here.service.keeper.events.ask(SYSTEM, _question("restoration.connection"))) == 2
        assert len(here.service.keeper.events.ask(SYSTEM, _question("restoration.end"))) == 1


def _question(action: str) -> Any:
    from service.keeper.events import Question

    return Question(action=action)
