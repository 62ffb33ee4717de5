"""What people change around a rotation must not break what was promised. The database is in memory."""

from datetime import timedelta

import pytest

from service.core.errors import Conflict
from service.core.rotation import Stage, Strategy
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from tests.rigs.rotating import Stand, stand

HOUR = timedelta(hours=1)
TOGETHER = [Strategy.ALTERNATING, Strategy.OVERLAPPING]


def turned(here: Stand) -> None:
    """One whole rotation."""
    here.ask()
    assert here.run(seconds=9000, step=30).rotation.stage is Stage.RETIRED


@pytest.mark.parametrize("strategy", Strategy)
def test_a_shorter_drain_minimum_shortens_no_promise(strategy: Strategy) -> None:
    """What was handed out under an hour is good for that hour."""
    with stand(strategy, drain_minimum="1h", drain_limit="1h") as here:
        turned(here)
        promised = here.fetch().entries[0].good_until
        here.put(password=None, login=False, drain_minimum="1s", drain_limit="1s")
        here.ask()
        assert here.run(seconds=9000, step=30).rotation.stage is Stage.RETIRED
        assert here.now >= promised


@pytest.mark.parametrize("strategy", Strategy)
def test_putting_the_same_document_again_changes_nothing(strategy: Strategy) -> None:
    """As tools do that describe infrastructure: the login that was imported is verified, and the live one stays."""
    with stand(strategy) as here:
        turned(here)
        before = here.fetch()
        password = {Strategy.ALTERNATING: "first-password"}.get(strategy, before.entries[0].account.password.reveal())
        here.put(password=password)
        after = here.fetch()
        assert after.entries[0].account == before.entries[0].account
        assert after.generation == before.generation
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED


def test_a_password_that_was_changed_outside_can_be_imported() -> None:
    """The live one is dead: what works is put, and is live."""
    with stand(Strategy.SINGLE) as here:
        here.fake.create("shop", "changed-outside")
        here.put(password="changed-outside")
        assert here.fetch().entries[0].account.password.reveal() == "changed-outside"


def test_another_login_lets_the_former_drain() -> None:
    """The promise of the former one is kept, though it is offered only beside the new one."""
    with stand(Strategy.OVERLAPPING) as here:
        held = here.fetch().entries[0]
        here.fake.create("shop2", "second-password")
        data = here._target() | {"administered_by": "admin", "login": {"username": "shop2"}}
        data["rotation"] = {"strategy": "overlapping", "drain_minimum": "10s", "drain_limit": "60s"}
        wanted = registration(data, Secret("second-password"))
        here.service.keeper.connections.put(SYSTEM, "production", "shop/db", wanted, if_match=None)
        assert [e.account.username for e in here.fetch().entries] == ["shop2", "shop"]
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert here.now > held.good_until


