"""What a rotation does, stage by stage, and how it ends when it cannot go on. The database is in memory."""

from datetime import timedelta

import pytest

from service.core.connection import Endpoint, Part, Standing
from service.core.database import Session
from service.core.errors import Conflict
from service.core.rotation import Stage, Step, Strategy
from service.keeper.tokens import SYSTEM
from service.ledger import rotations
from service.ledger.rotations import Claim, LeaseLost
from tests.rigs.rotating import DRAIN, Stand, stand


def stages(here: Stand) -> list[str]:
    """The stages that the youngest rotation went through."""
    return list(dict.fromkeys(line.stage for line in here.latest().lines))


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (Strategy.ALTERNATING, "planned staged applied verified published draining retired"),
        (Strategy.OVERLAPPING, "planned staged applied verified published draining retired"),
        (Strategy.SINGLE, "planned staged announced applied verified published draining retired"),
    ],
)
def test_the_stages(strategy: Strategy, expected: str) -> None:
    """In order, each with a sentence; the generation grows by one."""
    with stand(strategy) as here:
        before = here.fetch().generation
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
        assert " ".join(stages(here)) == expected
        assert all(line.sentence for line in here.latest().lines)
        assert here.fetch().generation == before + 1


def test_alternating_goes_to_and_fro() -> None:
    """The imported login becomes the shared role; the two logins take turns and act as it."""
    with stand(Strategy.ALTERNATING) as here:
        seen = [here.fetch().entries[0].account.username]
        for _ in range(4):
            here.ask()
            here.run()
            seen.append(here.fetch().entries[0].account.username)
        assert seen == ["shop", "shop_a", "shop_b", "shop_a", "shop_b"]
        assert here.fake.logins["shop_a"].acts_as == "shop"
        assert here.fake.valid("shop", "first-password")  # until an operator makes it NOLOGIN


def test_under_single_the_order_turns_when_the_target_was_changed() -> None:
    """Between the change and the publication the next one comes first."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.service.rotator._take.update({Step.VERIFY: lambda held, brief: False})
        here.run(seconds=30)
        assert [e.state for e in here.fetch().entries] == [Standing.NEXT, Standing.LIVE]
        first = here.fetch().entries[0]
        assert here.fake.valid("shop", first.account.password.reveal())


def test_single_announces_before_and_turns_after() -> None:
    """[live, next] for at least the drain minimum, then the new one first."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.work()
        announced = here.fetch()
        assert [e.state for e in announced.entries] == [Standing.LIVE, Standing.NEXT]
        assert announced.entries[0].good_until >= here.now + DRAIN
        here.now += DRAIN
        here.work()
        assert here.fake.valid("shop", "first-password")
        here.run()
        turned = here.fetch()
        assert turned.entries[0].account.password == announced.entries[1].account.password
        assert not here.fake.valid("shop", "first-password")


@pytest.mark.parametrize("strategy", [Strategy.ALTERNATING, Strategy.OVERLAPPING])
def test_the_drain_minimum_is_kept(strategy: Strategy) -> None:
    """Until the last promise is over the former credential works; then it is dead."""
    with stand(strategy) as here:
        here.ask()
        here.run()
        former = here.fetch().entries[0]
        here.ask()
        here.work()
        assert here.latest().rotation.stage is Stage.DRAINING
        here.now = former.good_until - timedelta(milliseconds=1)
        here.work()
        assert here.fake.valid(former.account.username, former.account.password.reveal())
        assert here.run().rotation.stage is Stage.RETIRED
        assert not here.fake.valid(former.account.username, former.account.password.reveal())


def test_an_emergency_announces_and_drains_nothing() -> None:
    """Asked for by name, and only then."""
    with stand(Strategy.SINGLE) as here:
        here.service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "leaked", emergency=True)
        here.work()
        assert here.latest().rotation.stage is Stage.RETIRED
        assert "announced" not in stages(here)
        assert not here.fake.valid("shop", "first-password")


