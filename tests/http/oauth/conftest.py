"""A service, somebody who is signed in in a browser, and a command line that asks to be let in."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from service.core.person import User
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.people import browser, person, signed_in

ADA = "ada@example.com"
VERIFIER = "v" * 64
STATE = "s" * 32
REDIRECT = "http://127.0.0.1:5123/callback"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def challenge(verifier: str = VERIFIER) -> str:
    """RFC 7636, 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def wish(**other: str) -> dict[str, str]:
    """A request of the command line, with something else in it."""
    asked = {
        "client_id": "keywright",
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "code_challenge": challenge(),
        "code_challenge_method": "S256",
        "state": STATE,
        "host": "adas-laptop",
    }
    return {name: text for name, text in (asked | other).items() if text != "-"}


@dataclass
class World:
    """A service whose clock is moved by hand."""

    it: Keywright
    ada: User
    browser: httpx2.Client
    outside: httpx2.Client
    moment: list[datetime]

    def pass_(self, **time: float) -> None:
        """So much later."""
        self.moment[0] += timedelta(**time)

    def page(self, path: str = "/oauth/authorize", **asked: str) -> httpx2.Response:
        """As the browser shows it."""
        return self.browser.get(path, params=asked)

    def post(self, path: str, fields: dict[str, str], **more: Any) -> httpx2.Response:
        """A form, as the browser sends it."""
        return self.browser.post(path, data=fields, **more)

    def decide(self, decision: str = "allow", **other: str) -> httpx2.Response:
        """What the browser is answered when its person has decided."""
        fields = hidden(self.page(**wish(**other)).text)
        return self.post("/oauth/authorize", fields | {"decision": decision})

    def code(self, **other: str) -> str:
        """A code, as it arrives at the command line."""
        return told(self.decide(**other))["code"]

    def exchange(self, code: str, **other: str) -> httpx2.Response:
        """A code, shown as the command line shows it."""
        asked = {
            "grant_type": "authorization_code",
            "client_id": "keywright",
            "code": code,
            "redirect_uri": REDIRECT,
            "code_verifier": VERIFIER,
        }
        return self.outside.post("/oauth/token", data=asked | other)

    def begin(self) -> dict[str, Any]:
        """A computer without a browser begins."""
        answer = self.outside.post("/oauth/device-authorization", data={"client_id": "keywright", "host": "a-server"})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def ask(self, begun: dict[str, Any]) -> httpx2.Response:
        """It asks whether it was let in."""
        asked = {"grant_type": DEVICE_GRANT, "client_id": "keywright", "device_code": begun["device_code"]}
        return self.outside.post("/oauth/token", data=asked)

    def type_(self, code: str, by: httpx2.Client | None = None, **more: str) -> httpx2.Response:
        """Somebody types a code."""
        whose = by or self.browser
        fields = hidden(whose.get("/oauth/device").text)
        return whose.post("/oauth/device", data=fields | {"code": code, **more})

    def me(self, token: str) -> httpx2.Response:
        """Whom a token stands for."""
        return self.outside.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    def events(self, action: str) -> list[dict[str, Any]]:
        """Those of an action, the youngest first."""
        return list(self.it.client().get("/events", params={"action": action}).json()["items"])


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a form."""
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page))


def told(answer: httpx2.Response) -> dict[str, str]:
    """What is told to where a redirect leads."""
    assert answer.status_code == 303, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@pytest.fixture
def world() -> Iterator[World]:
    moment = [datetime.now(UTC)]
    with (
        running_keywright(now=lambda: moment[0]) as it,
        browser(it) as ada,
        httpx2.Client(base_url=it.url, timeout=90, trust_env=False) as outside,
    ):
        user = person(it.service, ADA, Grant(Level.OWN, Kind.EVERYTHING))
        signed_in(it, ada, ADA)
        yield World(it, user, ada, outside, moment)
