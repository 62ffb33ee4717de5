"""Promise 5: a rotation is held by lease and number, and a worker that wakes up late changes nothing."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from scheduler.heartbeat import Heartbeat
from service.core.errors import ChangeFenced, KeywrightError
from service.core.rotation import Stage, Strategy
from service.keeper.rotations import Rotations
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim, LeaseLost
from tests.rigs.keywright import wait_until
from tests.rigs.rotating import LEASE, Died, Stand, stand

CHANGES = {Strategy.ALTERNATING: "join", Strategy.OVERLAPPING: "add_password", Strategy.SINGLE: "set_password"}


def _stopped_before_its_change(here: Stand) -> Callable[[], Any]:
    """Let a worker stand still right before its statement; what it will send when it wakes up."""
    name = CHANGES[here.strategy]
    change = getattr(here.fake, name)
    late: list[tuple[Any, ...]] = []

    def stands_still(*arguments: Any) -> None:
        late.append(arguments)
        raise Died

    setattr(here.fake, name, stands_still)
    with pytest.raises(Died):
        here.run()
    setattr(here.fake, name, change)
    return lambda: change(*late[0])


@pytest.mark.parametrize("strategy", Strategy)
def test_a_late_worker_changes_nothing(strategy: Strategy) -> None:
    """Its rotation was abandoned meanwhile: the candidate must not come into force now."""
    with stand(strategy) as here:
        here.ask()
        late = _stopped_before_its_change(here)
        here.now += LEASE + timedelta(seconds=1)
        here.service.keeper.rotations.abandon(SYSTEM, here.latest().rotation.id)
        story = here.run()
        assert story.rotation.stage is Stage.ABANDONED
        before = dict(here.fake.logins)
        with pytest.raises(ChangeFenced):
            late()
        assert here.fake.logins == before
        here.check()


@pytest.mark.parametrize("strategy", Strategy)
def test_a_late_worker_does_not_disturb_its_successor(strategy: Strategy) -> None:
    """The rotation went on without it, to its end."""
    with stand(strategy) as here:
        here.ask()
        late = _stopped_before_its_change(here)
        here.now += LEASE + timedelta(seconds=1)
        assert here.run().rotation.stage is Stage.RETIRED
        before = dict(here.fake.logins)
        with pytest.raises(ChangeFenced):
            late()
        assert here.fake.logins == before


def test_a_late_worker_of_an_earlier_rotation() -> None:
    """Numbers grow over all rotations of a connection, and also where its clock went back."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        late = _stopped_before_its_change(here)
        here.now += LEASE + timedelta(seconds=1)
        assert here.run().rotation.stage is Stage.RETIRED
        here.now -= timedelta(hours=1)
        rotations = here.service.keeper.rotations
        second = rotations.ask(SYSTEM, "production", "shop/db", "", emergency=True)[0].rotation.id
        here.work()
        assert rotations.get(SYSTEM, second).rotation.stage is Stage.RETIRED
        with pytest.raises(ChangeFenced):
            late()


def test_who_let_go_leaves_no_doubt() -> None:
    """A rotation that only waited needs no fence to be raised."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert not any("earlier worker" in line.sentence for line in here.latest().lines)


def test_what_the_fence_lacks_is_said_and_rotation_works() -> None:
    """An administration login that may not keep a number: the connection's health names it, until it may."""
    with stand(Strategy.ALTERNATING) as here:
        here.fake.unfenced = ("admin may not comment on roles; run: GRANT …",)
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert _findings(here) == ["admin may not comment on roles; run: GRANT …"]
        here.fake.unfenced = ()
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert _findings(here) == []


def _findings(here: Stand) -> list[str]:
    _, findings = here.service.keeper.connections.get(SYSTEM, "production", "shop/db").health
    return [finding for finding in findings if not finding.startswith("TLS")]


def test_a_lost_reply_raises_the_fence_before_anything_is_believed() -> None:
    """The statement was sent, and may take effect at any later moment."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.fake.losing = 1
        assert here.run().rotation.stage is Stage.RETIRED
        sentences = [line.sentence for line in here.latest().lines]
        assert any("an earlier worker can change nothing" in sentence for sentence in sentences)


def test_on_sqlite_the_next_process_does_not_wait_for_the_lease() -> None:
    """Only one process works there: whoever held a lease before is dead."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        _stopped_before_its_change(here)
        here.work()
        assert here.latest().rotation.stage is Stage.STAGED
        here.service.clock.start()
        wait_until(lambda: here.latest().rotation.stage is Stage.DRAINING, "nobody goes on with it")


class _Leases:
    """Stands in for the ledger's leases. `answers` is what a renewal says."""

    def __init__(self) -> None:
        self.renewals = 0
        self.answers: Callable[[list[Claim]], set[Claim]] = set

    def renew(self, held: Claim, lease: timedelta) -> bool:
        return True

    def renew_all(self, all_held: list[Claim], lease: timedelta) -> set[Claim]:
        self.renewals += 1
        return self.answers(all_held)


def _heartbeat(leases: _Leases) -> Heartbeat:
    rotations: Any = leases
    assert {"renew", "renew_all"} <= set(vars(Rotations))
    return Heartbeat(rotations, timedelta(seconds=0.3))


HELD = Claim("rotation", 7)


def test_the_lease_is_renewed_while_a_statement_runs() -> None:
    """However long that takes."""
    leases = _Leases()
    heartbeat = _heartbeat(leases)
    with heartbeat.holding(HELD):
        wait_until(lambda: leases.renewals >= 5, "nothing is renewed")
        heartbeat.require(HELD)
    with pytest.raises(LeaseLost):
        heartbeat.require(HELD)


def test_a_worker_whose_lease_was_taken_stops() -> None:
    """It asks before each change in the target."""
    leases = _Leases()
    heartbeat = _heartbeat(leases)
    leases.answers = lambda _: set()
    with heartbeat.holding(HELD):
        wait_until(lambda: leases.renewals >= 1, "nothing is renewed")
        with pytest.raises(LeaseLost):
            wait_until(lambda: heartbeat.require(HELD) is not None, "it goes on")


def test_a_worker_whose_ledger_is_away_stops_in_time() -> None:
    """Nobody can say whether the lease still is its own."""
    leases = _Leases()

    def away(_: list[Claim]) -> set[Claim]:
        raise KeywrightError("the ledger does not answer")

    leases.answers = away
    heartbeat = _heartbeat(leases)
    with heartbeat.holding(HELD), pytest.raises(LeaseLost):
        wait_until(lambda: heartbeat.require(HELD) is not None, "it goes on")


def test_a_worker_that_never_comes_back_loses_its_lease() -> None:
    """A step that hangs for good must not hold the rotation for good."""
    leases = _Leases()
    leases.answers = set
    rotations: Any = leases
    heartbeat = Heartbeat(rotations, timedelta(seconds=0.3), longest=0.5)
    with heartbeat.holding(HELD), pytest.raises(LeaseLost):
        wait_until(lambda: heartbeat.require(HELD) is not None, "it is held for good")


def test_a_fence_that_this_ledger_never_raised_is_told_and_nothing_goes_on_in_silence() -> None:
    """Somebody changed it, or a newer ledger works there: a person must look, and is told the way out."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        raised = dict.fromkeys(here.fake.fences, 10**18)
        here.fake.fences.update(raised)
        asked = here.ask().rotation.id
        story = here.run()
        assert story.rotation.stage is Stage.STUCK
        assert "never gave out" in story.rotation.reason
        here.fake.fences.clear()
        here.service.keeper.rotations.retry(SYSTEM, asked)
        assert here.run().rotation.stage is Stage.RETIRED
