"""A person signs in by a real OpenID provider in a real browser, and leaves both."""

from playwright.sync_api import expect

from tests.rigs import persons
from tests.rigs.chromium import browsing
from tests.rigs.keywright import Keywright
from tests.rigs.openid_provider import SECRET, running_openid_provider

ACCOUNTS = {"ada": {"email": "ada@example.com", "email_verified": True, "name": "Ada"}}


def test_there_and_back_and_out_of_both(it: Keywright) -> None:
    persons.decide(it.service)
    with running_openid_provider(it.url, accounts=ACCOUNTS) as there, browsing(it.url) as page:
        body = {"name": "npm", "definition": there.definition(entry={"creates": True}), "secret": SECRET}
        assert it.client().post("/identity-providers", json=body).status_code == 201
        page.goto("/sign-in?next=/factors")
        page.get_by_role("link", name="Sign in with npm").click()
        page.locator("input[name=login]").fill("ada")
        page.locator("input[name=password]").fill("anything")
        page.get_by_role("button").first.click()
        page.get_by_role("button").first.click()  # yes, tell Keywright
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
