"""Rotations: what comes next, which moves there are, and what is offered meanwhile."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.connection import Standing
from service.core.errors import Conflict
from service.core.rotation import (
    ENDED,
    UNPUBLISHED,
    Credential,
    CredentialState,
    Rotation,
    Stage,
    Step,
    Strategy,
    backoff,
    next_step,
    offer,
    require_move,
    resting_login,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DRAIN = timedelta(hours=1)
MOMENTS = st.integers(-7200, 7200).map(lambda seconds: NOW + timedelta(seconds=seconds))


def credential(name: str, state: CredentialState, good_until: datetime | None = None) -> Credential:
    return Credential(name, "connection", f"login-{name}", f"user-{name}", state, b"sealed", NOW, good_until, NOW)


PLANNED = Rotation(
    id="rotation", environment_id="e", environment="production", connection_id="connection", connection="shop/db",
    strategy=Strategy.SINGLE, stage=Stage.PLANNED, requested_by="anna", note="", reason="", candidate_id=None,
    former_id=None, parking_id=None, not_before=None, wake_at=NOW, attempts=0, fence=1, generation=None,
    emergency=False, undo=False, retiring=False, lease_until=None, in_doubt=False, stuck_in=None,
    created_at=NOW, updated_at=NOW, ended_at=None,
)  # fmt: skip

ROTATIONS = st.builds(
    lambda strategy, stage, stuck_in, not_before, emergency, undo, former: replace(
        PLANNED,
        strategy=strategy,
        stage=stage,
        stuck_in=stuck_in if stage is Stage.STUCK else None,
        not_before=not_before,
        emergency=emergency,
        undo=undo,
        candidate_id=None if stage is Stage.PLANNED else "candidate",
        former_id="live" if former else None,
    ),
    st.sampled_from(Strategy),
    st.sampled_from(Stage),
    st.sampled_from(sorted(UNPUBLISHED | {Stage.PUBLISHED, Stage.DRAINING})),
    st.none() | MOMENTS,
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
DRAINING = st.none() | st.builds(
    lambda until: credential("draining", CredentialState.DRAINING, until), st.none() | MOMENTS
)


@settings(deadline=None, max_examples=500)
@given(ROTATIONS, DRAINING, st.booleans())
def test_something_is_always_offered_and_good_for_long_enough(
    rotation: Rotation, draining: Credential | None, idle: bool
) -> None:
    """Promise 6: once something is live, whatever the stage."""
    held = [credential("live", CredentialState.LIVE)]
    if rotation.candidate_id:
        held.append(credential("candidate", CredentialState.CANDIDATE))
    held += [draining] if draining else []
    offered = offer(held, None if idle else rotation, DRAIN, NOW)
    stage = rotation.stuck_in or rotation.stage
    turning = (
        not idle
        and rotation.strategy is Strategy.SINGLE
        and stage in (Stage.ANNOUNCED, Stage.APPLIED, Stage.VERIFIED)
        and rotation.candidate_id is not None
    )
    standings = [(entry.standing, entry.credential.id) for entry in offered if entry.standing is not Standing.DRAINING]
    live, upcoming = (Standing.LIVE, "live"), (Standing.NEXT, "candidate")
    if not turning:
        assert standings == [live]
        assert offered[0].good_until >= NOW + DRAIN
    elif stage is Stage.ANNOUNCED:
        assert standings == [live, upcoming]  # what works now is first
    else:
        assert standings == [upcoming, live]  # the target took it: the order turns
    for entry in offered:
        if entry.standing is Standing.NEXT:
            assert entry.good_until >= NOW + DRAIN
        if turning and entry.standing is Standing.LIVE:
            assert entry.good_until == max(rotation.not_before or NOW + DRAIN, NOW)
        if entry.standing is Standing.DRAINING:
            assert entry.good_until > NOW  # what is over is not offered
            assert draining is not None
            assert entry.good_until == (draining.good_until or NOW + DRAIN)
    assert (draining is not None and (draining.good_until or NOW + DRAIN) > NOW) == (
        Standing.DRAINING in [entry.standing for entry in offered]
    )


@pytest.mark.parametrize(
    "state", [s for s in CredentialState if s not in (CredentialState.LIVE, CredentialState.DRAINING)]
)
def test_nothing_else_is_offered(state: CredentialState) -> None:
    live = credential("live", CredentialState.LIVE)
    assert [o.credential.id for o in offer([credential("other", state), live], None, DRAIN, NOW)] == ["live"]
    assert offer([credential("other", state)], None, DRAIN, NOW) == ()


def test_without_a_live_one_a_candidate_is_not_offered() -> None:
    """The first rotation of a connection that never had a credential."""
    announced = replace(PLANNED, stage=Stage.APPLIED, candidate_id="candidate")
    assert offer([credential("candidate", CredentialState.CANDIDATE)], announced, DRAIN, NOW) == ()


@settings(deadline=None, max_examples=500)
@given(ROTATIONS)
def test_every_stage_has_its_step_and_every_step_a_stage_it_may_go_to(rotation: Rotation) -> None:
    step = next_step(rotation, NOW)
    if rotation.stage in ENDED | {Stage.STUCK}:
        assert step is Step.NOTHING
        return
    assert step is not Step.NOTHING
    leads_to = {
        Step.STAGE: Stage.STAGED,
        Step.ANNOUNCE: Stage.ANNOUNCED,
        Step.APPLY: Stage.APPLIED,
        Step.VERIFY: Stage.VERIFIED,
        Step.PUBLISH: Stage.PUBLISHED,
        Step.DRAIN: Stage.DRAINING,
        Step.RETIRE: Stage.RETIRED,
        Step.UNDO: Stage.ABANDONED,
    }
    if step in leads_to:
        require_move(rotation.stage, leads_to[step])
    if step in (Step.WAIT, Step.WATCH):
        assert rotation.stage is (Stage.ANNOUNCED if step is Step.WAIT else Stage.DRAINING)
        assert rotation.not_before is not None
        assert rotation.not_before > NOW
        assert not rotation.emergency
        assert next_step(rotation, rotation.not_before) not in (Step.WAIT, Step.WATCH)
    if rotation.stage is Stage.DRAINING and rotation.not_before and rotation.not_before > NOW:
        assert (step is Step.WATCH) != rotation.emergency  # nothing is retired while it is promised
    if rotation.undo:
        assert (step is Step.UNDO) == (rotation.stage in UNPUBLISHED)
    if step is Step.ANNOUNCE:
        assert rotation.strategy is Strategy.SINGLE
    if rotation.strategy is Strategy.SINGLE and rotation.stage is Stage.STAGED and step is Step.APPLY:
        assert rotation.emergency or rotation.former_id is None  # announced before it is changed


def test_an_announcement_is_counted_before_it_ends() -> None:
    announced = replace(PLANNED, stage=Stage.ANNOUNCED, candidate_id="c", former_id="f")
    assert next_step(announced, NOW) is Step.COUNT
    counted = replace(announced, not_before=NOW + DRAIN)
    assert next_step(counted, NOW) is Step.WAIT
    assert next_step(counted, NOW + DRAIN) is Step.APPLY


MOVES = {
    Stage.PLANNED: {Stage.STAGED, Stage.ABANDONED, Stage.STUCK},
    Stage.STAGED: {Stage.ANNOUNCED, Stage.APPLIED, Stage.ABANDONED, Stage.STUCK},
    Stage.ANNOUNCED: {Stage.APPLIED, Stage.ABANDONED, Stage.STUCK},
    Stage.APPLIED: {Stage.VERIFIED, Stage.ABANDONED, Stage.STUCK},
    Stage.VERIFIED: {Stage.PUBLISHED, Stage.ABANDONED, Stage.STUCK},
    Stage.PUBLISHED: {Stage.DRAINING, Stage.STUCK},
    Stage.DRAINING: {Stage.RETIRED, Stage.REVERTED, Stage.STUCK},
    Stage.STUCK: UNPUBLISHED | {Stage.PUBLISHED, Stage.DRAINING, Stage.ABANDONED, Stage.STUCK},
    Stage.RETIRED: set(),
    Stage.REVERTED: set(),
    Stage.ABANDONED: set(),
}


@pytest.mark.parametrize("former", Stage)
def test_the_moves_are_these_and_no_others(former: Stage) -> None:
    for new in Stage:
        if new in MOVES[former]:
            require_move(former, new)
            continue
        with pytest.raises(Conflict):
            require_move(former, new)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_backoff_is_never_nothing_and_never_more_than_five_minutes(attempts: int) -> None:
    for randomness in (lambda n: bytes(n), lambda n: b"\xff" * n, secrets.token_bytes):
        assert timedelta(seconds=0.1) < backoff(attempts, randomness) <= timedelta(minutes=5, seconds=0.2)
    assert backoff(attempts, lambda n: b"\xff" * n) <= backoff(attempts + 1, lambda n: b"\xff" * n)


def test_the_candidate_goes_to_the_login_that_rests() -> None:
    assert resting_login(("a", "b"), "a") == "b"
    assert resting_login(("a", "b"), "b") == "a"
    assert resting_login(("a", "b"), "adopted") == resting_login(("a", "b"), None) == "a"