def test_somebody_still_connected_is_waited_for_until_the_limit() -> None:
    """The drain minimum is over, the limit is not: the rotation says who is there, and waits."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        here.run()
        here.fake.connected.append(Session("shop_a", "10.0.0.7", "billing"))
        here.ask()
        story = here.run(seconds=40)
        assert story.rotation.stage is Stage.DRAINING
        assert "nobody is seen on the former credential of shop_a" in story.lines[-1].sentence
        assert story.draining is not None
        assert [(s.application, s.address) for s in story.draining.sessions or ()] == [("billing", "10.0.0.7")]
        assert here.run().rotation.stage is Stage.RETIRED


def test_a_second_one_joins_the_first() -> None:
    """One at a time: asking again gives the open one."""
    with stand(Strategy.ALTERNATING) as here:
        first = here.ask()
        again, new = here.service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "")
        assert not new
        assert again.rotation.id == first.rotation.id


def test_what_the_old_login_of_a_pair_is_reset_to_is_as_strict_as_what_was_taken() -> None:
    """A target that wants symbols gets them there too: otherwise the old password would never end."""
    with stand(Strategy.ALTERNATING) as here:
        here.fake.policy = lambda password: not password.isalnum()
        for _ in range(2):
            here.ask()
            assert here.run().rotation.stage is Stage.RETIRED


def test_a_refused_password_is_tried_once_more_and_stricter() -> None:
    """The default profile does not fit the target's policy; the strict one does."""
    with stand(Strategy.SINGLE) as here:
        here.fake.policy = lambda password: password == "first-password" or any(c in "!$()*+,-." for c in password)
        here.ask()
        story = here.run()
        assert story.rotation.stage is Stage.RETIRED, [line.sentence for line in story.lines]


def test_a_password_that_is_refused_again_ends_it() -> None:
    """With a sentence that says what to do; nothing was changed."""
    with stand(Strategy.SINGLE) as here:
        here.fake.policy = lambda password: password == "first-password"
        here.ask()
        story = here.run()
        assert story.rotation.stage is Stage.ABANDONED
        assert "rotation.password" in story.rotation.reason
        assert here.fake.valid("shop", "first-password")
        assert here.fetch().entries[0].account.password.reveal() == "first-password"


def test_a_password_changed_behind_our_back_is_not_overwritten() -> None:
    """The live credential is refused by the target: a person must say what is right."""
    with stand(Strategy.SINGLE) as here:
        here.fake.create("shop", "somebody-elses")
        here.ask()
        here.work()
        story = here.latest()
        assert story.rotation.stage is Stage.ABANDONED
        assert "changed outside of Keywright" in story.rotation.reason
        assert here.fake.valid("shop", "somebody-elses")


@pytest.mark.parametrize("strategy", Strategy)
def test_a_server_that_trusts_everybody_proves_nothing(strategy: Strategy) -> None:
    """Promise 7: where the old password is still accepted, it is not called dead."""
    with stand(strategy) as here:
        here.ask()
        here.run()
        here.fake.trusting = True
        here.ask()
        story = here.run()
        assert story.rotation.stage is Stage.STUCK
        assert "does it trust everybody" in story.rotation.reason


def test_a_login_that_acts_as_somebody_else_is_not_published() -> None:
    """Verification compares who the new login is: a lost membership would go unnoticed otherwise."""
    with stand(Strategy.ALTERNATING) as here:
        join = here.fake.join
        here.fake.join = lambda admin, role, name, *rest: join(admin, name, name, *rest)  # type: ignore[method-assign]
        here.ask()
        story = here.run()
        assert story.rotation.stage is Stage.ABANDONED
        assert "current_user" in story.rotation.reason
        assert here.fetch().entries[0].account.username == "shop"


REPLICA = Endpoint("replica.test", 5432, Part.REPLICA)


def test_every_required_endpoint_must_take_the_new_password() -> None:
    """A replica that is away: nothing is published until it is back."""
    with stand(Strategy.ALTERNATING, registered=False) as here:
        here.fake.endpoints = (*here.fake.endpoints, REPLICA)
        here.register()
        here.ask()
        here.fake.unreachable.add(REPLICA)
        story = here.run(seconds=60)
        assert story.rotation.stage is Stage.APPLIED
        assert "replica.test:5432 cannot be reached" in story.lines[-1].sentence
        here.fake.unreachable.clear()
        assert here.run(seconds=600).rotation.stage is Stage.RETIRED