@pytest.mark.parametrize(
    "change",
    [
        {"logins": ["other_a", "other_b"]},
        {"role": "other"},
        {"strategy": "single"},
    ],
)
def test_what_a_rotation_stands_on_stays_while_it_is_open(change: dict[str, object]) -> None:
    """It is refused, and the rotation ends well."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        here.work()
        with pytest.raises(Conflict, match="in a rotation"):
            here.put(password=None, login=False, **change)
        here.put(password=None, login=False, jitter="5s", every="1h")  # the schedule is free
        here.put(password=None, login=False, drain_minimum="1s", drain_limit="1s")  # what was promised is remembered
        assert here.run().rotation.stage is Stage.RETIRED


def test_a_connection_that_moved_during_the_look_is_not_put() -> None:
    """The look is slow, a rotation is quick: what was verified is not what is live."""
    with stand(Strategy.SINGLE) as here:
        probe, asked = here.fake.probe, []

        def slow(access, endpoint):  # type: ignore[no-untyped-def]
            asked.append(1)
            if len(asked) == 2:
                here.service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "", emergency=True)
                here.work()
            return probe(access, endpoint)

        here.fake.probe = slow  # type: ignore[method-assign]
        with pytest.raises(Conflict, match="put it again"):
            here.put()
        assert here.latest().rotation.stage is Stage.RETIRED
        entry = here.fetch().entries[0]
        assert here.fake.valid("shop", entry.account.password.reveal())


@pytest.mark.parametrize("strategy", TOGETHER)
def test_no_way_back_once_the_former_password_is_being_taken_away(strategy: Strategy) -> None:
    """Revert is for as long as it works."""
    with stand(strategy) as here:
        turned(here)
        here.ask()
        here.work()
        here.now += timedelta(seconds=20)
        steps = here.service.keeper.steps
        retire, steps.retire = steps.retire, lambda *_: (_ for _ in ()).throw(Conflict("not yet"))  # type: ignore[method-assign]
        here.work()
        steps.retire = retire  # type: ignore[method-assign]
        assert here.latest().rotation.stage is Stage.DRAINING
        with pytest.raises(Conflict, match="being retired"):
            here.service.keeper.rotations.revert(SYSTEM, here.latest().rotation.id)
        here.now += timedelta(seconds=61)
        assert here.run().rotation.stage is Stage.RETIRED


def test_abandoning_waits_for_the_worker_that_is_changing_the_target() -> None:
    """Its statement may still be on the way: what is undone is undone after it."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.work()
        here.now += timedelta(seconds=14)
        change = here.fake.set_password

        def in_the_middle(administration, username, password, fence):  # type: ignore[no-untyped-def]
            here.fake.set_password = change  # type: ignore[method-assign]
            here.service.keeper.rotations.abandon(SYSTEM, here.latest().rotation.id)
            here.work()  # another worker, at once
            return change(administration, username, password, fence)

        here.fake.set_password = in_the_middle  # type: ignore[method-assign]
        here.work()
        story = here.run(seconds=300)
        assert story.rotation.stage is Stage.ABANDONED
        entry = here.fetch().entries[0]
        assert here.fake.valid("shop", entry.account.password.reveal())


def test_an_emergency_takes_over_an_open_rotation() -> None:
    """Whoever says emergency does not wait for a drain that began before."""
    with stand(Strategy.ALTERNATING) as here:
        turned(here)
        leaked = here.fetch().entries[0].account
        here.ask()
        here.work()
        assert here.latest().rotation.stage is Stage.DRAINING
        story, new = here.service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "leaked", emergency=True)
        assert not new
        assert story.rotation.emergency
        here.work()
        assert here.latest().rotation.stage is Stage.RETIRED
        assert not here.fake.valid(leaked.username, leaked.password.reveal())


def test_one_login_belongs_to_one_connection() -> None:
    """Two that turn it would each kill what the other promised."""
    with stand(Strategy.ALTERNATING) as here:
        data = here._target() | {"login": {"username": "shop"}, "database": "shop"}
        wanted = registration(data, Secret("first-password"))
        with pytest.raises(Conflict, match="belongs to another connection"):
            here.service.keeper.connections.put(SYSTEM, "production", "reports/db", wanted, if_match=None)


def test_an_environment_with_a_rotation_under_way_is_not_deleted() -> None:
    """Its passwords are the only copies."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        with pytest.raises(Conflict, match="under way"):
            here.service.keeper.environments.delete(SYSTEM, "production", if_match=None)


@pytest.mark.parametrize("strategy", Strategy)
def test_a_clock_that_goes_back_cuts_no_promise_short(strategy: Strategy) -> None:
    """What was promised while it was ahead is kept to its end, as whoever holds it reads it on the right clock."""
    with stand(strategy) as here:
        turned(here)
        here.now += timedelta(hours=1)
        here.fetch()
        here.now -= timedelta(hours=1)
        story = here.ask().rotation
        for _ in range(60):
            here.work()
            here.fetch()
            here.check()
            here.now += timedelta(seconds=1)
        rotations = here.service.keeper.rotations
        assert rotations.get(SYSTEM, story.id).rotation.ended_at is None
        here.now += timedelta(hours=1)
        while not rotations.get(SYSTEM, story.id).rotation.ended_at:
            here.work()
            here.fetch()
            here.check()
            here.now += timedelta(seconds=1)
        assert rotations.get(SYSTEM, story.id).rotation.stage is Stage.RETIRED
