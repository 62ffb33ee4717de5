"""Pages: what a browser is shown, what it may load, and where it may be sent."""

import re
from collections.abc import Iterator

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from service.http.pages.frame import onward
from service.people.people import Way
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.people import PASSWORD, browser, person

ADA = "ada@example.test"
OTHER = "walnut harbour pencil ostrich"


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    with running_keywright() as served:
        person(served.service, ADA, Grant(Level.OWN, Kind.EVERYTHING), name="Ada <b>Lovelace</b>")
        yield served


@pytest.fixture
def ada(it: Keywright) -> Iterator[httpx2.Client]:
    with browser(it) as made:
        yield made


def form(email: str = ADA, password: str = PASSWORD, **more: str) -> dict[str, str]:
    return {"email": email, "password": password, **more}


def csrf(page: httpx2.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found
    return found[1]


def test_somebody_signs_in_by_the_page_goes_home_and_signs_out(it: Keywright, ada: httpx2.Client) -> None:
    assert ada.get("/").headers["location"] == "/sign-in"
    page = ada.get("/sign-in")
    assert page.status_code == 200
    assert re.findall(r'<label for="(\w+)">', page.text) == ["email", "password"]
    assert 'autocomplete="current-password"' in page.text
    answer = ada.post("/sign-in", data=form())
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    home = ada.get("/")
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in home.text
    assert ada.post("/sign-out", data={"csrf": ""}).status_code == 403
    assert ada.get("/").status_code == 200
    out = ada.post("/sign-out", data={"csrf": csrf(home)})
    assert (out.status_code, out.headers["location"]) == (303, "/sign-in")
    assert ada.get("/").headers["location"] == "/sign-in"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-in/invitation", "/sign-in/password", "/", "/sign-out"])
def test_a_page_loads_nothing_from_elsewhere_and_stands_in_no_frame(ada: httpx2.Client, path: str) -> None:
    answer = ada.get(path)
    (policy,) = answer.headers.get_list("content-security-policy")
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    # With `no-referrer` a browser would not say where a form comes from; what only leads on elsewhere has none.
    assert answer.headers["referrer-policy"] == ("same-origin" if answer.status_code == 200 else "no-referrer")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not re.search(r"<script(?! src=\"/)|\son\w+=|style=|https?://", answer.text)


def test_the_style_sheet_is_there(ada: httpx2.Client) -> None:
    answer = ada.get("/pages/style.css")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/css; charset=utf-8")


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example", "/\\evil.example", "\\\\evil.example", "https://evil.example", "https:evil.example",
        "javascript:alert(1)", "/\tevil", "/a\r\nSet-Cookie: a=b", " /a", "", "evil", "/" + "a" * 3000, "/a\\b",
    ],
)  # fmt: skip
def test_nobody_is_sent_elsewhere(it: Keywright, wanted: str) -> None:
    assert onward(wanted) == "/"
    with browser(it) as made:
        answer = made.post("/sign-in", data=form(next=wanted))
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_one_goes_on_to_where_one_wanted_to_go(ada: httpx2.Client) -> None:
    page = ada.get("/sign-in", params={"next": "/password?a=1&b=2"})
    assert 'name="next" value="/password?a=1&amp;b=2"' in page.text
    assert ada.post("/sign-in", data=form(next="/password?a=1&b=2")).headers["location"] == "/password?a=1&b=2"


def test_what_is_wrong_is_said_on_the_page_and_nothing_typed_becomes_part_of_it(ada: httpx2.Client) -> None:
    answer = ada.post("/sign-in", data=form('"><script>alert(1)</script>@example.test', "x"))
    assert answer.status_code == 401
    assert "<script>" not in answer.text
    assert ada.post("/sign-in", data=form("\0", "\0")).status_code == 401
    wrong = ada.post("/sign-in", data=form("nobody@example.test", "a wrong one"))
    assert wrong.status_code == 401
    assert "the e-mail address or the password is wrong" in wrong.text
    assert "a wrong one" not in wrong.text
    assert 'value="nobody@example.test"' in wrong.text
    assert "<h1>Sign in</h1>" in wrong.text


@pytest.mark.parametrize(
    "body", ["email=a&email=b", "a" * 50_000, "email=%FF", "email=%ED%A0%80", "&".join("abcdefghijklmnopqrstuvwxyz")]
)
def test_what_no_form_sends_is_refused(ada: httpx2.Client, body: str) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert ada.post("/sign-in", content=body, headers=kind).status_code == 422
    assert ada.post("/sign-in", json={"email": ADA}).status_code == 422


