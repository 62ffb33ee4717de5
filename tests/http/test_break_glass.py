"""Break-glass, over the real server: who goes without approvals, for how long, and who hears of it."""

from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest

from tests.rigs.clock import Clock
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.signed_in import Person, signed_in

PLACE = "/environments/production"
SECRET = f"{PLACE}/variables/shop/PASSWORD"
OWN = ("own", "environment", "production")
ALL = {"variables": True, "connections": True, "policies": True, "rotations": True, "reveals": True}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def it(clock: Clock) -> Iterator[Keywright]:
    with running_keywright(now=clock) as served:
        owner = served.client()
        assert owner.post("/environments", json={"name": "production"}).status_code == 201
        assert owner.put(SECRET, json={"value": "hush"}).status_code == 201
        assert owner.patch(PLACE, json={"approvals": ALL}).status_code == 200
        yield served


@pytest.fixture
def alice(it: Keywright) -> Person:
    return signed_in(it, "alice@example.test", OWN)


def take(client: httpx2.Client, minutes: int = 15) -> httpx2.Response:
    return client.post(f"{PLACE}/break-glass", json={"reason": "the shop is down", "minutes": minutes})


def slug(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition(":")[2]


def test_its_holder_goes_without_and_every_event_says_so(it: Keywright, alice: Person) -> None:
    assert slug(alice.client.put(SECRET, json={"value": "new"})) == (403, "approval-needed")
    taken = take(alice.client)
    assert taken.status_code == 201, taken.text
    glass = taken.json()["id"]
    assert alice.client.put(SECRET, json={"value": "new"}).status_code == 200
    assert alice.client.get(f"{PLACE}/values/shop/PASSWORD").json()["value"] == "new"
    events = it.client().get("/events", params={"actor": alice.id}).json()["items"]
    marked = {each["action"] for each in events if each["detail"].get("break_glass") == glass}
    assert marked == {"break-glass.taken", "variable.put", "value.fetch"}
    told = next(each for each in events if each["action"] == "break-glass.taken")
    assert told["detail"]["reason"] == "the shop is down"


def test_it_is_nobody_elses(it: Keywright, alice: Person) -> None:
    bob = signed_in(it, "bob@example.test", OWN)
    take(alice.client)
    assert slug(bob.client.put(SECRET, json={"value": "x"})) == (403, "approval-needed")


def test_grants_stay_what_they_are(it: Keywright) -> None:
    carol = signed_in(it, "carol@example.test", ("use", "environment", "production"))
    assert take(carol.client).status_code == 201
    assert carol.client.get(f"{PLACE}/values/shop/PASSWORD").status_code == 200
    assert slug(carol.client.put(SECRET, json={"value": "x"})) == (403, "forbidden")


def test_it_covers_nothing_that_would_outlast_it(it: Keywright) -> None:
    root = signed_in(it, "root@example.test", ("own", "everything"))
    assert take(root.client).status_code == 201
    grant = {"level": "use", "kind": "environment", "environment": "production"}
    for answer in (
        root.client.patch(PLACE, json={"approvals": {}}),
        root.client.post("/tokens", json={"name": "later", "grants": [grant]}),
        root.client.post("/machines", json={"name": "later", "grants": [grant]}),
        root.client.delete(PLACE),
    ):
        assert slug(answer) == (403, "approval-needed"), answer.text


def test_it_is_over_by_itself(clock: Clock, alice: Person) -> None:
    take(alice.client, minutes=10)
    clock.ahead = timedelta(minutes=9)
    assert alice.client.put(SECRET, json={"value": "in time"}).status_code == 200
    clock.ahead = timedelta(minutes=11)
    assert slug(alice.client.put(SECRET, json={"value": "late"})) == (403, "approval-needed")
    assert slug(alice.client.get(f"{PLACE}/values/shop/PASSWORD")) == (403, "approval-needed")


def test_its_holder_or_an_owner_ends_it(it: Keywright, alice: Person) -> None:
    owner = signed_in(it, "olga@example.test", OWN)
    dave = signed_in(it, "dave@example.test", ("edit", "environment", "production"))
    glass = take(alice.client).json()["id"]
    assert slug(dave.client.delete(f"/break-glass/{glass}")) == (403, "forbidden")
    assert owner.client.delete(f"/break-glass/{glass}").json()["ended_at"]
    assert slug(alice.client.put(SECRET, json={"value": "x"})) == (403, "approval-needed")
    assert slug(owner.client.delete(f"/break-glass/{glass}")) == (409, "conflict")
    mine = take(dave.client).json()["id"]
    assert dave.client.delete(f"/break-glass/{mine}").status_code == 200


def test_it_needs_a_fresh_factor_and_a_person(it: Keywright, alice: Person) -> None:
    assert slug(take(alice.again(factor_ago=timedelta(hours=1)))) == (403, "factor-needed")
    assert slug(take(alice.again(factor_ago=None))) == (403, "factor-needed")
    assert slug(take(it.client())) == (403, "forbidden")


def test_it_lasts_an_hour_at_most_and_there_is_one_of_a_person(it: Keywright, alice: Person) -> None:
    assert slug(take(alice.client, minutes=61)) == (422, "invalid")
    assert slug(take(alice.client, minutes=0)) == (422, "invalid")
    assert take(alice.client).status_code == 201
    assert slug(take(alice.client)) == (409, "conflict")
    it.client().post("/environments", json={"name": "staging"})
    alice.grant("own", "environment", "staging")
    answer = alice.client.post("/environments/staging/break-glass", json={"reason": "none"})
    assert slug(answer) == (409, "conflict")


def test_who_has_no_business_there_takes_none_and_sees_none(it: Keywright, alice: Person) -> None:
    erin = signed_in(it, "erin@example.test", ("own", "environment", "staging"))
    frank = signed_in(it, "frank@example.test", ("own", "folder", "production", "shop"))
    assert take(erin.client).status_code == 404
    assert take(frank.client).status_code == 404
    glass = take(alice.client).json()["id"]
    assert erin.client.get(f"{PLACE}/break-glass").status_code == 404
    assert erin.client.delete(f"/break-glass/{glass}").status_code == 404


def test_everybody_concerned_hears_of_it(it: Keywright, alice: Person) -> None:
    bob = signed_in(it, "bob@example.test", OWN)
    take(alice.client)
    assert any("break-glass" in each for each in it.nobody().get(f"{it.url}/readyz").json()["warnings"])
    listed = bob.client.get(f"{PLACE}/break-glass").json()["items"]
    assert [(each["user"], each["reason"]) for each in listed] == [("alice@example.test", "the shop is down")]
    with bob.client.stream("GET", "/stream", params={"kind": "break-glass"}, headers={"Last-Event-ID": "0"}) as lines:
        told = next(line for line in lines.iter_lines() if "break-glass.taken" in line and line.startswith("data"))
    assert '"environment":"production"' in told
