"""Rehearsals: everything is tried, nothing is changed, and what is found is sorted into problems and warnings."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from service.core.access import Caller, Grant, Kind, Level
from service.core.connection import Endpoint, Part
from service.core.database import Session
from service.core.errors import Forbidden
from service.core.rotation import GRACE, Stage, Strategy
from service.keeper.rehearsals import LATELY, Rehearsal
from service.keeper.tokens import SYSTEM
from tests.rigs.rotating import DRAIN, Stand, stand

REPLICA = Endpoint("replica.test", 5432, Part.REPLICA)
OPTIONAL = Endpoint("optional.test", 5432, Part.REPLICA, required=False)


@pytest.fixture(params=list(Strategy))
def it(request: pytest.FixtureRequest) -> Iterator[Stand]:
    with stand(request.param) as made:
        yield made


@pytest.fixture
def single() -> Iterator[Stand]:
    with stand(Strategy.SINGLE) as made:
        yield made


def rehearse(it: Stand, caller: Caller = SYSTEM) -> Rehearsal:
    return it.service.keeper.rehearsals.rehearse(caller, "production", "shop/db")


def test_nothing_is_changed_and_nothing_found_where_all_is_well(it: Stand) -> None:
    before, listed = it.fake.logins.copy(), it.service.keeper.rotations.listed(SYSTEM, "production", None, None, "", 9)
    found = rehearse(it)
    assert found.problems == ()
    assert found.warnings == (
        "TLS is disabled: whatever passes between applications and the database can be read on the way",
    )
    assert (it.fake.logins, it.fake.log, it.fake.fences) == (before, [], {})
    assert it.service.keeper.rotations.listed(SYSTEM, "production", None, None, "", 9) == listed


def test_the_plan_is_what_a_rotation_then_does(it: Stand) -> None:
    foretold = rehearse(it).plan
    it.ask()
    story = it.run()
    lasted = {line.stage: line.at for line in reversed(story.lines)}
    assert [planned.stage for planned in foretold] == list(dict.fromkeys(line.stage for line in story.lines))
    for planned in foretold:
        assert lasted[planned.stage] >= planned.at, planned
        assert lasted[planned.stage] - planned.at < timedelta(seconds=10), planned


def test_a_promise_that_still_holds_is_waited_for(single: Stand) -> None:
    with stand(Strategy.OVERLAPPING) as it:
        it.ask()
        it.work()
        planned, staged, *_ = rehearse(it).plan
        assert "still promised" in planned.sentence
        assert staged.at - planned.at >= DRAIN
    announced, applied = (p for p in rehearse(single).plan if p.stage in (Stage.ANNOUNCED, Stage.APPLIED))
    assert applied.at - announced.at == DRAIN + GRACE


def test_each_endpoint_is_tried_and_only_required_ones_are_problems(single: Stand) -> None:
    single.fake.endpoints += (REPLICA, OPTIONAL)
    single.put()
    single.fake.unreachable |= {REPLICA, OPTIONAL}
    found = rehearse(single)
    assert [(one.endpoint, one.outcome) for one in found.endpoints] == [
        (single.fake.endpoints[0], "accepted"),
        (REPLICA, "unreachable"),
        (OPTIONAL, "unreachable"),
    ]
    assert [one.protocol for one in found.endpoints] == ["", None, None]
    assert [str(REPLICA) in problem for problem in found.problems] == [True]
    assert any(str(OPTIONAL) in warning for warning in found.warnings)


def test_what_would_keep_it_from_working_is_a_problem(it: Stand) -> None:
    it.fake.create("shop", "changed by somebody")
    assert any("does not accept the live credential" in problem for problem in rehearse(it).problems)
    it.fake.create("shop", "first-password")
    it.fake.policy = lambda password: False
    assert "the password does not fit the policy" in rehearse(it).problems
    it.fake.policy = lambda password: True
    it.fake.powerless = True
    assert rehearse(it).problems
    it.fake.powerless = False
    it.fake.create("admin", "changed by somebody")
    assert any("administration login" in problem for problem in rehearse(it).problems)


def test_a_fence_that_cannot_be_kept_and_an_open_rotation_are_warnings(single: Stand) -> None:
    single.fake.unfenced = ("the number cannot be kept",)
    assert "the number cannot be kept" in rehearse(single).warnings
    single.ask()
    found = rehearse(single)
    assert any(single.latest().rotation.id in warning for warning in found.warnings)
    assert found.problems == ()


def test_who_is_connected_is_told_or_why_not(single: Stand) -> None:
    here = Session("shop", "10.0.0.7", "shop-web", 7, single.now)
    single.fake.connected = [here, Session("other", "10.0.0.8", "")]
    assert rehearse(single).sessions == (here,)
    single.fake.powerless = True
    found = rehearse(single)
    assert found.sessions is None
    assert any("connected cannot be told" in warning for warning in found.warnings)


def test_who_fetched_it_lately_is_told_with_the_generation(it: Stand) -> None:
    ada, bob, old = it.machine("ada"), it.machine("bob"), it.machine("old")
    fetch = it.service.keeper.credentials.one
    fetch(old, "production", "shop/db")
    it.now += LATELY + timedelta(days=1)
    fetch(bob, "production", "shop/db")
    it.ask()
    it.run()
    fetch(ada, "production", "shop/db")
    told = rehearse(it).callers
    assert [(caller.name, caller.generation) for caller in told] == [("ada", 2), ("bob", 1)]
    assert told[0].address == "address-of-ada"


def test_it_takes_edit(single: Stand) -> None:
    reader = replace(single.machine("reader"), grants=(Grant(Level.USE, Kind.EVERYTHING),))
    with pytest.raises(Forbidden):
        rehearse(single, reader)
    rehearse(single, replace(reader, grants=(Grant(Level.EDIT, Kind.EVERYTHING),)))


def test_a_login_that_nobody_knows_the_password_of_is_not_tried(single: Stand) -> None:
    """Its password lives in a store: endpoints are reached as nobody, which is well when that is rejected."""
    with pytest.MonkeyPatch.context() as patch:
        standpoint = single.service.keeper.briefs.standpoint
        patch.setattr(single.service.keeper.briefs, "standpoint", lambda *given: replace(standpoint(*given), live=None))
        found = rehearse(single)
    assert [one.outcome for one in found.endpoints] == ["rejected"]
    assert found.problems == ()
