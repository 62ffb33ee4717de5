"""Approvals and time: what nobody answered or applied is over, and rotations that have gone on are asked for anew."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from service.core.connection import Engine
from tests.http.conftest import CONNECTION, PASSWORD
from tests.http.test_approvals import apply, approved, asked, decide, slug, state
from tests.rigs.clock import Clock
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.signed_in import Person, signed_in

PLACE = "/environments/production"
VALUE = f"{PLACE}/variables/shop/PASSWORD"
OWN = ("own", "environment", "production")
LASTS = timedelta(minutes=10)
LEASE = timedelta(seconds=30)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake() -> FakeDatabase:
    made = FakeDatabase()
    made.create("app", PASSWORD)
    made.create("admin", "admin-password")
    return made


@pytest.fixture
def it(clock: Clock, fake: FakeDatabase) -> Iterator[Keywright]:
    with running_keywright(databases={Engine.POSTGRESQL: fake}, now=clock) as served:
        owner, rotation = served.client(), {"strategy": "alternating", "drain_minimum": "10m", "drain_limit": "20m"}
        admin = CONNECTION | {"login": {"username": "admin", "password": "admin-password"}}
        turned = CONNECTION | {"administered_by": "shop/admin", "rotation": rotation}
        made = [
            owner.post("/environments", json={"name": "production"}),
            owner.put(VALUE, json={"value": "hush"}),
            owner.put(f"{PLACE}/connections/shop/admin", json=admin),
            owner.put(f"{PLACE}/connections/shop/db", json=turned),
            owner.patch(
                PLACE, json={"approvals": {"variables": True, "rotations": True, "reveals": True, "lasts": "10m"}}
            ),
        ]
        assert all(answer.is_success for answer in made), [answer.text for answer in made]
        yield served


@pytest.fixture
def alice(it: Keywright) -> Person:
    return signed_in(it, "alice@example.test", OWN)


@pytest.fixture
def bob(it: Keywright) -> Person:
    return signed_in(it, "bob@example.test", OWN)


def test_a_question_that_nobody_answered_in_time_is_over(
    it: Keywright, clock: Clock, alice: Person, bob: Person
) -> None:
    waiting, agreed = asked(alice, "PUT", VALUE, {"value": "x"}), approved(alice, bob, "PUT", VALUE, {"value": "y"})
    clock.ahead = LASTS + timedelta(seconds=1)
    for approval in (waiting, agreed):
        assert state(alice, approval) == "expired"
        assert slug(apply(alice, approval)) == (409, "conflict")
        for decision in ("approve", "refuse"):
            assert slug(decide(bob, approval, decision)) == (409, "conflict")
        assert slug(alice.client.post(f"/approvals/{approval}/withdraw")) == (409, "conflict")
        assert state(alice, approval) == "expired", "it did not fail: it is over"
    told = bob.client.get("/approvals", params={"state": "expired"}).json()["items"]
    assert {each["id"] for each in told} == {waiting, agreed}
    assert bob.client.get("/approvals", params={"state": "asked"}).json()["items"] == []
    assert it.client().get(VALUE).json()["live"] == 1


def test_what_is_over_is_not_kept(it: Keywright, clock: Clock, alice: Person) -> None:
    asked(alice, "PUT", VALUE, {"value": "never-applied"})
    clock.ahead = LASTS + timedelta(seconds=1)
    asked(alice, "PUT", VALUE, {"value": "another"})
    with it.service.ledger.connected() as sql:
        rows = sql.execute(text("SELECT state, sealed IS NULL FROM approvals ORDER BY created_at")).all()
    assert [(state, bool(gone)) for state, gone in rows] == [("expired", True), ("asked", False)]


def test_what_was_agreed_to_just_in_time_is_not_applied_later(
    it: Keywright, clock: Clock, alice: Person, bob: Person
) -> None:
    approval = asked(alice, "PUT", VALUE, {"value": "x"})
    clock.ahead = LASTS - timedelta(minutes=1)
    assert decide(bob, approval).json()["state"] == "approved"
    clock.ahead = LASTS + timedelta(seconds=1)
    assert slug(apply(alice, approval)) == (409, "conflict")
    assert it.client().get(VALUE).json()["live"] == 1


def test_a_reveal_is_fetched_soon(it: Keywright, clock: Clock, alice: Person, bob: Person) -> None:
    assert it.client().patch(PLACE, json={"approvals": {"reveals": True, "lasts": "8h"}}).status_code == 200
    agreed = approved(alice, bob, "GET", f"{PLACE}/values/shop/PASSWORD")
    clock.ahead = timedelta(minutes=15, seconds=1)
    assert slug(apply(alice, agreed)) == (409, "conflict")
    assert state(alice, agreed) == "expired"


# -- rotations


def work(it: Keywright, clock: Clock, *stages: str) -> dict[str, Any]:
    """A worker's turns, until the youngest rotation has come to one of these stages."""
    keeper, owner = it.service.keeper, it.client()
    told: dict[str, Any] = {}
    for _ in range(50):
        for held in keeper.rotations.claim("worker", LEASE, 10):
            it.service.rotator.advance(held)
            keeper.rotations.release(held)
        told = owner.get(f"{PLACE}/rotations", params={"connection": "shop/db"}).json()["items"][0]
        if told["stage"] in stages:
            return told
        clock.ahead += timedelta(seconds=1)
    raise AssertionError(f"the rotation is {told['stage']}: {told}")


