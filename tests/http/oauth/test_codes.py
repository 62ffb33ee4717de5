"""The authorization code flow, attacked: a code is for one command line, once, on this computer."""

import pytest

from tests.http.oauth.conftest import ADA, REDIRECT, STATE, World, challenge, hidden, told, wish
from tests.rigs.people import browser, change, person, signed_in

ELSEWHERE = (
    "https://evil.example/callback",
    "http://evil.example:5123/callback",
    "http://127.0.0.1.evil.example:5123/callback",
    "http://127.0.0.1:5123@evil.example/callback",
    "http://evil.example#@127.0.0.1:5123/callback",
    "http://127.0.0.1:5123/callback/../elsewhere",
    "http://127.0.0.1:5123/callback?to=evil",
    "http://127.0.0.1:5123/callback#",
    "http://127.0.0.1:5123/elsewhere",
    "http://127.0.0.1:0/callback",
    "http://127.0.0.1:05123/callback",
    "http://127.0.0.1/callback",
    "https://127.0.0.1:5123/callback",
    "http://127.1:5123/callback",
    "http://[::1]:5123/callback",
    "http://localhost:5123/callback",
    "http://user@127.0.0.1:5123/callback",
    " http://127.0.0.1:5123/callback",
    "http://127.0.0.1:5123/callback\n",
    "javascript:alert(1)",
    "",
)


def test_a_command_line_is_let_in(world: World) -> None:
    page = world.page(**wish())
    assert page.status_code == 200
    for told_of in ("adas-laptop", ADA, "127.0.0.1", "Go on only if you started it yourself"):
        assert told_of in page.text
    answer = world.decide()
    assert answer.headers["location"].startswith(f"{REDIRECT}?")
    said = told(answer)
    assert (said["state"], said["iss"]) == (STATE, world.it.url)
    got = world.exchange(said["code"])
    assert got.status_code == 200, got.text
    assert got.headers["cache-control"] == "no-store"
    assert (got.json()["token_type"], got.json()["expires_in"]) == ("Bearer", 1800)
    token = got.json()["access_token"]
    assert world.me(token).json()["name"] == ADA
    (mine,) = [each for each in world.browser.get("/api/v1/sessions").json()["items"] if "adas-laptop" in each["agent"]]
    assert mine["method"] == "password"
    event = world.events("session.open")[0]
    assert (event["outcome"], event["detail"]["host"], event["actor"]) == ("allowed", "adas-laptop", world.ada.id)
    assert token.split("_", 2)[2] not in str(world.events(""))
    assert said["code"] not in str(world.it.client().get("/events").json())
    assert world.browser.delete(f"/api/v1/sessions/{mine['id']}").status_code == 204
    assert world.me(token).status_code == 401


def test_its_other_port_is_its_own_business(world: World) -> None:
    redirect = "http://127.0.0.1:61000/callback"
    code = world.code(redirect_uri=redirect)
    assert world.exchange(code, redirect_uri=redirect).status_code == 200


@pytest.mark.parametrize("redirect", ELSEWHERE)
def test_nobody_is_sent_elsewhere(world: World, redirect: str) -> None:
    answer = world.page(**wish(redirect_uri=redirect))
    assert (answer.status_code, answer.headers.get("location")) == (422, None)
    fields = hidden(world.page(**wish()).text) | {"decision": "allow", "redirect_uri": redirect}
    posted = world.post("/oauth/authorize", fields)
    assert (posted.status_code, posted.headers.get("location")) == (422, None)


@pytest.mark.parametrize(
    "other",
    [
        {"code_challenge": "-"},
        {"code_challenge": "short"},
        {"code_challenge_method": "-"},
        {"code_challenge_method": "plain"},
        {"response_type": "token"},
        {"client_id": "another"},
        {"client_id": "-"},
        {"state": "-"},
        {"state": "guessable"},
    ],
    ids=str,
)
def test_what_protects_it_is_not_left_out(world: World, other: dict[str, str]) -> None:
    assert world.page(**wish(**other)).status_code == 422
    fields = {name: text for name, text in hidden(world.page(**wish()).text).items() if other.get(name) != "-"}
    answer = world.post(
        "/oauth/authorize", fields | {"decision": "allow"} | {n: t for n, t in other.items() if t != "-"}
    )
    assert answer.status_code == 422
    assert "location" not in answer.headers


def test_a_parameter_that_is_there_twice_is_none(world: World) -> None:
    asked = [*wish().items(), ("redirect_uri", "https://evil.example/callback")]
    assert world.browser.get("/oauth/authorize", params=asked).status_code == 422


@pytest.mark.parametrize(
    "other",
    [
        {"code_verifier": "w" * 64},
        {"code_verifier": ""},
        {"code_verifier": challenge()},
        {"redirect_uri": "http://127.0.0.1:5124/callback"},
        {"redirect_uri": ""},
    ],
    ids=str,
)
def test_whoever_catches_a_code_cannot_use_it_and_has_used_it_up(world: World, other: dict[str, str]) -> None:
    code = world.code()
    wrong = world.exchange(code, **other)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    assert world.exchange(code).json()["error"] == "invalid_grant"
    assert {event["outcome"] for event in world.events("session.open")[:1]} == {"refused"}


