"""The sentinel: logins from outside of the rotation path, drift, and what is overdue whoever is to blame."""

import threading
from datetime import timedelta
from typing import Any

import pytest

from scheduler.sentinel import Sentinel
from service.core.connection import Accepted, Access, Endpoint, Probe
from service.core.rotation import Stage, Strategy
from service.core.secret import Secret
from service.keeper import drift
from service.keeper.events import Question
from service.keeper.health import told
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.ledger.checks import keep, known
from tests.rigs.keywright import running_keywright, wait_until
from tests.rigs.postgresql import PostgresServer
from tests.rigs.rotating import Stand, stand
from tests.scheduler.test_administration import escrowed, works
from tests.scheduler.test_engines import definition

HOUR = timedelta(hours=1, minutes=10)
SECRET = "api-key-value-of-somebody"


def _sentinel(here: Stand, ticks: bool = True, interval: float = 60) -> Sentinel:
    keeper = here.service.keeper
    return Sentinel(keeper.checks, keeper.escrows, keeper.overdue, lambda: ticks, interval=interval)


def _check(here: Stand) -> tuple[str, list[str]]:
    here.now += HOUR
    _sentinel(here).check()
    return _health(here)


def _health(here: Stand) -> tuple[str, list[str]]:
    stored = here.service.keeper.connections.get(SYSTEM, "production", "shop/db").stored
    return told(stored.health | {"registered": []})  # the stand has no TLS


def _id(here: Stand) -> str:
    return here.service.keeper.connections.get(SYSTEM, "production", "shop/db").stored.id


def _known(here: Stand) -> dict[str, Any]:
    with here.service.ledger.read() as tx:
        return known(tx, _id(here))


def _forget(here: Stand) -> None:
    """Nobody has seen anything yet."""
    connection_id = _id(here)
    with here.service.ledger.work() as tx:
        keep(tx, connection_id, {})


def _events(here: Stand, action: str, resource: str = "shop/db") -> list[Any]:
    return here.service.keeper.events.ask(SYSTEM, Question(action=action, resource=resource))


def _identity(here: Stand, monkeypatch: pytest.MonkeyPatch, **identity: str) -> None:
    """What logging in shows from now on."""
    probe = type(here.fake).probe

    def shown(access: Access, endpoint: Endpoint) -> Probe:
        outcome = probe(here.fake, access, endpoint)
        return Accepted(dict(outcome.identity) | identity) if isinstance(outcome, Accepted) else outcome

    monkeypatch.setattr(here.fake, "probe", shown)


def test_a_password_changed_behind_our_back_is_noticed() -> None:
    """Failing, one event, and no more logins than the budget; put again with what works, it is well."""
    with stand(Strategy.SINGLE) as here:
        here.fake.locking = 5
        assert _check(here) == ("well", [])
        here.fake.create("shop", "somebody-elses")
        for _ in range(8):
            state, findings = _check(here)
            assert state == "failing"
            assert "does not accept the live password of shop: it was changed outside of Keywright" in findings[0]
        assert here.fake.locked == set()
        assert len(_events(here, "connection.check")) == 1
        here.put(password="somebody-elses")
        assert _check(here) == ("well", [])


def test_what_cannot_be_reached_is_warned_of() -> None:
    with stand(Strategy.SINGLE) as here:
        here.fake.unreachable.add(here.fake.everywhere)
        state, findings = _check(here)
        assert state == "warned"
        assert "could not be checked" in findings[0]
        here.fake.unreachable.clear()
        assert _check(here) == ("well", [])


@pytest.mark.parametrize("strategy", Strategy)
def test_a_rotation_at_any_stage_is_no_finding(strategy: Strategy) -> None:
    """Looked at between any two operations of rotations, nobody finds anything."""
    with stand(strategy, check_every="1m") as here:
        looked = []

        def look(_: str) -> None:
            here.fake.before = lambda _: None
            here.now += timedelta(minutes=2)
            for connection_id in here.service.keeper.checks.claim(10):
                here.service.keeper.checks.check(connection_id)
            looked.append(_health(here))
            here.fake.before = look

        here.put(password=None, login=False, check_every="1m", drain_minimum="1s", drain_limit="2s")
        here.fake.before = look
        for _ in range(2):
            here.ask()
            assert here.run(seconds=5000, step=60).rotation.stage is Stage.RETIRED
        here.fake.before = lambda _: None
        assert len(looked) > 8
        assert {state for state, _ in looked} == {"well"}
        assert _events(here, "connection.drift") == []