def begun(it: Keywright) -> None:
    answer = it.client().post(f"{PLACE}/rotations", json={"connection": "shop/db"})
    assert answer.status_code == 202, answer.text


def generation(it: Keywright) -> int:
    return int(it.client().get(f"{PLACE}/credentials/shop/db").json()["generation"])


def waits(it: Keywright, clock: Clock, fake: FakeDatabase) -> str:
    """A rotation that waits for its database to answer; its address."""
    fake.unreachable = set(fake.endpoints)
    begun(it)
    story = work(it, clock, "planned", "staged")
    return f"/rotations/{story['id']}"


def test_a_rotation_is_retried_when_somebody_agreed(
    it: Keywright, clock: Clock, fake: FakeDatabase, alice: Person, bob: Person
) -> None:
    path = f"{waits(it, clock, fake)}/retry"
    assert slug(alice.client.post(path)) == (403, "approval-needed")
    late, agreed = approved(alice, bob, "POST", path), approved(alice, bob, "POST", path)
    done = apply(alice, agreed)
    assert done.status_code == 200, done.text
    assert f"{alice.email} asked to try again" in str(done.json()["steps"])
    fake.unreachable = set()
    work(it, clock, "draining")
    assert slug(apply(alice, late)) == (409, "conflict"), "it has gone on: that is not what was agreed to"
    assert state(alice, late) == "failed"
    events = it.client().get("/events", params={"action": "rotation.retry", "actor": alice.id}).json()["items"]
    allowed = [each["detail"] for each in events if each["outcome"] == "allowed"]
    assert [(each["approval"], each["approved_by"]) for each in allowed] == [(agreed, bob.id)]


def test_a_rotation_is_reverted_when_somebody_agreed(
    it: Keywright, clock: Clock, fake: FakeDatabase, alice: Person, bob: Person
) -> None:
    before = it.client().get(f"{PLACE}/credentials/shop/db").json()
    begun(it)
    path = f"/rotations/{work(it, clock, 'draining')['id']}/revert"
    turned = it.client().get(f"{PLACE}/credentials/shop/db").json()
    assert turned["username"] != before["username"]
    assert slug(alice.client.post(path)) == (403, "approval-needed")
    agreed = asked(alice, "POST", path)
    assert slug(apply(alice, agreed)) == (409, "conflict")
    assert generation(it) == turned["generation"]
    assert decide(bob, agreed).status_code == 200
    done = apply(alice, agreed)
    assert (done.status_code, done.json()["stage"]) == (200, "reverted"), done.text
    now = it.client().get(f"{PLACE}/credentials/shop/db").json()
    assert (now["username"], now["generation"]) == (before["username"], turned["generation"] + 1)


def test_what_was_retired_meanwhile_is_not_reverted(it: Keywright, clock: Clock, alice: Person, bob: Person) -> None:
    assert it.client().patch(PLACE, json={"approvals": {"rotations": True, "lasts": "8h"}}).status_code == 200
    begun(it)
    path = f"/rotations/{work(it, clock, 'draining')['id']}/revert"
    agreed = approved(alice, bob, "POST", path)
    clock.ahead += timedelta(minutes=21)
    work(it, clock, "retired")
    turned = generation(it)
    again = alice.again(factor_ago=timedelta())
    assert slug(again.post(f"/approvals/{agreed}/apply")) == (409, "conflict")
    assert state(alice, agreed) == "failed"
    assert generation(it) == turned


def test_a_rotation_is_abandoned_when_somebody_agreed(
    it: Keywright, clock: Clock, fake: FakeDatabase, alice: Person, bob: Person
) -> None:
    path = f"{waits(it, clock, fake)}/abandon"
    assert slug(alice.client.post(path)) == (403, "approval-needed")
    agreed = approved(alice, bob, "POST", path)
    assert apply(alice, agreed).status_code == 200
    fake.unreachable = set()
    assert work(it, clock, "abandoned")
