"""Who is still on the former credential, how long they are waited for, and what is done then.

The database is in memory; `test_drain_engines.py` has the real ones.
"""

from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.core.connection import Endpoint, Part, Unreachable
from service.core.database import Session
from service.core.drain import Seen
from service.core.errors import ChangeNotPermitted, ChangeUnreachable, Conflict
from service.core.rotation import Stage, Step, Strategy
from service.keeper.events import Question
from service.keeper.rotations import Story
from service.keeper.tokens import SYSTEM
from tests.rigs.rotating import BEGINNING, Stand, stand

LIMIT = timedelta(seconds=60)
OLDER, YOUNGER = BEGINNING - timedelta(hours=1), BEGINNING + timedelta(hours=9)


def draining(here: Stand) -> Stand:
    """A second rotation (after it the former login is one of the pair), as far as it gets at once."""
    if here.strategy is Strategy.ALTERNATING:
        here.ask()
        assert here.run().rotation.stage is Stage.RETIRED
    here.ask()
    here.run(seconds=1)
    return here


def connect(here: Stand, username: str, application: str, **more: Any) -> None:
    here.fake.connected.append(Session(username, "10.0.0.7", application, **more))


def former(here: Stand) -> str:
    """The login whose credential drains."""
    return here.fetch().entries[-1].account.username


def drain_of(story: Story) -> Any:
    assert story.draining is not None
    return story.draining


def actions(here: Stand, action: str) -> list[dict[str, Any]]:
    return here.service.keeper.events.ask(SYSTEM, Question(action=action))


def later(here: Stand, seconds: float) -> Story:
    """So much later, one more tick of the clock."""
    here.now += timedelta(seconds=seconds)
    here.work()
    here.check()
    return here.latest()


def trouble(here: Stand) -> list[str]:
    """What the connection's health says of its rotations."""
    findings = here.service.keeper.connections.get(SYSTEM, "production", "shop/db").health[1]
    return [finding for finding in findings if not finding.startswith("TLS is off")]


def test_sessions_and_callers_are_shown_from_the_beginning() -> None:
    """Also while the promise runs, when nothing follows from it yet."""
    with stand(Strategy.ALTERNATING) as here:
        here.ask()
        here.run()
        here.service.keeper.credentials.one(here.machine("billing"), "production", "shop/db")
        connect(here, "shop_a", "billing", since=OLDER)
        connect(here, "shop_b", "not on it")
        here.ask()
        here.work()
        told = drain_of(here.latest())
        assert [(s.username, s.application, s.since) for s in told.sessions] == [("shop_a", "billing", OLDER)]
        assert [(c.name, c.address) for c in told.callers] == [("billing", "address-of-billing")]
        assert told.since + LIMIT == told.limit_at
        assert told.seen_at
        assert (told.unknown, told.lag, told.more) == ((), 0, False)


def test_who_may_only_use_the_connection_learns_nobodys_name() -> None:
    """That it drains, and until when; not who else is there. And nothing that it could not do."""
    with stand(Strategy.ALTERNATING) as here:
        draining(here)
        user, editor = here.machine("user"), here.machine("editor", "edit")
        get = here.service.keeper.rotations.get
        told = get(user, here.latest().rotation.id)
        assert (drain_of(told).sessions, drain_of(told).callers, told.choices) == (None, None, ())
        told = get(editor, here.latest().rotation.id)
        assert (drain_of(told).sessions, drain_of(told).callers) == ((), ())
        assert [c.hand for c in told.choices] == ["revert"]


def test_the_drain_ends_as_soon_as_nobody_is_there() -> None:
    """Looks are half a minute apart at least, and in between nobody holds the rotation."""
    with stand(Strategy.ALTERNATING, drain_limit="1h") as here:
        draining(here)
        connect(here, former(here), "billing")
        looks: list[int] = []
        here.fake.before = lambda operation: looks.append(1) if operation == "sessions" else None
        for _ in range(100):
            here.now += timedelta(seconds=1)
            here.work()
        assert here.latest().rotation.stage is Stage.DRAINING
        assert here.latest().rotation.lease_until is None
        assert 3 <= len(looks) <= 100 / 30 + 1
        events = here.service.keeper.events.ask(SYSTEM, Question(action="rotation.watch"))
        assert len(events) == 1  # and not one for every look
        here.fake.connected.clear()
        assert later(here, 30).rotation.stage is Stage.RETIRED


