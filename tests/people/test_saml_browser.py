"""A person signs in by a real SAML provider in a real browser, and leaves both."""

from playwright.sync_api import expect

from tests.people.test_saml_flow import NAMES
from tests.rigs import persons
from tests.rigs.asserting import pair
from tests.rigs.chromium import browsing
from tests.rigs.keywright import Keywright
from tests.rigs.saml_provider import running_saml_provider

ACCOUNTS = {"ada": {"said": {"email": "ada@example.com", "name": "Ada"}}}


def test_there_and_back_and_out_of_both(it: Keywright) -> None:
    persons.decide(it.service)
    ours = pair("keywright")
    with (
        running_saml_provider(it.url, accounts=ACCOUNTS, ours=ours.certificate) as there,
        browsing(it.url) as page,
    ):
        told = it.client().post("/saml-metadata", json={"xml": there.metadata()}).json()
        definition = {"kind": "saml", "entry": {"creates": True}} | NAMES | told
        body = {"name": "npm", "definition": definition, "secret": ours.key}
        assert it.client().post("/identity-providers", json=body).status_code == 201
        page.goto("/sign-in?next=/factors")
        page.get_by_role("link", name="Sign in with npm").click()
        page.wait_for_url("**/factors")  # the provider's page posts its form by itself
        page.goto("/")
        expect(page.get_by_text("ada@example.com")).to_be_visible()
        page.goto("/sign-out")
        with page.expect_request(f"{there.url}/slo?**") as left:
            page.get_by_role("button", name="Sign out").click()
        answer = left.value.response()
        assert answer is not None
        assert answer.status == 302
        page.wait_for_url("**/sign-in")  # which the provider leads back to
        page.goto("/")
        page.wait_for_url("**/sign-in")
        persons.decide(it.service, second_factor_required=True)
        page.goto("/sign-in?next=/factors")
        page.get_by_role("link", name="Sign in with npm").click()
        page.wait_for_url("**/sign-in/factor?next=/factors")
