"""A real browser: Debian's Chromium, driven by Playwright, with an authenticator that the browser makes up.

    with browsing(url) as page:                 a page of a browser that knows nothing yet
        authenticator(page)                     from now on passkeys are made and shown, as if by a finger

A page that says anything on its console, or breaks the policy that it came with, fails the test.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import CDPSession, ConsoleMessage, Page, sync_playwright

from tests.rigs.debian import need

PATIENCE = 60_000
"""Milliseconds that a page may take."""


@contextmanager
def browsing(url: str) -> Iterator[Page]:
    """A page of a new browser, whose paths are those of this server."""
    program = need("chromium", "chromium", "/usr/lib/chromium/chromium")
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage", "--no-proxy-server"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments, timeout=PATIENCE)
        try:
            context = browser.new_context(base_url=url)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            said: list[str] = []

            def heard(message: ConsoleMessage) -> None:
                place = message.location.get("url") or url
                # The pages of an identity provider are not ours, and a remark is no complaint.
                if message.type != "info" and page.url.startswith(url) and place.startswith(url):
                    said.append(f"{message.type}: {message.text}")

            page.on("console", heard)
            page.on("pageerror", lambda error: said.append(str(error)))
            yield page
            # What the server refuses the browser notes by itself; what a page may not load is something else.
            assert [each for each in said if "the server responded with a status of" not in each] == [], said
        finally:
            browser.close()


def authenticator(page: Page) -> tuple[CDPSession, str]:
    """One that is built in, keeps passkeys, and is always sure whose finger it is; how to speak to it, and its id."""
    wire = page.context.new_cdp_session(page)
    wire.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = wire.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return wire, str(made["authenticatorId"])
