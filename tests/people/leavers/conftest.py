"""Three replicas over one ledger in PostgreSQL, and people who come with whatever lets them in, and are put out."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

import httpx2
import pytest

from service.core.connection import Engine
from service.people.hashing import Hashing
from tests.http.conftest import LOGINS, furnish
from tests.http.conftest import PASSWORD as LOGIN_PASSWORD
from tests.http.oauth.conftest import REDIRECT, VERIFIER, hidden, told, wish
from tests.http.scim.conftest import Provider, scim_client
from tests.rigs import persons
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.listening import PATIENCE, Way
from tests.rigs.postgresql import PostgresServer

PLACE = "/api/v1/environments/production"
EDIT, USE, TEAM = "editors", "readers", "directory-team"
INACTIVE = {"op": "replace", "path": "active", "value": False}
ENDS = ("disabled by hand", "disabled by SCIM", "taken out of its group")
_numbers = count(1)


@dataclass
class Replicas:
    """All of them. What ends somebody is asked of the first one."""

    each: tuple[Keywright, ...]
    owner: httpx2.Client
    provider: Provider
    groups: dict[str, str] = field(default_factory=dict)
    """Their ids, by their names."""

    def person(self, *groups: str) -> "Leaver":
        """Somebody whom SCIM provisioned, and who is in these groups."""
        name = f"leaver-{next(_numbers)}"
        user_id = self.provider.person(name)["id"]
        for group in groups:
            self.owner.put(f"/groups/{self.groups[group]}/members/{user_id}").raise_for_status()
        return Leaver(self, user_id, f"{name}@people.example", groups)

    def write(self, value: str, at: int = 1) -> None:
        """Another value of what everybody may see, written at one of them."""
        client = self.each[at].client()
        client.put("/environments/production/variables/shop/PASSWORD", json={"value": value}).raise_for_status()


@dataclass
class Leaver:
    """Somebody who is in, until it is put out."""

    replicas: Replicas
    id: str
    email: str
    groups: tuple[str, ...]

    def session(self) -> str:
        """The text of a session in which a second factor was shown just now."""
        return persons.signed_in(self.replicas.each[0].service, self.id, factor=persons.JUST_NOW)

    def own_token(self) -> str:
        """The text of a token that it made for its scripts."""
        return persons.own_token(self.replicas.each[0].service, self.id)

    def browser(self, at: int) -> httpx2.Client:
        """One that keeps a session, at a replica."""
        it = self.replicas.each[at]
        made = it.nobody()
        made.base_url = httpx2.URL(it.url)
        made.headers |= {"Origin": it.url, "Sec-Fetch-Site": "same-origin", "Cookie": f"keywright={self.session()}"}
        return made

    def code(self, at: int) -> str:
        """A code by which a command line comes to a session."""
        browser = self.browser(at)
        page = browser.get("/oauth/authorize", params=wish())
        return told(browser.post("/oauth/authorize", data=hidden(page.text) | {"decision": "allow"}))["code"]

    def login(self) -> str:
        """The text of a session of `keywright login`."""
        return str(exchanged(self.replicas.each[1], self.code(0)).json()["access_token"])

    def ends(self, how: str) -> None:
        """It is put out: afterwards that was answered."""
        one = self.replicas
        if how == "disabled by hand":
            one.owner.patch(f"/users/{self.id}", json={"enabled": False}).raise_for_status()
        elif how == "disabled by SCIM":
            one.provider.patch(f"Users/{self.id}", INACTIVE).raise_for_status()
        else:
            for group in self.groups:
                one.owner.delete(f"/groups/{one.groups[group]}/members/{self.id}").raise_for_status()


def exchanged(it: Keywright, code: str) -> httpx2.Response:
    """What a command line is answered for its code."""
    fields = {"grant_type": "authorization_code", "client_id": "keywright", "code": code}
    return httpx2.post(
        f"{it.url}/oauth/token",
        data=fields | {"redirect_uri": REDIRECT, "code_verifier": VERIFIER},
        timeout=90,
        trust_env=False,
    )


def shows(text: str, *, cookie: bool = False) -> str:
    """The header that shows a token, or a session as a browser does."""
    return f"Cookie: keywright={text}" if cookie else f"Authorization: Bearer {text}"


def get(target: str, *headers: str) -> bytes:
    """The bytes of a request."""
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


@contextmanager
def ways(replicas: Replicas) -> Iterator[list[Way]]:
    """A connection to each of them, which stays."""
    with ExitStack() as stack:
        places = [urlsplit(it.url) for it in replicas.each]
        made = [socket.create_connection((str(at.hostname), at.port or 0), timeout=PATIENCE) for at in places]
        yield [Way(stack.enter_context(one)) for one in made]


def all_wait(replicas: Replicas) -> None:
    """Return when somebody waits at each of them."""

    def waiting(it: Keywright) -> int:
        return len(set().union(*list(it._server.app.state.changes._waiting.values())))  # type: ignore[union-attr]

    wait_until(lambda: all(waiting(it) for it in replicas.each), "not everybody waits")


def hashing_of(it: Keywright) -> Hashing:
    """What looks at passwords there."""
    assert it.service.people is not None
    return it.service.people.signing_in._hashing


@pytest.fixture(scope="module")
def replicas(new_postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicas]:
    server, database = new_postgresql, FakeDatabase()
    database.create(LOGINS["production"], LOGIN_PASSWORD)
    database.create("admin", "admin-password")
    name = "leavers_ledger"
    server.execute(f"CREATE DATABASE {name}")
    data = tmp_path_factory.mktemp("replicas")
    data.chmod(0o700)
    given = {
        "ledger_url": f"postgresql://postgres:{server.password}@{server.host}:{server.port}/{name}",
        "data": data,
        "databases": {Engine.POSTGRESQL: database},
    }
    with ExitStack() as stack:
        first = stack.enter_context(running_keywright(**given))
        others = [stack.enter_context(running_keywright(owner=first.owner, **given)) for _ in range(2)]
        owner = first.client()
        furnish(owner, "production")
        directory = first.token("directory", {"level": "own", "kind": "people"})
        made = Replicas((first, *others), owner, Provider(scim_client(first, directory)))
        held = {
            USE: {"level": "use", "kind": "folder", "environment": "production", "path": "shop"},
            EDIT: {"level": "edit", "kind": "folder", "environment": "production", "path": "shop"},
            TEAM: {"level": "own", "kind": "people"},
        }
        for group, grant in held.items():
            made.groups[group] = owner.post("/groups", json={"name": group}).raise_for_status().json()["id"]
            owner.post("/grants", json={"group": group, **grant}).raise_for_status()
        yield made
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")
