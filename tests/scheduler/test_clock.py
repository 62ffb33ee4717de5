"""The clock: lanes of their own, missed runs, one planner at a time."""

import threading
from datetime import timedelta

from scheduler.clock import Lanes
from service.core.rotation import Stage, Strategy
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim
from tests.rigs.rotating import stand

PATIENCE = 10.0


def test_a_server_that_hangs_delays_no_other() -> None:
    """Its lane is full; another server's work begins all the same."""
    hang, done = threading.Event(), threading.Event()

    def work(claim: Claim) -> None:
        if claim.rotation_id == "hangs":
            hang.wait(PATIENCE)
        else:
            done.set()

    lanes = Lanes(work, 2)
    for _ in range(10):
        lanes.put("hanging.test:5432", Claim("hangs", 1))
    lanes.put("healthy.test:5432", Claim("works", 1))
    assert done.wait(PATIENCE)
    hang.set()
    assert lanes.drain(PATIENCE)


def test_a_defect_in_one_rotation_ends_no_lane() -> None:
    """The worker outlives it."""
    done = threading.Event()

    def work(claim: Claim) -> None:
        if claim.rotation_id == "broken":
            raise ZeroDivisionError
        done.set()

    lanes = Lanes(work, 1)
    lanes.put("db.test:5432", Claim("broken", 1))
    lanes.put("db.test:5432", Claim("works", 1))
    assert done.wait(PATIENCE)
    assert lanes.drain(PATIENCE)


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