def test_under_overlapping_callers_are_waited_for_and_sessions_prove_nothing() -> None:
    """Sessions of both passwords look alike; whoever fetched again is off the former one."""
    with stand(Strategy.OVERLAPPING, drain_limit="1h") as here:
        behind = here.machine("behind")
        here.service.keeper.credentials.one(behind, "production", "shop/db")
        draining(here)
        connect(here, "shop", "either")
        later(here, 20)
        story = later(here, 100)
        assert story.rotation.stage is Stage.DRAINING
        assert drain_of(story).sessions == ()
        here.service.keeper.credentials.one(behind, "production", "shop/db")
        assert later(here, 30).rotation.stage is Stage.RETIRED


def test_a_log_that_is_behind_is_not_taken_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under `overlapping` the callers decide, and who they are is not known before the index is there."""
    with stand(Strategy.OVERLAPPING, drain_limit="1h") as here:
        monkeypatch.setattr("service.keeper.holders._PAGES", 0)
        draining(here)
        assert later(here, 100).rotation.stage is Stage.DRAINING
        monkeypatch.undo()
        assert later(here, 30).rotation.stage is Stage.RETIRED


@pytest.mark.parametrize("strategy", [Strategy.ALTERNATING, Strategy.OVERLAPPING])
def test_after_the_limit_the_password_goes_and_sessions_go_on(strategy: Strategy) -> None:
    """`retire`, the default."""
    with stand(strategy) as here:
        here.service.keeper.credentials.one(here.machine("behind"), "production", "shop/db")
        draining(here)
        connect(here, former(here), "billing")
        assert later(here, 40).rotation.stage is Stage.DRAINING
        assert later(here, 30).rotation.stage is Stage.RETIRED
        assert len(here.fake.connected) == 1


def test_after_the_limit_sessions_are_ended() -> None:
    """`end`: then the password goes; and who slipped in between goes as well."""
    with stand(Strategy.ALTERNATING, after_limit="end") as here:
        draining(here)
        connect(here, former(here), "billing")
        connect(here, "shop_x", "somebody else's")
        late = Session(former(here), "10.0.0.8", "pool")
        assert later(here, 40).rotation.stage is Stage.DRAINING

        def slip_in(operation: str) -> None:
            if operation == "set_password" and late not in here.fake.connected:
                here.fake.connected.append(late)

        here.fake.before = slip_in
        story = later(here, 30)
        assert story.rotation.stage is Stage.RETIRED
        assert [s.application for s in here.fake.connected] == ["somebody else's"]
        assert [e["detail"]["ended"] for e in actions(here, "rotation.end_sessions")] == [1, 1]
        assert "1 sessions that were open still were ended" in story.lines[-1].sentence


def test_sessions_that_may_not_be_ended_make_an_alert() -> None:
    """It says so, waits on, and asks again now and then; nothing is taken away meanwhile."""
    with stand(Strategy.ALTERNATING, after_limit="end") as here:
        draining(here)
        connect(here, former(here), "billing")
        end, tries = here.fake.end_sessions, []

        def refuse(*_: Any) -> int:
            tries.append(1)
            raise ChangeNotPermitted("keywright may not end sessions; run: GRANT pg_signal_backend TO keywright")

        here.fake.end_sessions = refuse  # type: ignore[method-assign]
        for _ in range(3):
            story = later(here, 60)
        assert story.rotation.stage is Stage.DRAINING
        assert len(tries) == 1
        assert "pg_signal_backend" in story.lines[-1].sentence
        assert any("pg_signal_backend" in finding for finding in trouble(here))
        here.fake.end_sessions = end  # type: ignore[method-assign]
        assert later(here, 4000).rotation.stage is Stage.RETIRED
        assert trouble(here) == []


def test_after_the_limit_somebody_is_told_now_and_then() -> None:
    """`alert`: an event, the health, the log at error; once, and again after an hour."""
    with stand(Strategy.ALTERNATING, after_limit="alert") as here:
        draining(here)
        connect(here, former(here), "billing")
        later(here, 50)
        assert actions(here, "rotation.overstayed") == []
        with capture_logs() as logs:
            for _ in range(3):
                story = later(here, 60)
        assert story.rotation.stage is Stage.DRAINING
        assert len(actions(here, "rotation.overstayed")) == 1
        assert [line["log_level"] for line in logs if line["event"] == "overstayed"] == ["error"]
        assert any("still in use: 1 sessions" in finding for finding in trouble(here))
        later(here, 3600)
        assert len(actions(here, "rotation.overstayed")) == 2
        here.fake.connected.clear()
        assert later(here, 30).rotation.stage is Stage.RETIRED
        assert trouble(here) == []


def test_after_the_limit_it_waits_on_quietly() -> None:
    with stand(Strategy.ALTERNATING, after_limit="wait") as here:
        draining(here)
        connect(here, former(here), "billing")
        story = later(here, 600)
        assert story.rotation.stage is Stage.DRAINING
        assert actions(here, "rotation.overstayed") == []
        assert trouble(here) == []
        here.fake.connected.clear()
        assert later(here, 30).rotation.stage is Stage.RETIRED


@pytest.mark.parametrize(("after", "waits"), [("retire", False), ("end", True), ("alert", True), ("wait", True)])
def test_under_single_only_older_sessions_count(after: str, waits: bool) -> None:
    """The password is dead already: they are waited for only where the policy says more than `retire`."""
    with stand(Strategy.SINGLE, after_limit=after) as here:
        connect(here, "shop", "older", since=OLDER)
        connect(here, "shop", "younger", since=YOUNGER)
        here.ask()
        here.work()
        later(here, 14)
        story = later(here, 30)
        assert (story.rotation.stage is Stage.DRAINING) == waits
        if waits:
            assert [s.application for s in drain_of(story).sessions] == ["older"]
        story = later(here, 60)
        assert (story.rotation.stage is Stage.RETIRED) == (after in ("retire", "end"))
        left = [s.application for s in here.fake.connected]
        assert left == (["younger"] if after == "end" else ["older", "younger"])


def test_sessions_of_which_nobody_knows_since_when_are_no_guess() -> None:
    """They are neither waited for nor ended; that they are unknown is said."""
    with stand(Strategy.SINGLE, after_limit="wait") as here:
        connect(here, "shop", "unknown")
        connect(here, "shop", "older", since=OLDER)
        here.ask()
        here.work()
        told = drain_of(later(here, 14))
        assert [s.application for s in told.sessions] == ["older"]
        assert told.unknown == ("1 sessions of shop: the server does not tell since when",)
        del here.fake.connected[1]
        assert later(here, 30).rotation.stage is Stage.RETIRED
        assert len(here.fake.connected) == 1


@pytest.mark.parametrize("strategy", Strategy)
def test_an_emergency_waits_for_nobody_and_may_end_sessions(strategy: Strategy) -> None:
    """At once, also those of which nobody knows on which password they are."""
    with stand(strategy, after_limit="end") as here:
        here.ask()
        here.run()
        connect(here, here.fetch().entries[0].account.username, "thief")
        here.held.clear()  # an emergency breaks promises
        here.now += timedelta(milliseconds=1)
        here.service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "leaked", emergency=True)
        here.work()
        assert here.latest().rotation.stage is Stage.RETIRED
        assert here.fake.connected == []


def test_an_emergency_is_not_held_up_by_sessions_that_may_not_be_ended() -> None:
    """The password is taken away all the same, and the receipt says what could not be done."""
    with stand(Strategy.ALTERNATING, after_limit="end") as here:
        here.ask()
        here.run()
        connect(here, "shop_a", "thief")

        def refuse(*_: Any) -> int:
            raise ChangeNotPermitted("keywright may not end sessions")

        here.fake.end_sessions = refuse  # type: ignore[method-assign]
        here.service.keeper.rotations.ask(SYSTEM, "production", "shop/db", "leaked", emergency=True)
        here.work()
        story = here.latest()
        assert story.rotation.stage is Stage.RETIRED
        assert "could not be ended: keywright may not end sessions" in story.lines[-1].sentence


def test_a_target_that_does_not_answer_is_not_taken_for_empty() -> None:
    """Until the limit: nobody knows who is there."""
    with stand(Strategy.ALTERNATING) as here:
        draining(here)
        here.fake.sessions = lambda *_: Unreachable("it does not answer")  # type: ignore[method-assign]
        story = later(here, 40)
        assert story.rotation.stage is Stage.DRAINING
        assert drain_of(story).unknown == ("who is connected: it does not answer",)
        assert later(here, 30).rotation.stage is Stage.RETIRED


def test_what_was_seen_is_kept_and_read_again() -> None:
    sessions = (Session("shop_a", "10.0.0.7", "billing", since=OLDER), Session("shop_a", "", ""))
    seen = Seen(BEGINNING, sessions, ("who knows",), OLDER)
    assert Seen.of(seen.stored()) == seen
    assert Seen.of({}) == Seen()


REPLICA = Endpoint("replica.test", 5432, Part.REPLICA)


@pytest.fixture
def replicated() -> Any:
    with stand(Strategy.ALTERNATING, registered=False) as here:
        here.fake.endpoints = (*here.fake.endpoints, REPLICA)
        here.register()
        yield draining(here)


def test_reverting_looks_first(replicated: Stand) -> None:
    """Where the former credential does not log in any more, the pointer stays; the sentence names the endpoint."""
    here, keeper = replicated, replicated.service.keeper
    held, rotation_id = here.fetch(), here.latest().rotation.id
    here.fake.unreachable.add(REPLICA)
    with pytest.raises(ChangeUnreachable, match=r"replica\.test:5432 cannot be reached"):
        keeper.rotations.revert(SYSTEM, rotation_id)
    here.fake.unreachable.clear()
    here.fake.create(former(here), "changed-outside")
    with pytest.raises(Conflict, match=r"db\.test:5432 does not accept the former credential of shop_a"):
        keeper.rotations.revert(SYSTEM, rotation_id)
    assert here.latest().rotation.stage is Stage.DRAINING
    assert here.fetch().entries == held.entries
    assert [e["outcome"] for e in actions(here, "rotation.revert")] == ["refused", "failed"]


def test_what_changes_while_it_looks_is_seen(replicated: Stand) -> None:
    """The worker was quicker, or somebody put the connection again."""
    here, keeper = replicated, replicated.service.keeper
    rotation_id = here.latest().rotation.id

    def meanwhile(_: str) -> None:
        here.fake.before = lambda operation: None
        here.put(password=None, login=False, drain_limit="70s")

    here.fake.before = meanwhile
    with pytest.raises(Conflict, match="was changed while it was looked at"):
        keeper.rotations.revert(SYSTEM, rotation_id)
    here.now += timedelta(seconds=20)

    def overtake(_: str) -> None:
        here.fake.before = lambda operation: None
        held, *_rest = keeper.rotations.claim("worker", timedelta(seconds=30), 1)
        keeper.steps.begin_to_retire(SYSTEM, held)

    here.fake.before = overtake
    with pytest.raises(Conflict, match="being retired already"):
        keeper.rotations.revert(SYSTEM, rotation_id)


STAGES = [Stage.STAGED, Stage.APPLIED, Stage.VERIFIED]


@pytest.mark.parametrize("hand", ["retry", "abandon"])
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("strategy", Strategy)
def test_a_stuck_one_looks_before_it_acts(strategy: Strategy, stage: Stage, hand: str) -> None:
    """Stuck anywhere, the first thing that a retry or an abandon does in the target is to log in."""
    with stand(strategy) as here:
        here.ask()
        stop = {
            Stage.STAGED: (Step.APPLY, Step.ANNOUNCE),
            Stage.APPLIED: (Step.VERIFY,),
            Stage.VERIFIED: (Step.PUBLISH,),
        }
        take, steps = here.service.rotator._take, here.service.keeper.steps
        if stage is Stage.VERIFIED:
            verified = steps.verified
            steps.verified = lambda caller, held, said, *_: verified(caller, held, said)  # type: ignore[method-assign]
        kept = {step: take[step] for step in stop[stage]}
        take.update({step: lambda held, brief: steps.stick(SYSTEM, held, "a test") for step in kept})
        story = here.run(seconds=30)
        assert (story.rotation.stage, story.rotation.stuck_in) == (Stage.STUCK, stage)
        assert [c.hand for c in story.choices] == ["retry", "abandon"]
        take.update(kept)
        original, done = here.fetch().entries, []
        getattr(here.service.keeper.rotations, hand)(SYSTEM, story.rotation.id)
        here.fake.before = done.append
        story = here.run()
        assert story.rotation.stage is (Stage.RETIRED if hand == "retry" else Stage.ABANDONED)
        changes = [operation for operation in done if operation in ("join", "set_password", "add_password")]
        if changes:
            assert "probe" in done[: done.index(changes[0])]
        if hand == "abandon":
            live = next(e for e in original if e.state == "live")
            assert here.fake.valid(live.account.username, live.account.password.reveal())


def test_an_abandoned_one_puts_back_what_may_have_been_sent() -> None:
    """Something failed on the way before: after a retry too, a look that sees nothing is not believed alone."""
    with stand(Strategy.SINGLE) as here:
        here.ask()
        here.run(seconds=12)
        here.fake.hanging = True
        here.now += timedelta(seconds=20)
        here.work()
        here.fake.hanging = False
        rotation = here.latest().rotation
        assert rotation.attempts == 1
        here.service.keeper.rotations.retry(SYSTEM, rotation.id)
        here.service.keeper.rotations.abandon(SYSTEM, rotation.id)
        here.fake.log.clear()
        assert here.run().rotation.stage is Stage.ABANDONED
        assert len(here.fake.log) == 1


@pytest.mark.parametrize("strategy", Strategy)
def test_the_new_password_is_accepted_and_then_the_old_one_rejected_on_every_required_endpoint(
    strategy: Strategy,
) -> None:
    """Promise 7, in this order; and the receipt is an event that names the endpoints."""
    optional = Endpoint("optional.test", 5432, Part.REPLICA, required=False)
    with stand(strategy, registered=False) as here:
        here.fake.endpoints = (*here.fake.endpoints, REPLICA, optional)
        here.register()
        here.ask()
        here.run()
        old = here.fetch().entries[0].account.password
        asked: list[tuple[str, bool]] = []
        probe = here.fake.probe

        def watched(access: Any, endpoint: Endpoint) -> Any:
            asked.append((endpoint.host, access.account.password == old))
            return probe(access, endpoint)

        here.ask()
        here.work()
        here.fake.probe = watched  # type: ignore[method-assign]
        assert here.run().rotation.stage is Stage.RETIRED
        last = {host: [it for at, it in asked if at == host][-2:] for host in ("db.test", "replica.test")}
        assert last == {"db.test": [False, True], "replica.test": [False, True]}
        receipt = actions(here, "rotation.retired")[0]["detail"]
        assert (receipt["proven"], receipt["endpoints"]) == (True, "db.test:5432, replica.test:5432")


def test_a_blocked_account_proves_nothing() -> None:
    """It refuses both passwords: the old one's refusal is no proof, and the reason says why."""
    with stand(Strategy.ALTERNATING) as here:
        draining(here)
        name = former(here)
        here.fake.logins[name] = here.fake.logins[name].__class__(here.fake.logins[name].verifiers, blocked=True)
        story = here.run()
        assert story.rotation.stage is Stage.STUCK
        assert "so nothing is proven: the login is blocked" in story.rotation.reason
        assert [c.hand for c in story.choices] == ["retry"]


