"""The clock: a server that hangs delays no other, missed runs, one planner at a time."""

import tempfile
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from scheduler.clock import Workers
from service.core.connection import Engine
from service.core.database import Database
from service.core.rotation import Stage, Strategy
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.rotations import Story
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim
from service.settings import read
from service.wiring import Service, build
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import wait_until
from tests.rigs.rotating import BEGINNING, FAST, stand

PATIENCE = 10.0


def test_a_defect_in_one_rotation_takes_no_place() -> None:
    """The place is free again, and whoever finished looks for more."""
    finished = threading.Semaphore(0)

    def work(claim: Claim, since: float) -> None:
        raise ZeroDivisionError

    workers = Workers(work, 1, finished.release)
    for _ in range(2):
        assert workers.room == 1
        workers.begin(Claim("broken", 1), time.monotonic())
        assert finished.acquire(timeout=PATIENCE)
    assert workers.wait(PATIENCE)


def test_waiting_for_what_is_at_work_has_an_end() -> None:
    """Nothing is waited for longer than was said."""
    hang = threading.Event()
    workers = Workers(lambda _, __: bool(hang.wait(PATIENCE)) and None, 2)
    workers.begin(Claim("hangs", 1), time.monotonic())
    assert workers.room == 1
    assert not workers.wait(0.01)
    hang.set()
    assert workers.wait(PATIENCE)


def test_a_database_that_hangs_delays_no_other() -> None:
    """Ten rotations wait on a server that never answers; another one's rotates at the second it is due."""
    now = BEGINNING
    answers = threading.Event()
    healthy, hanging = FakeDatabase(Engine.POSTGRESQL), FakeDatabase(Engine.MARIADB)
    databases: dict[Engine, Database] = {Engine.POSTGRESQL: healthy, Engine.MARIADB: hanging}
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        service = build(read({}, data=Path(folder), parallel=8), now=lambda: now, with_databases=databases)
        service.keeper.environments.add(SYSTEM, "production", {}, ())
        for number in range(10):
            connect(service, hanging, f"hanging/{number}", strategy="overlapping", every="3s")
        connect(service, healthy, "healthy/db", strategy="single", every="10s")
        hanging.before = lambda _: bool(answers.wait(60)) and None
        for _ in range(30):
            now += timedelta(seconds=1)
            service.clock.tick()
            wait_until(lambda: not at_work(service, "healthy/db"), "the healthy one was not worked on")
        turned = [story.rotation for story in reversed(listed(service, "healthy/db"))]
        at_once = [r for r in listed(service) if r.rotation.lease_until and r.rotation.connection.startswith("hanging")]
        answers.set()
        service.close()
    assert len(at_once) == 4
    assert [(r.created_at - BEGINNING).total_seconds() for r in turned] == [10, 20, 30]
    assert [r.stage for r in turned[:2]] == [Stage.RETIRED, Stage.RETIRED]


def test_whoever_has_finished_looks_for_the_next_one() -> None:
    """One place and one tick, and five rotations: nobody waits for another tick."""
    fake = FakeDatabase()
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        service = build(read({}, data=Path(folder), workers=1), with_databases={fake.engine: fake})
        service.keeper.environments.add(SYSTEM, "production", {}, ())
        for number in range(5):
            connect(service, fake, f"shop/{number}", strategy="single")
            service.keeper.rotations.ask(SYSTEM, "production", f"shop/{number}", "", emergency=True)
        service.clock.tick()
        wait_until(lambda: all(s.rotation.ended_at for s in listed(service)), "some were not worked on", PATIENCE)
        assert {s.rotation.stage for s in listed(service)} == {Stage.RETIRED}
        service.close()


def test_what_became_due_while_nobody_ticked_is_begun_at_once() -> None:
    """A process that starts does not let its first interval pass first."""
    fake = FakeDatabase()
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        service = build(read({}, data=Path(folder), tick=60), with_databases={fake.engine: fake})
        service.keeper.environments.add(SYSTEM, "production", {}, ())
        connect(service, fake, "shop/db", strategy="single")
        service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "", emergency=True)
        service.clock.start()
        wait_until(lambda: all(s.rotation.ended_at for s in listed(service)), "it was not worked on", PATIENCE)
        service.clock.stop()
        service.close()