def test_reverting_while_it_drains() -> None:
    """The pointer goes back, generation + 1, and nobody's promise is broken."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        here.run()
        before = here.fetch()
        here.ask()
        here.work()
        turned = here.fetch()
        assert turned.entries[0].account.username != before.entries[0].account.username
        story = here.service.keeper.rotations.revert(SYSTEM, here.latest().rotation.id)
        assert story.rotation.stage is Stage.REVERTED
        assert "the password that shop_b got stays valid until the next rotation" in story.lines[-1].sentence
        back = here.fetch()
        assert back.entries[0].account == before.entries[0].account
        assert back.generation == turned.generation + 1
        here.ask()
        for _ in range(60):
            here.work()
            here.check()
            here.now += timedelta(seconds=1)
        assert here.run().rotation.stage is Stage.RETIRED


@pytest.mark.parametrize("strategy", Strategy)
def test_abandoning_undoes(strategy: Strategy) -> None:
    """Asked for while the new password is in force but not published: the former one is in force again."""
    with stand(strategy) as here:
        here.ask()
        original = here.fetch().entries[0]
        here.service.rotator._take.update({Step.VERIFY: lambda held, brief: False})
        here.run(seconds=30)
        assert here.latest().rotation.stage is Stage.APPLIED
        here.service.keeper.rotations.abandon(SYSTEM, here.latest().rotation.id)
        story = here.run()
        assert story.rotation.stage is Stage.ABANDONED
        assert here.fake.valid(original.account.username, original.account.password.reveal())
        assert here.fetch().entries[0].account == original.account


def test_a_worker_that_wakes_up_late_changes_nothing_in_the_ledger() -> None:
    """Its fencing number is an old one by then."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        late, *_ = here.service.keeper.rotations.claim("late", timedelta(seconds=60), 1)
        here.now += timedelta(seconds=61)
        here.work()
        here.run()
        with pytest.raises(LeaseLost):
            here.service.keeper.steps.publish(SYSTEM, Claim(late.rotation_id, late.fence), "late")
        # And again where it is written, since it could be taken over between the look and the change.
        with pytest.raises(LeaseLost), here.service.ledger.change() as tx:
            rotations.change(tx, Claim(late.rotation_id, late.fence), reason="late")


def test_a_claimed_rotation_is_nobody_elses() -> None:
    """Within its lease."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        operations = here.service.keeper.rotations
        assert len(operations.claim("one", timedelta(seconds=60), 10)) == 1
        assert operations.claim("two", timedelta(seconds=60), 10) == []
        here.now += timedelta(seconds=61)
        assert len(operations.claim("two", timedelta(seconds=60), 10)) == 1


def test_an_ended_rotation_stays_ended() -> None:
    """Retry, abandon and revert refuse."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        ended = here.run().rotation.id
        operations = here.service.keeper.rotations
        for deed in (operations.retry, operations.abandon, operations.revert):
            with pytest.raises(Conflict):
                deed(SYSTEM, ended)


@pytest.mark.parametrize("strategy", Strategy)
def test_new_logins_where_there_was_none(strategy: Strategy) -> None:
    """Without a password to import, the first rotation makes the first credential; and it is not its own former one."""
    with stand(strategy, registered=False) as here:
        here.register()
        here.service.keeper.connections.delete(SYSTEM, "production", "shop/db", if_match=None)
        here.put(password=None)
        with pytest.raises(Conflict, match="no credential yet"):
            here.fetch()
        here.ask()
        for _ in range(3):
            here.work()
        assert here.latest().rotation.stage is Stage.RETIRED
        account = here.fetch().entries[0].account
        assert account.username == ("shop_a" if strategy is Strategy.ALTERNATING else "shop")
        assert here.fake.valid(account.username, account.password.reveal())
