"""One service and one hostile provider for all tests of a module, and sign-ins between them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest

from service.keeper.strangers import Strangers
from tests.rigs.hostile_provider import CLIENT, HostileProvider, running_hostile_provider
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.ports import free_port


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    port = free_port()
    with running_keywright(port=port, url=f"http://127.0.0.1:{port}") as served:
        # Of those who are turned away the log tells some each second, and these tests are quicker.
        now = count(step=10)
        served.service.keeper.recorder.strangers = Strangers(lambda: float(next(now)))
        yield served


@pytest.fixture(scope="module")
def server() -> Iterator[HostileProvider]:
    with running_hostile_provider() as provider:
        yield provider


@dataclass
class Site:
    """One provider of the server, known to Keywright by the same name."""

    it: Keywright
    server: HostileProvider
    name: str

    @property
    def issuer(self) -> str:
        return f"{self.server.url}/{self.name}"

    @property
    def here(self) -> str:
        return f"{self.it.url}/sign-in/oidc/{self.name}"

    def let(self, **more: Any) -> None:
        """Let people sign in by it."""
        entry = {"creates": True} | more.pop("entry", {})
        own = {"kind": "oidc", "issuer": self.issuer, "client_id": CLIENT, "ca": self.server.ca, "entry": entry}
        body = {"name": self.name, "secret": more.pop("secret", "s3cret"), "definition": own | more}
        made = self.it.client().post("/identity-providers", json=body)
        assert made.status_code == 201, made.text

    def browser(self) -> httpx2.Client:
        made = httpx2.Client(timeout=60, trust_env=False)
        self.it._clients.append(made)
        return made

    def begun(self, browser: httpx2.Client, query: str = "") -> str:
        """The state of a sign-in that was begun."""
        answer = browser.get(self.here + query)
        assert answer.status_code == 303, answer.text
        return self.server.heard(answer.headers["location"])

    def back(self, browser: httpx2.Client, state: str | None, **more: str | None) -> httpx2.Response:
        """The browser comes back; None takes a parameter out."""
        query = {"state": state, "code": "c0de", "iss": self.issuer} | more
        given = {name: value for name, value in query.items() if value is not None}
        return browser.get(f"{self.here}/callback?{urlencode(given)}")

    def come(self, **more: str | None) -> httpx2.Response:
        """A whole sign-in by a browser of its own."""
        browser = self.browser()
        return self.back(browser, self.begun(browser), **more)

    def refusal(self) -> str:
        """The reason that the log has for the last sign-in that was refused."""
        found = self.it.client().get("/events", params={"action": "session.open", "limit": 50}).json()["items"]
        return next(event["detail"]["reason"] for event in found if event["outcome"] == "refused")


@pytest.fixture
def site(it: Keywright, server: HostileProvider, request: pytest.FixtureRequest) -> Iterator[Site]:
    number = sum(1 for _ in it.client().get("/identity-providers?limit=500").json()["items"])
    made = Site(it, server, f"p{number}-{time.monotonic_ns()}")
    yield made
    it.client().delete(f"/identity-providers/{made.name}")
    server.metadata, server.answers, server.tokens = {}, {}, HostileProvider().tokens
