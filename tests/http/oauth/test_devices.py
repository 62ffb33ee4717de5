"""The device flow, attacked: codes cannot be guessed, are typed by who sees the screen, and are of use once."""

import re

import httpx2

from service.people.devices import LETTERS, normal
from tests.http.oauth.conftest import ADA, World, hidden
from tests.rigs.people import browser, person, signed_in


def test_a_computer_without_a_browser_is_let_in(world: World) -> None:
    begun = world.begin()
    assert re.fullmatch(f"[{LETTERS}]{{4}}-[{LETTERS}]{{4}}", begun["user_code"])
    assert (begun["expires_in"], begun["interval"]) == (600, 5)
    assert "verification_uri_complete" not in begun, "a link that holds the code is what is sent to victims"
    assert world.ask(begun).json()["error"] == "authorization_pending"
    page = world.type_(begun["user_code"].lower().replace("-", " "))
    assert page.status_code == 200
    for told in (begun["user_code"], "a-server", "127.0.0.1", ADA, "Did somebody send you a code"):
        assert told in page.text
    world.pass_(seconds=5)
    assert world.ask(begun).json()["error"] == "authorization_pending", "a code that was typed lets nobody in yet"
    done = world.post("/oauth/device", hidden(page.text) | {"decision": "allow"})
    assert (done.status_code, "It is let in" in done.text) == (200, True)
    world.pass_(seconds=5)
    got = world.ask(begun)
    assert got.status_code == 200, got.text
    assert world.me(got.json()["access_token"]).json()["name"] == ADA
    assert world.ask(begun).json()["error"] == "expired_token", "once"
    assert world.events("session.allow")[0]["detail"] == {"host": "a-server", "at": "127.0.0.1"}


def test_a_computer_is_not_let_in(world: World) -> None:
    begun = world.begin()
    world.type_(begun["user_code"], decision="refuse")
    assert world.ask(begun).json()["error"] == "access_denied"
    assert world.ask(begun).json()["error"] == "expired_token"


def test_a_code_lets_one_computer_in(world: World) -> None:
    begun = world.begin()
    assert world.type_(begun["user_code"], decision="allow").status_code == 200
    assert world.type_(begun["user_code"], decision="allow").status_code == 404


def test_after_ten_minutes_it_is_over(world: World) -> None:
    begun = world.begin()
    world.pass_(minutes=10, seconds=1)
    assert world.ask(begun).json()["error"] == "expired_token"
    assert world.type_(begun["user_code"]).status_code == 404


def test_who_asks_too_often_is_told_to_wait_longer(world: World) -> None:
    begun = world.begin()
    assert world.ask(begun).json()["error"] == "authorization_pending"
    assert world.ask(begun).json()["error"] == "slow_down"
    world.pass_(seconds=5)
    assert world.ask(begun).json()["error"] == "slow_down", "ten seconds now"
    world.pass_(seconds=15)
    assert world.ask(begun).json()["error"] == "authorization_pending"


def guess(world: World, by: httpx2.Client | None = None) -> httpx2.Response:
    return world.type_("BBBB-BBBB", by)


def test_who_guesses_waits_longer_and_longer(world: World) -> None:
    begun = world.begin()
    waits = []
    for _ in range(4):
        assert guess(world).status_code == 404
    for _ in range(5):
        answer = guess(world)
        assert answer.status_code == 429
        waits.append(int(re.search(r"wait (\d+) seconds", answer.text)[1]))  # type: ignore[index]
        # Right or wrong makes no difference while it waits.
        assert world.type_(begun["user_code"]).status_code == 429
        world.pass_(seconds=waits[-1])
        if waits[-1] < 80:
            assert guess(world).status_code == 404
    assert [wait - 1 for wait in waits] == [5, 10, 20, 40, 80]
    with browser(world.it) as bob:
        person(world.it.service, "bob@example.com")
        signed_in(world.it, bob, "bob@example.com")
        assert guess(world, bob).status_code == 404, "who guesses holds up nobody else"


def test_deciding_is_no_way_around_the_wait(world: World) -> None:
    for _ in range(4):
        assert world.type_("BBBB-BBBB", decision="allow").status_code == 404
    assert world.type_("BBBB-BBBB", decision="allow").status_code == 429


def test_a_page_of_another_site_types_nothing(world: World) -> None:
    begun = world.begin()
    fields = {"code": begun["user_code"], "decision": "allow"}
    assert world.post("/oauth/device", fields).status_code == 403
    right = hidden(world.page("/oauth/device").text)
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    assert world.post("/oauth/device", right | fields, headers=headers).status_code == 403
    assert world.ask(begun).json()["error"] == "authorization_pending"


def test_the_code_is_no_part_of_an_address(world: World) -> None:
    begun = world.begin()
    page = world.page("/oauth/device", code=begun["user_code"], user_code=begun["user_code"])
    assert begun["user_code"] not in page.text


def test_nobody_types_without_being_signed_in(world: World) -> None:
    begun = world.begin()
    answer = world.outside.post("/oauth/device", data={"code": begun["user_code"], "decision": "allow"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=/oauth/device")
    assert world.ask(begun).json()["error"] == "authorization_pending"


def test_another_client_begins_nothing(world: World) -> None:
    answer = world.outside.post("/oauth/device-authorization", data={"client_id": "another"})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_codes_as_they_are_typed() -> None:
    assert normal(" bcdf-ghjk ") == normal("BCDF GHJK") == "BCDFGHJK"
    assert normal("B" * 41) == ""
