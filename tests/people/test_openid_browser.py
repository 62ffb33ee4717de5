"""A person signs in by a real OpenID provider in a real browser, and leaves both."""

from datetime import UTC, datetime

import pyotp
from playwright.sync_api import Page, expect

from tests.rigs import persons
from tests.rigs.chromium import browsing
from tests.rigs.keywright import Keywright
from tests.rigs.openid_provider import SECRET, running_openid_provider

ACCOUNTS = {"ada": {"email": "ada@example.com", "email_verified": True, "name": "Ada"}}


def goes_there_and_back(page: Page, name: str) -> None:
    page.get_by_role("link", name=f"Sign in with {name}").click()
    page.locator("input[name=login]").fill("ada")
    page.locator("input[name=password]").fill("anything")
    page.get_by_role("button").first.click()
    page.get_by_role("button").first.click()  # yes, tell Keywright


def test_there_and_back_and_out_of_both(it: Keywright) -> None:
    persons.decide(it.service)
    with running_openid_provider(it.url, accounts=ACCOUNTS) as there, browsing(it.url) as page:
        body = {"name": "npm", "definition": there.definition(entry={"creates": True}), "secret": SECRET}
        assert it.client().post("/identity-providers", json=body).status_code == 201
        page.goto("/sign-in?next=/factors")
        goes_there_and_back(page, "npm")
        page.wait_for_url("**/factors")
        page.goto("/")
        expect(page.get_by_text("ada@example.com")).to_be_visible()
        page.goto("/sign-out")
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(f"{there.url}/session/end**")
        page.get_by_role("button").first.click()  # yes, there too
        page.wait_for_url("**/sign-in")
        page.goto("/")
        page.wait_for_url("**/sign-in")
        page.get_by_role("link", name="Sign in with npm").click()
        expect(page.locator("input[name=login]")).to_be_visible()  # nobody is signed in there either


def test_where_one_wanted_to_go_outlives_a_second_factor_of_ours(it: Keywright) -> None:
    persons.decide(it.service, second_factor_required=True)
    accounts = {"ada": {"email": "factors@example.com", "email_verified": True}}
    with running_openid_provider(it.url, "strict", accounts=accounts) as there, browsing(it.url) as page:
        body = {"name": "strict", "definition": there.definition(entry={"creates": True}), "secret": SECRET}
        assert it.client().post("/identity-providers", json=body).status_code == 201
        onward = "/factors?from=a%20page&then=/"
        page.goto("/sign-in?next=/factors%3Ffrom%3Da%2520page%26then%3D/")
        goes_there_and_back(page, "strict")
        page.wait_for_url("**/sign-in/factor?next=**")
        page.get_by_role("button", name="Use an authenticator app").click()
        secret = page.locator("#secret").inner_text()
        page.get_by_label("The code that it shows then").fill("000 000")
        page.get_by_role("button", name="Go on").click()
        page.get_by_label("app shows now").fill(pyotp.TOTP(secret).at(datetime.now(UTC)))
        page.get_by_role("button", name="Go on").click()
        code = page.locator(".codes li").first.inner_text()
        page.get_by_text("I have kept them").click()
        page.wait_for_url(f"{it.url}{onward}")
        page.context.clear_cookies()
        page.goto("/sign-in?next=/factors%3Ffrom%3Da%2520page%26then%3D/")
        goes_there_and_back(page, "strict")
        page.wait_for_url("**/sign-in/factor?next=**")
        page.get_by_label("Code of your authenticator app").fill("000 000")
        page.get_by_role("button", name="Go on").click()
        expect(page.get_by_role("alert")).to_contain_text("not right")
        page.get_by_label("Code of your authenticator app").fill(code)
        page.get_by_role("button", name="Go on").click()
        page.wait_for_url(f"{it.url}{onward}")
