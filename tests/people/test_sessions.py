"""Sessions: a cookie, for one browser, for a while; of no use to other sites, nor to who saw it before."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from service.http.cookies import proof_of
from service.keeper import sessions
from service.ledger import tokens, users
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.people import PASSWORD, Watch, browser, configure, person, signed_in

OWNER = Grant(Level.OWN, Kind.EVERYTHING)
ADA, BOB = "ada@example.test", "bob@example.test"
OTHER = "walnut harbour pencil ostrich"
MADE_UP = f"kw_{'0' * 16}_{'x' * 43}"


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def it(watch: Watch) -> Iterator[Keywright]:
    with running_keywright(now=watch) as served:
        person(served.service, ADA, OWNER)
        person(served.service, BOB)
        yield served


def test_somebody_signs_in_and_is_who_it_is_and_signs_out(it: Keywright) -> None:
    with browser(it) as ada:
        said = signed_in(it, ada, ADA)
        assert said["session"]["user"]["email"] == ADA
        assert said["session"]["method"] == "password"
        told = ada.get("/api/v1/session").json()
        assert told["id"] == said["session"]["id"]
        assert told["csrf"] == said["csrf"]
        assert told["agent"] == "a browser"
        assert ada.post("/api/v1/environments", json={"name": "production"}).status_code == 201
        kept = ada.cookies["keywright"]
        assert ada.delete("/api/v1/session").status_code == 204
        assert "keywright" not in ada.cookies
        assert ada.get("/api/v1/session").status_code == 401
        assert ada.get("/api/v1/session", headers={"Cookie": f"keywright={kept}"}).status_code == 401


def test_nobody_fills_the_ledger_by_signing_in(it: Keywright, monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    monkeypatch.setattr(sessions, "MOST", 2)
    with browser(it) as used, browser(it) as oldest, browser(it) as new, browser(it) as bob:
        signed_in(it, bob, BOB)
        for ada in (used, oldest):
            signed_in(it, ada, ADA)
            watch.on(minutes=5)
        assert used.get("/api/v1/session").status_code == 200
        gone = oldest.cookies["keywright"].split("_")[1]
        signed_in(it, new, ADA)
        assert oldest.get("/api/v1/session").status_code == 401, "what was not used for the longest time ends"
        assert len(used.get("/api/v1/sessions").json()["items"]) == 2
        assert bob.get("/api/v1/session").status_code == 200
        events = new.get("/api/v1/events", params={"action": "session.end"}).json()["items"]
        assert [event["resource"] for event in events] == [gone]


# -- the cookie


def test_over_tls_the_cookie_is_for_this_host_and_its_pages_and_never_sent_in_clear() -> None:
    with running_keywright(url="https://keywright.example") as it:
        person(it.service, ADA, OWNER)
        with browser(it, headers={"Origin": "https://keywright.example"}) as ada:
            answer = ada.post("/api/v1/session", json={"email": ADA, "password": PASSWORD})
            kept, dropped = answer.headers.get_list("set-cookie")
            text = kept.partition("=")[2].partition(";")[0]
            assert kept == f"__Host-keywright={text}; HttpOnly; Path=/; SameSite=lax; Secure"
            assert dropped.startswith('__Host-keywright-waiting=""')
            ada.cookies.clear()
            plain = ada.get("/api/v1/session", headers={"Cookie": f"keywright={text}"})
            assert plain.status_code == 401  # a name that another host, or http, could have set
            assert ada.get("/api/v1/session", headers={"Cookie": f"__Host-keywright={text}"}).status_code == 200
            assert text not in answer.text


@pytest.mark.parametrize("how", ["two cookies", "a token beside it", "a token as a cookie", "made up", "empty"])
def test_a_cookie_that_is_not_one_session_is_nobody(it: Keywright, how: str) -> None:
    with browser(it) as ada:
        signed_in(it, ada, ADA)
        text = ada.cookies.get("keywright")
        ada.cookies.clear()
        shown = {
            "two cookies": {"Cookie": f"keywright={text}; keywright={text}"},
            "a token beside it": {"Cookie": f"keywright={text}", "Authorization": f"Bearer {it.owner}"},
            "a token as a cookie": {"Cookie": f"keywright={it.owner}"},
            "made up": {"Cookie": f"keywright={MADE_UP}"},
            "empty": {"Cookie": "keywright="},
        }[how]
        assert ada.get("/api/v1/environments", headers=shown).status_code == 401


def test_a_cookie_takes_the_general_way_and_is_nothing_at_the_vault_door(it: Keywright) -> None:
    configure(it, step_up=0)
    owner = it.client()
    owner.post("/environments", json={"name": "production"})
    owner.put("/environments/production/variables/shop/HOST", json={"value": "db"})
    with browser(it) as ada:
        signed_in(it, ada, ADA)
        value = "/api/v1/environments/production/values/shop/HOST"
        assert ada.get(value).json()["value"] == "db"
        assert ada.get(value, headers={"Authorization": f"Bearer {it.owner}"}).status_code == 401
        text = ada.cookies["keywright"]
        assert ada.get("/v1/secret/data/production/shop/HOST").status_code in (400, 403)
        ada.cookies.clear()
        assert ada.get(value, headers={"Authorization": f"Bearer {text}"}).status_code == 200
        assert ada.get(value, headers={"Authorization": f"Bearer {text}", "Cookie": "lb=7"}).status_code == 200
        shown = {"X-Vault-Token": text}
        assert ada.get("/v1/secret/data/production/shop/HOST", headers=shown).status_code == 200


# -- other sites


@pytest.mark.parametrize(
    "shown",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "made up"},
        {"X-CSRF-Token": "of another session"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(it: Keywright, shown: dict[str, str]) -> None:
    with browser(it) as ada, browser(it) as bob:
        signed_in(it, ada, ADA)
        others = signed_in(it, bob, BOB)
        if shown.get("X-CSRF-Token") == "of another session":
            shown = {"X-CSRF-Token": others["csrf"]}
        answer = ada.post("/api/v1/environments", json={"name": "production"}, headers=shown)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:keywright:problem:csrf"
        assert it.client().get("/environments").json()["items"] == []
        (told,) = it.client().get("/events", params={"action": "session.use"}).json()["items"]
        assert (told["outcome"], told["detail"]) == ("refused", {"error": "Forged", "method": "POST"})
        assert ada.post("/api/v1/environments", json={"name": "production"}).status_code == 201


def test_a_page_of_another_site_reads_nothing(it: Keywright) -> None:
    with browser(it) as ada:
        signed_in(it, ada, ADA)
        assert ada.get("/api/v1/session", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_a_page_of_another_site_signs_nobody_in(it: Keywright) -> None:
    with browser(it, headers={"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}) as victim:
        answer = victim.post("/api/v1/session", json={"email": BOB, "password": PASSWORD})
        assert answer.status_code == 403
        page = victim.post("/sign-in", data={"email": BOB, "password": PASSWORD})
        assert page.status_code == 403
        assert not victim.cookies


# -- a session that somebody else set, or saw


def test_signing_in_gives_a_new_session_and_ends_the_one_before(it: Keywright) -> None:
    with browser(it) as ada:
        signed_in(it, ada, BOB)  # as whoever had the browser before, or slipped a cookie into it
        planted = ada.cookies["keywright"]
        signed_in(it, ada, ADA)
        assert ada.cookies["keywright"] != planted
        ada.cookies.clear()
        assert ada.get("/api/v1/session", headers={"Cookie": f"keywright={planted}"}).status_code == 401


def test_nobody_ends_a_session_by_its_id_alone(it: Keywright) -> None:
    with browser(it) as ada, browser(it) as bob:
        session_id = signed_in(it, ada, ADA)["session"]["id"]
        bob.cookies.set("keywright", f"kw_{session_id}_{'x' * 43}", domain="127.0.0.1")
        signed_in(it, bob, BOB)
        assert ada.get("/api/v1/session").status_code == 200


def test_a_new_password_ends_every_other_session_and_gives_this_one_another_text(it: Keywright) -> None:
    with browser(it) as ada, browser(it) as elsewhere:
        signed_in(it, ada, ADA)
        signed_in(it, elsewhere, ADA)
        seen = ada.cookies["keywright"]
        answer = ada.post("/api/v1/session/password", json={"old": PASSWORD, "new": OTHER})
        assert answer.status_code == 200, answer.text
        assert ada.cookies["keywright"] != seen
        assert answer.json()["csrf"] == proof_of(ada.cookies["keywright"])
        assert ada.get("/api/v1/session").status_code == 200
        assert elsewhere.get("/api/v1/session").status_code == 401
        assert ada.get("/api/v1/session", headers={"Cookie": f"keywright={seen}"}).status_code == 401
    with browser(it) as again:
        assert again.post("/api/v1/session", json={"email": ADA, "password": PASSWORD}).status_code == 401
        signed_in(it, again, ADA, OTHER)


def test_the_old_password_is_not_guessed_at_an_open_session(it: Keywright) -> None:
    with browser(it) as ada:
        signed_in(it, ada, ADA)
        wanted = {"old": "something else", "new": OTHER}
        said = [ada.post("/api/v1/session/password", json=wanted).status_code for _ in range(5)]
        assert said == [403, 403, 403, 403, 429]
        assert ada.post("/api/v1/session/password", json={"old": PASSWORD, "new": OTHER}).status_code == 429


def test_a_token_changes_no_password(it: Keywright) -> None:
    assert it.client().post("/session/password", json={"old": PASSWORD, "new": OTHER}).status_code == 403


# -- its ends


def test_without_a_request_it_ends_and_with_one_it_goes_on_until_it_ends_in_any_case(
    it: Keywright, watch: Watch
) -> None:
    configure(it, session_idle=600, session_life=2000)
    with browser(it) as ada:
        first = signed_in(it, ada, ADA)["session"]
        watch.on(seconds=50)  # less than a tenth of the idle time: nothing is written
        assert ada.get("/api/v1/session").json()["expires_at"] == first["expires_at"]
        seen = [first["expires_at"]]
        for _ in range(3):
            watch.on(seconds=540)
            seen.append(ada.get("/api/v1/session").json()["expires_at"])
        assert seen == sorted(set(seen))
        assert seen[-1] == first["ends_at"]
        watch.on(seconds=340)  # 2,010 seconds after it began
        assert ada.get("/api/v1/session").status_code == 401
        signed_in(it, ada, ADA)
        watch.on(seconds=601)
        assert ada.get("/api/v1/session").status_code == 401


def test_a_session_that_only_fetches_goes_on_too(it: Keywright, watch: Watch) -> None:
    configure(it, session_idle=600, step_up=0)
    owner = it.client()
    owner.post("/environments", json={"name": "production"})
    owner.put("/environments/production/variables/HOST", json={"value": "db"})
    with browser(it) as ada:
        signed_in(it, ada, ADA)
        text = ada.cookies["keywright"]
    with httpx2.Client(base_url=it.url, headers={"Authorization": f"Bearer {text}"}, trust_env=False) as command:
        watch.on(seconds=500)
        assert command.get("/api/v1/environments/production/values/HOST").status_code == 200  # by the fast lane
        token_id = text.split("_")[1]

        def moved() -> bool:
            found = it.service.keeper.door.look(lambda tx: tokens.find(tx, token_id))
            return found is not None and found.expires_at == watch.now + timedelta(seconds=600)

        wait_until(moved, "its idle end did not move")
        watch.on(seconds=500)
        assert command.get("/api/v1/session").status_code == 200


def test_when_somebody_was_here_is_noted(it: Keywright, watch: Watch) -> None:
    with browser(it) as ada:
        user_id = signed_in(it, ada, ADA)["session"]["user"]["id"]
        began = watch.now
        watch.on(seconds=300)
        ada.get("/api/v1/session")
        user = it.service.keeper.door.look(lambda tx: users.get(tx, user_id))
        assert user is not None
        assert (user.last_login_at, user.last_active_at) == (began, watch.now)


def test_many_requests_at_once_note_it_once(it: Keywright, watch: Watch) -> None:
    with browser(it) as ada:
        signed_in(it, ada, ADA)
        watch.on(seconds=300)
        before = it.service.ledger.epoch()
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(lambda _: ada.get("/api/v1/session").status_code, range(8)))
        assert said == [200] * 8
        assert it.service.ledger.epoch() - before <= 8
        user = it.service.keeper.door.look(lambda tx: users.named(tx, ADA))
        assert user is not None
        assert user.last_active_at == watch.now


# -- those of others


def test_one_sees_and_ends_ones_own_and_owners_of_people_those_of_others(it: Keywright) -> None:
    carol = person(it.service, "carol@example.test", Grant(Level.OWN, Kind.PEOPLE))
    with browser(it) as bob, browser(it) as bobs_phone, browser(it) as carols:
        one = signed_in(it, bob, BOB)["session"]
        two = signed_in(it, bobs_phone, BOB)["session"]
        signed_in(it, carols, carol.email)
        assert {each["id"]: each["current"] for each in bob.get("/api/v1/sessions").json()["items"]} == {
            one["id"]: True,
            two["id"]: False,
        }
        assert bob.delete(f"/api/v1/sessions/{two['id']}").status_code == 204
        assert bobs_phone.get("/api/v1/session").status_code == 401
        hers = carols.get("/api/v1/session").json()["id"]
        denied, absent = bob.delete(f"/api/v1/sessions/{hers}"), bob.delete(f"/api/v1/sessions/{'0' * 16}")
        assert (denied.status_code, absent.status_code) == (404, 404)
        assert denied.json()["detail"].replace(hers, "0" * 16) == absent.json()["detail"]
        assert bob.get("/api/v1/sessions", params={"user": carol.id}).status_code == 404
        of_bob = carols.get("/api/v1/sessions", params={"user": one["user"]["id"]}).json()["items"]
        assert [each["id"] for each in of_bob] == [one["id"]]
        assert carols.delete(f"/api/v1/sessions/{one['id']}").status_code == 204
        assert bob.get("/api/v1/session").status_code == 401