def test_the_code_of_one_client_is_not_for_another(world: World) -> None:
    assert world.exchange(world.code(), client_id="another").json()["error"] == "invalid_client"
    assert world.exchange(world.code(), client_id="").json()["error"] == "invalid_client"


def test_a_code_that_comes_twice_takes_back_what_it_gave(world: World) -> None:
    code = world.code()
    token = world.exchange(code).json()["access_token"]
    assert world.me(token).status_code == 200
    assert world.exchange(code).json()["error"] == "invalid_grant"
    assert world.me(token).status_code == 401
    assert world.exchange(code).json()["error"] == "invalid_grant"


def test_a_code_lasts_for_a_minute(world: World) -> None:
    code = world.code()
    world.pass_(seconds=61)
    assert world.exchange(code).json()["error"] == "invalid_grant"


def test_a_code_that_there_is_not(world: World) -> None:
    answer = world.exchange("nothing")
    assert answer.json() == world.exchange("nothing else").json()
    event = world.events("session.open")[0]
    assert (event["kind"], event["outcome"], event["detail"]["reason"]) == ("stranger", "refused", "code")


def test_with_the_session_that_allowed_it_a_code_is_gone(world: World) -> None:
    code = world.code()
    assert world.browser.delete("/api/v1/session").status_code == 204
    assert world.exchange(code).json()["error"] == "invalid_grant"


def test_a_disabled_person_lets_nobody_in(world: World) -> None:
    code = world.code()
    change(world.it.service, world.ada, enabled=False)
    assert world.exchange(code).json()["error"] == "invalid_grant"


def test_refused_is_refused(world: World) -> None:
    said = told(world.decide("refuse"))
    assert (said["error"], said["state"]) == ("access_denied", STATE)
    assert "code" not in said
    assert world.events("session.refuse")[0]["detail"]["host"] == "adas-laptop"


def test_anything_but_yes_is_no(world: World) -> None:
    assert "code" not in told(world.decide(""))


def test_who_is_not_signed_in_signs_in_first_and_comes_back(world: World) -> None:
    with browser(world.it) as stranger:
        answer = stranger.get("/oauth/authorize", params=wish())
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=/oauth/authorize")


def test_a_page_of_another_site_lets_nobody_in(world: World) -> None:
    """Neither with a form of its own, nor with a token of a session of its own (login CSRF)."""
    fields = hidden(world.page(**wish()).text) | {"decision": "allow"}
    with browser(world.it) as eve:
        person(world.it.service, "eve@example.com")
        signed_in(world.it, eve, "eve@example.com")
        of_eve = hidden(eve.get("/oauth/authorize", params=wish()).text)["csrf"]
    for forged, headers in (
        ({"csrf": ""}, {}),
        ({"csrf": of_eve}, {}),
        ({}, {"Origin": "https://evil.example"}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
    ):
        answer = world.post("/oauth/authorize", fields | forged, headers=headers)
        assert (answer.status_code, answer.headers.get("location")) == (403, None), (forged, headers)


def test_a_token_by_hand_lets_no_computer_in(world: World) -> None:
    """Only who is signed in in the browser: a token in a header opens no page."""
    shown = {"Authorization": f"Bearer {world.it.owner}"}
    answer = world.outside.get("/oauth/authorize", params=wish(), headers=shown)
    assert answer.status_code == 303


@pytest.mark.parametrize("path", ["/oauth/authorize", "/oauth/device"])
def test_pages_stand_in_nobodys_frame_and_run_nothing(world: World, path: str) -> None:
    answer = world.page(path, **(wish() if path.endswith("authorize") else {}))
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert "frame-ancestors 'none'" in policy[0]
    assert "default-src 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert "<script" not in answer.text
    leads = [part.strip() for part in policy[0].split(";") if "form-action" in part]
    assert leads == ["form-action 'self' http://127.0.0.1:5123" if path.endswith("authorize") else "form-action 'self'"]
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


def test_what_a_computer_calls_itself_is_text(world: World) -> None:
    page = world.page(**wish(host="<script>alert(1)</script>"))
    assert "alert" not in page.text
    assert "a computer that tells no name" in page.text


@pytest.mark.parametrize("grant", ["password", "client_credentials", "refresh_token", ""])
def test_no_other_grants(world: World, grant: str) -> None:
    answer = world.outside.post("/oauth/token", data={"grant_type": grant, "client_id": "keywright"})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


def test_a_form_and_nothing_else(world: World) -> None:
    code = world.code()
    answer = world.outside.post("/oauth/token", json={"grant_type": "authorization_code", "code": code})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_it_says_what_there_is(world: World) -> None:
    said = world.outside.get("/.well-known/oauth-authorization-server").json()
    assert said["issuer"] == world.it.url
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert said["token_endpoint_auth_methods_supported"] == ["none"]
    assert said["grant_types_supported"] == ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]