def test_ways_to_sign_in_elsewhere_are_buttons(it: Keywright, ada: httpx2.Client) -> None:
    people = it.service.people
    object.__setattr__(people, "ways", lambda: [Way("Example & Co", "/sign-in/oidc/example")])
    try:
        page = ada.get("/sign-in", params={"next": "/password"}).text
    finally:
        object.__setattr__(people, "ways", tuple)
    assert '<a class="button" href="/sign-in/oidc/example?next=/password">Sign in with Example &amp; Co</a>' in page


def test_one_changes_ones_password_on_a_page(it: Keywright) -> None:
    bob = person(it.service, "bob@example.test")
    with browser(it) as made:
        assert made.get("/password").headers["location"] == "/sign-in?next=/password"
        made.post("/sign-in", data=form(bob.email))
        sent = {"csrf": csrf(made.get("/password")), "old": PASSWORD, "new": OTHER, "again": OTHER}
        assert made.post("/password", data=sent | {"again": "another"}).status_code == 422
        assert made.post("/password", data=sent | {"csrf": "x"}).status_code == 403
        assert made.post("/password", data=sent).status_code == 303
        assert made.get("/").status_code == 200
        assert made.post("/sign-in", data=form(bob.email)).status_code == 401
        assert made.post("/sign-in", data=form(bob.email, OTHER)).status_code == 303


def test_a_sign_in_that_is_over_is_begun_again_for_where_one_wanted_to_go(it: Keywright) -> None:
    with browser(it) as made:
        made.cookies.set("keywright-waiting", "nothing waits for this")
        over = made.get("/sign-in/factor", params={"next": "/password?a=1&b=2"})
        assert over.status_code == 401
        assert any(each.startswith('keywright-waiting="";') for each in over.headers.get_list("set-cookie"))
        assert "<h1>Not signed in</h1>" in over.text
        assert '<a href="/password?a=1&amp;b=2">Go on</a>' in over.text
        for wanted in ("//evil.example", "https://evil.example", "javascript:alert(1)"):
            made.cookies.set("keywright-waiting", "nothing waits for this")
            assert '<a href="/">Go on</a>' in made.get("/sign-in/factor", params={"next": wanted}).text
            made.cookies.set("keywright-waiting", "nothing waits for this")
            assert '<a href="/">Go on</a>' in made.post("/sign-in/factor", data={"next": wanted, "code": "1"}).text


def test_an_invitation_leads_on_to_where_one_wanted_to_go(ada: httpx2.Client) -> None:
    page = ada.get("/sign-in", params={"next": "/password?a=1"}).text
    assert '<a href="/sign-in/invitation?next=/password%3Fa%3D1">' in page
    assert 'name="next" value="/password?a=1"' in ada.get("/sign-in/invitation?next=/password%3Fa%3D1").text
    assert 'name="next" value="/"' in ada.get("/sign-in/invitation?next=//evil.example").text


def test_an_invitation_is_typed_in_on_a_page(it: Keywright) -> None:
    carol = person(it.service, "carol@example.test", password=None)
    made_ = it.client().post(f"/users/{carol.id}/invitations").json()
    with browser(it) as made:
        sent = {"invitation": f" {made_['text']} ", "password": OTHER, "again": OTHER}
        assert made.post("/sign-in/invitation", data=sent | {"again": "x"}).status_code == 422
        assert made.post("/sign-in/invitation", data=sent).headers["location"] == "/"
        assert carol.email in made.get("/").text
        assert made.post("/sign-in/invitation", data=sent).status_code == 401


def test_who_has_to_choose_a_new_password_is_led_there_by_a_cookie(it: Keywright) -> None:
    dan = person(it.service, "dan@example.test", must_change=True)
    with browser(it) as made:
        answer = made.post("/sign-in", data=form(dan.email, next="/password"))
        assert answer.headers["location"] == "/sign-in/password?next=/password"
        assert made.get("/").headers["location"] == "/sign-in"
        page = made.get("/sign-in/password", params={"next": "/password"})
        assert 'autocomplete="new-password"' in page.text
        sent = {"next": "/password", "password": OTHER, "again": OTHER}
        assert made.post("/sign-in/password", data=sent).headers["location"] == "/password"
        assert "keywright-waiting" not in made.cookies
        assert made.get("/password").status_code == 200