@pytest.mark.parametrize("valid", ["somebody-elses", "first-password"])
@pytest.mark.parametrize("moment", ["_found", "_news"])
def test_a_rotation_that_passes_meanwhile_makes_a_look_worthless(
    moment: str, valid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right after the login, or right before its record: what was seen is of a password that is live no more."""
    with stand(Strategy.SINGLE) as here:
        checks, connection_id = here.service.keeper.checks, _id(here)
        look = getattr(checks, moment)
        _forget(here)

        def meanwhile(*given: Any) -> Any:
            monkeypatch.undo()
            said = look(*given)
            here.fake.create("shop", "first-password")
            here.ask()
            assert here.run().rotation.stage is Stage.RETIRED
            return said

        monkeypatch.setattr(checks, moment, meanwhile)
        here.fake.create("shop", valid)
        nothing_to_record = (moment, valid) == ("_news", "first-password")
        assert checks.check(connection_id) == ("accepted" if nothing_to_record else "")
        assert _health(here) == ("well", [])
        assert _events(here, "connection.check") == []
        identity = _known(here)["identity"]
        assert checks.check(connection_id) == "accepted"
        assert _known(here) == {"identity": identity}


def test_sources_of_health_speak_for_themselves() -> None:
    """What one of them found stays when another one says something else."""
    with stand(Strategy.SINGLE, every="1h") as here:
        here.fake.unreachable.add(here.fake.everywhere)
        _check(here)
        _sentinel(here).watch()
        state, (overdue, away) = _health(here)
        assert state == "failing"
        assert "was not begun by anybody" in overdue
        assert "could not be checked" in away
        here.fake.unreachable.clear()
        assert _check(here) == ("failing", [overdue])


def test_many_replicas_look_once() -> None:
    with stand(Strategy.SINGLE) as here:
        _sentinel(here).check()
        here.now += HOUR
        claimed: list[str] = []
        threads = [
            threading.Thread(target=lambda: claimed.extend(here.service.keeper.checks.claim(10))) for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(claimed) == len(set(claimed)) == 2


def test_the_escrow_is_checked_as_well() -> None:
    """A file that is gone is made anew; where no password in it logs in, the health says so, and nobody is locked."""
    with stand(Strategy.SINGLE, itself=True, settings={"escrow": "escrow"}) as here:

        def finding() -> str:
            _check(here)
            _, findings = here.service.keeper.connections.get(SYSTEM, "production", "admin").health
            return next((found for found in findings if "escrow" in found), "")

        (here.folder / "escrow").unlink()
        assert finding() == ""
        assert [works(here, account) for account in escrowed(here)] == [True]
        here.fake.locking = 5
        here.fake.create("admin", "of-somebody-else")
        for _ in range(8):
            assert "no password in the escrow logs in" in finding()
        assert here.fake.locked == set()
        assert len(_events(here, "escrow.check", "admin")) == 1
        target = here._target() | {"administered_by": "admin", "login": {"username": "admin"}}
        theirs = registration(target, Secret("of-somebody-else"))
        here.service.keeper.connections.put(SYSTEM, "production", "admin", theirs, if_match=None)
        assert finding() == ""


def test_never_means_never() -> None:
    with stand(Strategy.SINGLE, check_every="never") as here:
        here.fake.create("shop", "somebody-elses")
        assert _check(here) == ("well", [])


def test_drift_is_reported_and_accepted_by_putting(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(Strategy.SINGLE, registered=False) as here:
        settings = f"app.api_key={SECRET}\nwork_mem=4MB"
        _identity(here, monkeypatch, memberships="readers,shop", settings=settings)
        here.register()
        assert _check(here) == ("well", [])
        _identity(here, monkeypatch, memberships="readers", settings=f"app.api_key={SECRET}2\nwork_mem=64MB")
        state, findings = _check(here)
        assert state == "warned"
        assert "db.test:5432: membership lost: shop" in findings
        assert "db.test:5432: setting work_mem: '4MB' -> '64MB'" in findings
        assert "db.test:5432: setting app.api_key: changed (its value is not shown)" in findings
        assert _check(here)[1] == findings
        (event,) = _events(here, "connection.drift")
        assert "work_mem" in str(event)
        for file in here.folder.glob("ledger.sqlite*"):
            assert SECRET.encode() not in file.read_bytes()
        here.put(password=None, login=False)
        assert _check(here) == ("well", [])


@pytest.mark.parametrize("moment", ["registered", "rotated"])
def test_drift_is_noticed_from_the_first_moment_on(moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has looked yet: what registering or verifying saw is what counts."""
    with stand(Strategy.SINGLE, registered=False) as here:
        _identity(here, monkeypatch, memberships="shop")
        here.register()
        if moment == "rotated":
            _forget(here)
            here.ask()
            assert here.run().rotation.stage is Stage.RETIRED
        _identity(here, monkeypatch, memberships="shop,superusers")
        assert _check(here) == ("warned", ["db.test:5432: membership gained: superusers"])


def test_a_rotation_makes_no_drift_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was known before it stays what a login is judged by."""
    with stand(Strategy.ALTERNATING, registered=False) as here:
        _identity(here, monkeypatch, memberships="shop")
        here.register()
        _identity(here, monkeypatch, memberships="shop,superusers")
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert _check(here) == ("warned", ["db.test:5432: membership gained: superusers"])


def test_drift_that_was_undone_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(Strategy.SINGLE) as here:
        _check(here)
        _identity(here, monkeypatch, memberships="superusers")
        assert _check(here)[0] == "warned"
        monkeypatch.undo()
        assert _check(here) == ("well", [])


def test_a_value_that_may_be_secret_is_never_shown() -> None:
    before = drift.parts({"settings": "password_hint=abc\na.b=abc\nodd name=abc\nwork_mem=1MB"}, b"key")
    assert "abc" not in str(before)
    assert drift.difference(before, before) == ()
    assert "abc" not in str(drift.difference(before, {}))
    assert drift.difference({"grant SELECT": ""}, {}) == ("grant lost: SELECT",)


def test_overdue_is_noticed_once_without_the_clock() -> None:
    """Nobody rotates: whoever serves says so; and says when it is over."""
    with stand(Strategy.ALTERNATING, every="1h") as here:
        here.now += timedelta(hours=1, minutes=5)
        for _ in range(2):
            sentinel = _sentinel(here)
            sentinel.watch()
        assert sentinel.overdue == 0
        here.now += timedelta(minutes=2)
        for _ in range(2):
            sentinel = _sentinel(here)
            sentinel.watch()
        assert sentinel.overdue == here.service.keeper.figures.read().late == 1
        state, findings = _health(here)
        assert state == "failing"
        assert "was not begun by anybody" in findings[0]
        assert len(_events(here, "rotation.overdue")) == 1
        here.service.keeper.rotations.plan_due(SYSTEM, 10)
        assert here.run().rotation.stage is Stage.RETIRED
        sentinel.watch()
        assert sentinel.overdue == 0
        assert _health(here) == ("well", [])


def test_replicas_that_notice_at_the_same_time_raise_one_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looked before either of them said so."""
    with stand(Strategy.ALTERNATING, every="1h") as here:
        here.now += timedelta(hours=1, minutes=7)
        overdue = here.service.keeper.overdue
        monkeypatch.setattr(overdue, "_marked", lambda _: {})
        assert [len(overdue.look()[1]) for _ in range(3)] == [1, 0, 0]
        assert len(here.service.keeper.events.ask(SYSTEM, Question(action="rotation.overdue"))) == 1


def test_a_scheduler_that_hangs_is_noticed() -> None:
    """It planned, claimed and stands still: the rotation does not go on."""
    with stand(Strategy.ALTERNATING, every="1h") as here:
        here.now += timedelta(hours=1, seconds=1)
        here.service.keeper.rotations.plan_due(SYSTEM, 10)
        here.service.keeper.rotations.claim("hangs", timedelta(hours=9), 10)
        here.now += timedelta(minutes=6)
        _sentinel(here).watch()
        state, findings = _health(here)
        assert state == "failing"
        assert "should have gone on" in findings[0]


def test_a_stuck_rotation_is_not_overdue() -> None:
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.fake.trusting = True
        assert here.run().rotation.stage is Stage.STUCK
        here.now += timedelta(hours=1)
        sentinel = _sentinel(here)
        sentinel.watch()
        assert sentinel.overdue == 0


def test_a_dead_clock_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with stand(Strategy.SINGLE) as here:
        _sentinel(here, ticks=False).watch()
        assert "does not tick" in capsys.readouterr().out


def test_both_threads_look_and_outlive_a_defect(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand(Strategy.SINGLE) as here:
        looks: list[str] = []

        def defect() -> None:
            looks.append("watch")
            raise ZeroDivisionError

        here.fake.create("shop", "somebody-elses")
        sentinel = _sentinel(here, interval=0.02)
        monkeypatch.setattr(sentinel, "_overdue", None)
        monkeypatch.setattr(sentinel, "watch", defect)
        sentinel.start()
        wait_until(lambda: len(looks) > 2 and _health(here)[0] == "failing", "nobody looked")
        sentinel.stop()


def test_on_postgresql(new_postgresql: PostgresServer) -> None:
    """A setting and a membership changed by somebody else, then the password."""
    new_postgresql.login("watched", "first-password")
    login = new_postgresql.access("watched", "first-password")
    with running_keywright() as it:
        it.client().post("/environments", json={"name": "production"}).raise_for_status()
        place = "/environments/production/connections/watched"
        it.client().put(place, json=definition(login)).raise_for_status()
        checks = it.service.keeper.checks

        def looked() -> dict[str, Any]:
            with it.service.ledger.read() as tx:
                (connection_id,) = [row[0] for row in tx.sql.exec_driver_sql("SELECT id FROM connections")]
            checks.check(connection_id)
            return dict(it.client().get(place).json()["health"])

        well = looked()
        new_postgresql.execute("ALTER ROLE watched SET work_mem = '64MB'")
        new_postgresql.execute(f"ALTER ROLE watched SET app.api_key = '{SECRET}'")
        drifted = looked()["findings"]
        assert any("setting work_mem: none -> '65536'" in finding for finding in drifted), drifted
        assert SECRET not in str(drifted)
        new_postgresql.execute("ALTER ROLE watched RESET ALL")
        assert looked() == well
        new_postgresql.execute("ALTER ROLE watched PASSWORD 'somebody-elses'")
        assert looked()["state"] == "failing"
    new_postgresql.execute("DROP ROLE watched")
