"""The pages about second factors, in a real browser."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.rigs import people, persons
from tests.rigs.chromium import authenticator, browsing
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.ports import free_port


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    port = free_port()
    with running_keywright(port=port, url=f"http://localhost:{port}") as served:
        yield served


@pytest.fixture
def page(it: Keywright) -> Iterator[Page]:
    persons.decide(it.service)
    with browsing(f"http://localhost:{it.port}") as opened:
        yield opened


_number = iter(range(1000))


@pytest.fixture
def ada(it: Keywright) -> str:
    email = f"ada{next(_number)}@keywright.test"
    people.person(it.service, email, persons.OWNER)
    return email


def typed(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(people.PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def makes_a_passkey(page: Page) -> None:
    page.goto("/factors")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_role("heading")).to_have_text("Your recovery codes")
    assert page.locator(".codes li").count() == 10
    page.get_by_text("I have kept them").click()
    expect(page.locator(".factor")).to_have_count(1)


def signs_out(page: Page) -> None:
    page.goto("/sign-out")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")


def test_a_passkey_is_made_and_signs_in_by_itself_and_beside_a_password(page: Page, ada: str) -> None:
    authenticator(page)
    typed(page, ada)
    page.wait_for_url("**/")
    makes_a_passkey(page)
    signs_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/")
    expect(page.locator("dl")).to_contain_text("passkey")
    signs_out(page)
    typed(page, ada)
    page.wait_for_url("**/sign-in/factor")
    page.get_by_role("button", name="Use your passkey").click()
    page.wait_for_url("**/")
    expect(page.locator("dl")).to_contain_text("password")


def test_an_authenticator_that_is_not_sure_whose_finger_it_is_lets_nobody_in(page: Page, ada: str) -> None:
    wire, key = authenticator(page)
    typed(page, ada)
    page.wait_for_url("**/")
    makes_a_passkey(page)
    signs_out(page)
    wire.send("WebAuthn.setUserVerified", {"authenticatorId": key, "isUserVerified": False})
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator(".problem")).to_contain_text("No passkey was shown")
    page.goto("/")
    page.wait_for_url("**/sign-in")


def test_who_needs_a_factor_is_led_to_an_app(it: Keywright, page: Page, ada: str) -> None:
    persons.decide(it.service, second_factor_required=True)
    typed(page, ada)
    page.wait_for_url("**/sign-in/factor")
    page.get_by_role("button", name="Use an authenticator app").click()
    expect(page.locator(".code svg")).to_be_visible()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("The code that it shows then").fill("000 000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("whether the clocks")
    page.get_by_label("app shows now").fill(now(secret))  # of the same secret
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading")).to_have_text("Your recovery codes")
    code = page.locator(".codes li").first.inner_text()
    page.get_by_text("I have kept them").click()
    page.wait_for_url("**/")
    signs_out(page)
    typed(page, ada)
    page.wait_for_url("**/sign-in/factor")
    page.get_by_label("Code of your authenticator app").fill("000 000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("alert")).to_contain_text("not right")
    page.get_by_label("Code of your authenticator app").fill(code)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/")


def test_who_needs_a_factor_is_led_to_a_passkey(it: Keywright, page: Page, ada: str) -> None:
    persons.decide(it.service, second_factor_required=True)
    authenticator(page)
    typed(page, ada)
    page.wait_for_url("**/sign-in/factor")
    page.get_by_role("button", name="Make a passkey").click()
    expect(page.get_by_role("heading")).to_have_text("Your recovery codes")
    page.get_by_text("I have kept them").click()
    page.wait_for_url("**/")


def test_taking_one_away_asks_for_it_first_and_the_cookie_changes(it: Keywright, page: Page, ada: str) -> None:
    typed(page, ada)
    page.wait_for_url("**/")
    with it.service.ledger.read() as tx:
        from service.ledger import users

        user = users.named(tx, ada)
        assert user is not None
    secret = persons.app(it.service, user.id)
    page.goto("/factors")
    page.get_by_role("button", name="Take app away").click()
    expect(page.get_by_role("alert").first).to_contain_text("needs a second factor")
    former = [each["value"] for each in page.context.cookies() if each["name"] == "keywright"]
    page.get_by_text("Show your second factor first").click()
    page.get_by_label("Code of your authenticator app").fill(now(secret))
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url("**/factors")
    assert it.client(former[0]).get("/me").status_code == 401
    page.get_by_role("button", name="Take app away").click()
    expect(page.locator("main")).to_contain_text("You have no second factor yet")


def test_a_wrong_first_code_of_a_further_app_is_asked_for_again(page: Page, ada: str) -> None:
    typed(page, ada)
    page.wait_for_url("**/")
    page.goto("/factors")
    page.get_by_role("button", name="Add an authenticator app").click()
    secret = page.locator("#secret").inner_text()
    page.get_by_label("The code that it shows then").fill("000 000")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading")).to_have_text("Your authenticator app")
    assert secret not in page.content()
    page.get_by_label("app shows now").fill(now(secret))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("heading")).to_have_text("Your recovery codes")


def test_on_a_telephone_no_page_is_wider_than_it_and_a_keyboard_is_enough(it: Keywright, page: Page) -> None:
    email = "somebody.with.a.very.long.name.in.front.of@the.address.of.the.company.test"
    people.person(it.service, email, persons.OWNER, name="x" * 80)
    page.set_viewport_size({"width": 360, "height": 640})
    page.goto("/sign-in?next=/oauth/device")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(people.PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/oauth/device")
    host = "a-computer-whose-name-is-as-long-as-names-of-computers-may-be"
    asked = {"client_id": "keywright", "host": host}
    begun = it.nobody().post(f"{it.url}/oauth/device-authorization", data=asked).json()
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(begun["user_code"])
    page.keyboard.press("Enter")
    expect(page.get_by_text(host)).to_be_visible()
    assert width(page) <= 360
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Let it in")).to_be_focused()
    for path in ("/", "/factors", "/password", "/sign-out", "/sign-in", "/sign-in/saml/nobody"):
        page.goto(path)
        assert width(page) <= 360, path


def width(page: Page) -> int:
    """Pixels that a page takes."""
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


def now(secret: str) -> str:
    return pyotp.TOTP(secret).at(datetime.now(UTC))