def connect(service: Service, fake: FakeDatabase, name: str, **rotation: Any) -> None:
    """A connection on a fake, with its administration connection."""
    username, where = name.replace("/", "_"), fake.endpoints[0]
    fake.administration()
    fake.create(username, "first-password")
    target = {
        "engine": fake.engine.value,
        "endpoints": [{"host": where.host, "port": where.port}],
        "database": "shop",
        "tls": {"mode": "disable"},
    }
    admin = registration(target | {"login": {"username": "admin"}}, Secret("admin-password"))
    administered_by = f"admin/{fake.engine.value}"
    service.keeper.connections.put(SYSTEM, "production", administered_by, admin, if_match=None)
    policy = {"drain_minimum": "1s", "drain_limit": "2s"} | rotation
    data = target | {"login": {"username": username}, "administered_by": administered_by, "rotation": policy}
    wanted = registration(data, Secret("first-password"))
    service.keeper.connections.put(SYSTEM, "production", name, wanted, if_match=None)


def listed(service: Service, name: str | None = None) -> list[Story]:
    """Rotations of a connection, the youngest first."""
    return service.keeper.rotations.listed(SYSTEM, "production", name, None, "", 100)


def at_work(service: Service, name: str) -> bool:
    """Has a rotation of the connection something to do now?"""
    now = service.keeper.door.look(lambda tx: tx.now)
    return any(s.rotation.ended_at is None and s.rotation.wake_at <= now for s in listed(service, name))


def test_the_next_due_time_is_kept_in_the_ledger() -> None:
    """Nothing is planned before; one is planned when it is due; a restart neither adds one nor loses one."""
    with stand(Strategy.ALTERNATING, every="1h") as here:
        rotations = here.service.keeper.rotations
        rotations.plan_due(SYSTEM, 10)
        assert rotations.listed(SYSTEM, "production", None, None, "", 10) == []
        here.now += timedelta(minutes=59)
        here.reopen()
        here.now += timedelta(minutes=1)
        rotations = here.service.keeper.rotations
        for _ in range(3):
            rotations.plan_due(SYSTEM, 10)
        assert len(rotations.listed(SYSTEM, "production", None, None, "", 10)) == 1
        assert here.run().rotation.stage is Stage.RETIRED


def test_a_missed_run_follows_the_policy() -> None:
    """`alert`: it is not run, its health says so, and the next regular one is due."""
    with stand(Strategy.ALTERNATING, every="1h", missed="alert") as here:
        here.now += timedelta(hours=5)
        rotations = here.service.keeper.rotations
        rotations.plan_due(SYSTEM, 10)
        assert rotations.listed(SYSTEM, "production", None, None, "", 10) == []
        shown = here.service.keeper.connections.get(SYSTEM, "production", "shop/db")
        assert shown.health[0] == "failing"
        assert "was missed" in shown.health[1][0]
        assert shown.stored.next_due_at is not None
        assert shown.stored.next_due_at > here.now


def test_two_planners_plan_once() -> None:
    """Both saw that it is due; the second finds it planned."""
    with stand(Strategy.ALTERNATING, every="1h") as here:
        here.now += timedelta(hours=1, seconds=1)
        rotations = here.service.keeper.rotations
        threads = [threading.Thread(target=rotations.plan_due, args=(SYSTEM, 10)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(rotations.listed(SYSTEM, "production", None, None, "", 10)) == 1


def test_a_pinned_instance_rotates_nothing_elsewhere() -> None:
    """Promise 11: it neither plans nor moves what lies in environments that it does not serve."""
    with stand(Strategy.ALTERNATING, every="1h") as here:
        here.now += timedelta(hours=1, seconds=1)
        here.ask()
        here.service.ledger.close()
        here.open("staging")
        operations = here.service.keeper.rotations
        assert operations.plan_due(SYSTEM, 10) == 0
        assert operations.claim("pinned", timedelta(seconds=60), 10) == []
        here.service.ledger.close()
        here.open("production")
        assert here.service.keeper.rotations.plan_due(SYSTEM, 10) == 1
        assert here.run().rotation.stage is Stage.RETIRED
