"""Signing in with a password: who guesses learns nothing, waits, and keeps nobody else from signing in."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from service.core.errors import Unavailable
from service.core.secret import Secret
from service.core.token import Token
from service.keeper.sessions import Way
from service.keeper.tokens import OPERATOR
from service.ledger import users
from service.people.hashing import Hashing
from tests.rigs.keywright import Keywright, dump, running_keywright
from tests.rigs.people import PASSWORD, Watch, browser, change, configure, person, signed_in

OWNER = Grant(Level.OWN, Kind.EVERYTHING)
WRONG = "not the password that it is"


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def it(watch: Watch) -> Iterator[Keywright]:
    with running_keywright(now=watch) as served:
        person(served.service, "ada@example.test", OWNER)
        yield served


def tries(it: Keywright, email: str, password: str = WRONG, place: str = "127.0.0.1") -> httpx2.Response:
    with browser(it, transport=httpx2.HTTPTransport(local_address=place)) as made:
        return made.post("/api/v1/session", json={"email": email, "password": password})


def looked(it: Keywright) -> int:
    return hashing_of(it).looked


def hashing_of(it: Keywright) -> Hashing:
    return it.service.people.signing_in._hashing


def events(it: Keywright, action: str) -> list[dict[str, Any]]:
    answer = it.client().get("/events", params={"action": action, "limit": 500})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


# -- what a stranger learns


def test_whether_there_is_an_account_is_told_neither_by_words_nor_by_the_work_done(it: Keywright) -> None:
    person(it.service, "off@example.test", enabled=False)
    person(it.service, "elsewhere@example.test", password=None)
    said = []
    for email, password in (
        ("ada@example.test", WRONG),
        ("nobody@example.test", PASSWORD),
        ("no address at all", PASSWORD),
        ("off@example.test", PASSWORD),
        ("elsewhere@example.test", PASSWORD),
    ):
        before = looked(it)
        answer = tries(it, email, password)
        assert looked(it) == before + 1, email
        body = answer.json()
        body.pop("request_id")
        said.append((answer.status_code, body, answer.headers.get("set-cookie")))
    assert said[0][0] == 401
    assert said == [said[0]] * 5


def test_who_guesses_at_nobody_waits_like_who_guesses_at_somebody(it: Keywright) -> None:
    person(it.service, "bob@example.test")
    of_bob = [tries(it, "bob@example.test").status_code for _ in range(6)]
    of_nobody = [tries(it, "nobody@example.test").status_code for _ in range(6)]
    assert of_bob == of_nobody == [401, 401, 401, 401, 429, 429]


def test_what_was_typed_stands_nowhere(it: Keywright, capfd: pytest.CaptureFixture[str]) -> None:
    slip = "my-password-in-the-wrong-place"
    said = [
        tries(it, "ada@example.test", slip).text,
        tries(it, f"{slip}@example.test", slip).text,
        tries(it, slip, slip).text,
        tries(it, "ada@example.test", "x" * 300 + slip).text,
    ]
    with browser(it) as ada:
        signed_in(it, ada, "ada@example.test")
        said.append(ada.post("/api/v1/session/password", json={"old": slip, "new": f"{slip} and more of it"}).text)
        said.append(ada.post("/api/v1/session/password", json={"old": PASSWORD, "new": PASSWORD}).text)
    told = "".join(said) + str(events(it, "session.open")) + str(events(it, "password.change"))
    told += str(dump(it.service)) + "".join(capfd.readouterr())
    told += "".join(path.read_bytes().decode("latin-1") for path in it.data.glob("ledger.sqlite*"))
    assert slip not in told
    assert PASSWORD not in told


def test_every_try_is_an_event_which_names_an_account_by_its_id(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    tries(it, "bob@example.test")
    tries(it, "nobody@example.test")
    tries(it, "bob@example.test", PASSWORD)
    told = {(each["outcome"], each["resource"], each["detail"].get("reason")) for each in events(it, "session.open")}
    assert ("refused", bob.id, "wrong") in told
    assert ("refused", "", "unknown") in told
    (opened,) = [each for each in events(it, "session.open") if each["outcome"] == "allowed"]
    assert opened["actor"] == bob.id
    assert opened["detail"] == {"method": "password", "factor": False, "user": bob.id}


# -- waiting


def test_a_stranger_waits_longer_each_time_and_nothing_is_looked_at_meanwhile(it: Keywright, watch: Watch) -> None:
    waits = []
    for _ in range(4):
        assert tries(it, "ada@example.test").status_code == 401
    for _ in range(3):
        before = looked(it)
        refused = tries(it, "ada@example.test", PASSWORD)  # the right one: it is not looked at
        assert (refused.status_code, looked(it)) == (429, before)
        waits.append(int(refused.headers["Retry-After"]))
        watch.on(seconds=waits[-1])
        assert tries(it, "ada@example.test").status_code == 401
    assert waits == [5, 10, 20]
    watch.on(days=2)
    assert tries(it, "ada@example.test", PASSWORD).status_code == 200


def test_strangers_do_not_hold_up_an_owner_where_it_was_before(it: Keywright) -> None:
    assert tries(it, "ada@example.test", PASSWORD, "127.0.0.1").status_code == 200
    for number in range(12):
        tries(it, "ada@example.test", WRONG, f"127.0.0.{number % 3 + 2}")
    assert tries(it, "ada@example.test", PASSWORD, "127.0.0.2").status_code == 429
    assert tries(it, "ada@example.test", PASSWORD, "127.0.0.9").status_code == 429  # from a new place, with strangers
    assert tries(it, "ada@example.test", PASSWORD, "127.0.0.1").status_code == 200


def test_who_was_right_there_before_does_not_guess_for_nothing_either(it: Keywright) -> None:
    assert tries(it, "ada@example.test", PASSWORD).status_code == 200
    assert [tries(it, "ada@example.test").status_code for _ in range(6)] == [401, 401, 401, 401, 429, 429]


def test_an_invitation_lets_in_who_waits_because_of_strangers(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    for _ in range(5):
        tries(it, "bob@example.test")
    assert tries(it, "bob@example.test", PASSWORD).status_code == 429
    text = it.client().post(f"/users/{bob.id}/invitations").json()["text"]
    chosen = {"text": text, "password": "walnut harbour pencil ostrich"}
    with browser(it) as bobs:
        assert bobs.post("/api/v1/session/new-password", json=chosen).status_code == 200
    assert tries(it, "bob@example.test", chosen["password"], "127.0.0.7").status_code == 200


def test_one_network_does_not_try_account_after_account(it: Keywright) -> None:
    said = [tries(it, f"user{number}@example.test", place="127.0.0.5").status_code for number in range(33)]
    assert said[:31] == [401] * 31
    assert said[31:] == [429, 429]
    assert tries(it, "ada@example.test", PASSWORD, "127.0.0.1").status_code == 200


def test_many_tries_at_once_are_many_tries(it: Keywright) -> None:
    person(it.service, "bob@example.test")
    before, together = looked(it), threading.Barrier(12)

    def tried(_: int) -> int:
        together.wait(60)
        return tries(it, "bob@example.test").status_code

    with ThreadPoolExecutor(12) as pool:
        said = sorted(pool.map(tried, range(12)))
    assert said == [401] * 4 + [429] * 8
    assert looked(it) == before + 4


def test_a_right_password_alone_ends_no_wait_where_a_factor_is_needed(it: Keywright) -> None:
    class Asks:
        def begins(self, tx: object, user: object, way: Way) -> str:
            return "x" * 43

    it.service.people.entering._second_factor = Asks()  # type: ignore[assignment]
    said = [tries(it, "ada@example.test", PASSWORD) for _ in range(5)]
    assert [answer.status_code for answer in said] == [200, 200, 200, 200, 429]
    body = said[0].json()
    assert (body["session"], body["csrf"], body["password"]) == (None, None, None)
    assert body["factor"]["pending"] == "x" * 43


def test_no_more_passwords_are_hashed_at_once_than_there_is_memory_for() -> None:
    hashing = Hashing(at_once=1, patience=0.01)
    with hashing.turn(), pytest.raises(Unavailable), hashing.turn():
        pass
    with hashing.turn():
        pass


# -- what has to be done first


def test_a_password_that_somebody_else_set_is_changed_before_anything_else(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    given, chosen = "a word given by somebody", "walnut harbour pencil ostrich"
    assert it.client().put(f"/users/{bob.id}/password", json={"password": given}).status_code == 204
    with browser(it) as bobs:
        body = signed_in(it, bobs, "bob@example.test", given)
        assert body["session"] is None
        assert "keywright" not in bobs.cookies
        text = body["password"]["pending"]
        same = bobs.post("/api/v1/session/new-password", json={"text": text, "password": given})
        assert same.status_code == 409
        answer = bobs.post("/api/v1/session/new-password", json={"text": text, "password": chosen})
        assert answer.status_code == 200, answer.text
        assert bobs.get("/api/v1/session").json()["method"] == "password"
        again = bobs.post("/api/v1/session/new-password", json={"text": text, "password": chosen})
        assert again.status_code == 401
    assert tries(it, "bob@example.test", given).status_code == 401
    assert tries(it, "bob@example.test", chosen).status_code == 200


def test_a_password_ends_after_as_many_days_as_the_settings_say(it: Keywright, watch: Watch) -> None:
    configure(it, password_days=30)
    bob = person(it.service, "bob@example.test", password=None)
    text = it.client().post(f"/users/{bob.id}/invitations").json()["text"]
    with browser(it) as bobs:
        bobs.post("/api/v1/session/new-password", json={"text": text, "password": PASSWORD})
    assert tries(it, "bob@example.test", PASSWORD).json()["session"] is not None
    watch.on(days=31)
    body = tries(it, "bob@example.test", PASSWORD).json()
    assert (body["session"], bool(body["password"])) == (None, True)


def test_the_factor_comes_before_the_new_password(it: Keywright) -> None:
    asked = []

    class Asks:
        def begins(self, tx: object, user: object, way: Way) -> str:
            asked.append(way)
            return "x" * 43

    person(it.service, "bob@example.test", must_change=True)
    it.service.people.entering._second_factor = Asks()  # type: ignore[assignment]
    body = tries(it, "bob@example.test", PASSWORD).json()
    assert (bool(body["factor"]), body["password"]) == (True, None)
    assert asked[0].method == "password"


def test_a_password_that_has_ended_opens_no_session_whatever_else_was_shown(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test", must_change=True)

    def act(tx: Any) -> tuple[Token, Secret]:
        return it.service.keeper.sessions.opened(tx, bob, Way("password", "127.0.0.1", "", factor_at=tx.now))

    from service.keeper.sessions import PasswordEnded

    with pytest.raises(PasswordEnded):
        it.service.keeper.door.change(OPERATOR, (), act)


def test_where_passwords_are_switched_off_only_emergency_accounts_sign_in_by_one(it: Keywright) -> None:
    person(it.service, "bob@example.test")
    person(it.service, "fire@example.test", emergency=True)
    configure(it, local_sign_in=False)
    assert tries(it, "bob@example.test", PASSWORD).status_code == 403
    assert tries(it, "bob@example.test", WRONG).status_code == 401
    assert tries(it, "fire@example.test", PASSWORD).status_code == 200


def test_a_hash_of_former_costs_is_made_anew(it: Keywright) -> None:
    from argon2 import PasswordHasher

    bob, door = person(it.service, "bob@example.test"), it.service.keeper.door
    old = PasswordHasher(1, 8 * 1024, 1).hash(PASSWORD)
    door.change(OPERATOR, (), lambda tx: users.set_password(tx, bob.id, old, None))
    assert tries(it, "bob@example.test", PASSWORD).status_code == 200
    kept = door.look(lambda tx: users.guarded(tx, bob.id).hash)
    assert kept != old
    assert not hashing_of(it).dated(str(kept))
    assert tries(it, "bob@example.test", PASSWORD).status_code == 200


@pytest.mark.parametrize("what", ["disabled", "another password"])
def test_what_changes_while_the_password_is_looked_at_counts(
    it: Keywright, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    bob, door, right = person(it.service, "bob@example.test"), it.service.keeper.door, Hashing.right

    def meanwhile(self: Hashing, kept: str | None, password: Secret) -> bool:
        found = right(self, kept, password)
        if what == "disabled":
            change(it.service, bob, enabled=False)
        else:
            other = self.hashed(Secret("walnut harbour pencil ostrich"))
            door.change(OPERATOR, (), lambda tx: users.set_password(tx, bob.id, other, None))
        return found

    monkeypatch.setattr(Hashing, "right", meanwhile)
    assert tries(it, "bob@example.test", PASSWORD).status_code == 401