def test_a_look_that_fails_after_the_password_went_is_repeated() -> None:
    """Parked, and then the replica is away: nothing is thrown away, and the proof comes when it is back."""
    with stand(Strategy.ALTERNATING, registered=False) as here:
        here.fake.endpoints = (*here.fake.endpoints, REPLICA)
        here.register()
        draining(here)
        here.fake.unreachable.add(REPLICA)
        later(here, 20)
        story = later(here, 60)
        assert story.rotation.stage is Stage.DRAINING
        assert story.rotation.retiring
        assert "replica.test:5432 cannot be reached to prove" in story.lines[-1].sentence
        here.fake.unreachable.clear()
        changes = len(here.fake.log)
        assert later(here, 300).rotation.stage is Stage.RETIRED
        assert len(here.fake.log) == changes  # it was parked already, as a look showed


def test_what_is_proven_for_one_row_is_changed_for_all() -> None:
    """MariaDB changes host rows one by one, and a look tells of one: a worker that died between is made good."""
    with stand(Strategy.OVERLAPPING) as here:
        here.ask()
        here.work()
        entry = here.fetch().entries[0]
        here.now += timedelta(seconds=20)
        here.fake.create("shop", entry.account.password.reveal())  # as if our row had been changed already
        here.fake.log.clear()
        assert here.run().rotation.stage is Stage.RETIRED
        assert [line.split()[0] for line in here.fake.log] == ["set_password"]
