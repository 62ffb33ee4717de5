"""Invitations: a text by which somebody chooses a password, once; and who may make one for whom."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from service.core.access import Grant, Kind, Level
from service.core.person import User
from tests.rigs.keywright import Keywright, dump, running_keywright
from tests.rigs.people import PASSWORD, Watch, browser, change, configure, person, signed_in

CHOSEN = "walnut harbour pencil ostrich"
OWNER, OF_PEOPLE = Grant(Level.OWN, Kind.EVERYTHING), Grant(Level.OWN, Kind.PEOPLE)


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def it(watch: Watch) -> Iterator[Keywright]:
    with running_keywright(now=watch, url="https://keywright.example") as served:
        yield served


def invited(it: Keywright, user: User) -> dict[str, Any]:
    answer = it.client().post(f"/users/{user.id}/invitations")
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def shown(it: Keywright, text: str, password: str = CHOSEN) -> int:
    return it.nobody().post("/session/new-password", json={"text": text, "password": password}).status_code


def test_it_is_good_once_and_stored_as_a_hash_only(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test", password=None)
    made = invited(it, bob)
    assert made["address"] == "https://keywright.example/sign-in/invitation"
    assert made["text"] not in str(dump(it.service))
    assert [shown(it, made["text"]) for _ in range(2)] == [200, 401]


def test_it_is_over_after_its_days(it: Keywright, watch: Watch) -> None:
    bob = person(it.service, "bob@example.test")
    made = invited(it, bob)
    assert datetime.fromisoformat(made["expires_at"]) == watch.now + timedelta(days=7)
    watch.on(days=7)
    assert shown(it, made["text"]) == 401


def test_another_one_takes_its_place_and_so_does_a_password(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    first, second = invited(it, bob)["text"], invited(it, bob)["text"]
    assert shown(it, first) == 401
    assert it.client().put(f"/users/{bob.id}/password", json={"password": CHOSEN}).status_code == 204
    assert shown(it, second) == 401


def test_a_disabled_user_is_not_let_in_by_one(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    text = invited(it, bob)["text"]
    change(it.service, bob, enabled=False)
    assert shown(it, text) == 401
    assert it.client().post(f"/users/{bob.id}/invitations").status_code == 409


def test_it_does_not_stand_in_for_a_second_factor(it: Keywright) -> None:
    class Asks:
        def begins(self, tx: object, user: object, way: object) -> str:
            return "x" * 43

    bob = person(it.service, "bob@example.test")
    text = invited(it, bob)["text"]
    it.service.people.entering._second_factor = Asks()  # type: ignore[assignment]
    answer = it.nobody().post("/session/new-password", json={"text": text, "password": CHOSEN}).json()
    assert (answer["session"], bool(answer["factor"])) == (None, True)


def test_sessions_end_with_it(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    text = invited(it, bob)["text"]
    with browser(it, headers={"Origin": "https://keywright.example"}) as bobs:
        signed_in(it, bobs, bob.email)
        kept = {"Cookie": f"__Host-keywright={bobs.cookies['__Host-keywright']}"}
        bobs.cookies.clear()
        assert bobs.get("/api/v1/session", headers=kept).status_code == 200
        assert shown(it, text) == 200
        assert bobs.get("/api/v1/session", headers=kept).status_code == 401


@pytest.mark.parametrize(
    ("holds", "over", "status"),
    [
        ((), (), 404),
        ((Grant(Level.USE, Kind.PEOPLE),), (), 403),
        ((OF_PEOPLE,), (), 201),
        ((OF_PEOPLE,), (OWNER,), 403),
        ((OF_PEOPLE,), (Grant(Level.USE, Kind.MACHINE),), 403),
        ((OWNER,), (OWNER,), 201),
    ],
)
def test_nobody_takes_over_who_holds_more(
    it: Keywright, holds: tuple[Grant, ...], over: tuple[Grant, ...], status: int
) -> None:
    configure(it, step_up=0)  # what it asks for beside has tests of its own
    carol, bob = person(it.service, "carol@example.test", *holds), person(it.service, "bob@example.test", *over)
    with browser(it, headers={"Origin": "https://keywright.example"}) as carols:
        body = signed_in(it, carols, carol.email)
        kept = {"Cookie": f"__Host-keywright={carols.cookies['__Host-keywright']}", "X-CSRF-Token": body["csrf"]}
        carols.cookies.clear()
        assert carols.post(f"/api/v1/users/{bob.id}/invitations", headers=kept).status_code == status
        answer = carols.put(f"/api/v1/users/{bob.id}/password", json={"password": CHOSEN}, headers=kept)
        assert answer.status_code == (204 if status == 201 else status)
    assert it.nobody().post("/session", json={"email": bob.email, "password": PASSWORD}).status_code == (
        401 if status == 201 else 200
    )


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "must have 12 characters at least"),
        ("password1234", "too easy to guess"),
        ("aaaaaaaaaaaaaaaaaaaa", "too easy to guess"),
        ("bob.builder@example.test", "too easy to guess"),
        ("builderbuilder", "too easy to guess"),
    ],
)
def test_a_weak_password_is_refused_saying_why_and_the_text_stays_good(it: Keywright, password: str, why: str) -> None:
    bob = person(it.service, "bob.builder@example.test", name="Bob Builder")
    text = invited(it, bob)["text"]
    answer = it.nobody().post("/session/new-password", json={"text": text, "password": password})
    assert (answer.status_code, answer.json()["field"]) == (422, "password")
    assert why in answer.json()["detail"]
    assert password not in answer.text
    assert shown(it, text) == 200
