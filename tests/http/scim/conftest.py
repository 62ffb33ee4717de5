"""One service for all tests of a module, and the client of an identity provider: a machine's token that owns people."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest

from service.core.access import Grant, Kind, Level
from service.core.person import BY_HAND, Group, User, UserType
from service.core.token import Token, make
from service.keeper.sessions import Way
from service.ledger import grants, groups, tokens, users
from service.ledger.grants import Holder
from tests.rigs.keywright import Keywright, running_keywright

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def scim_client(it: Keywright, token: str) -> httpx2.Client:
    """As an identity provider has it. It is closed with the service."""
    made = it.client(token)
    made.base_url = httpx2.URL(f"{it.url}/scim/v2/")
    return made


@dataclass
class Provider:
    """An identity provider at work, in few words."""

    client: httpx2.Client

    def person(self, name: str, /, **more: Any) -> dict[str, Any]:
        """A new user, active, with an address."""
        emails = [{"value": f"{name}@people.example", "type": "work", "primary": True}]
        answer = self.client.post("Users", json={"schemas": [USER], "userName": name, "emails": emails} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def group(self, name: str, *ids: str) -> dict[str, Any]:
        """A new group of these."""
        body = {"schemas": [GROUP], "displayName": name, "members": [{"value": each} for each in ids]}
        answer = self.client.post("Groups", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def patch(self, path: str, *operations: dict[str, Any], **headers: str) -> httpx2.Response:
        """PATCH (RFC 7644, 3.5.2)."""
        return self.client.patch(path, json={"schemas": [PATCH], "Operations": list(operations)}, headers=headers)

    def found(self, kind: str, asked: str) -> list[dict[str, Any]]:
        """What a filter finds."""
        answer = self.client.get(kind, params={"filter": asked})
        assert answer.status_code == 200, answer.text
        return list(answer.json()["Resources"])

    def members(self, group_id: str) -> set[str]:
        """Ids of those whom it sees in a group."""
        return {each["value"] for each in self.client.get(f"Groups/{group_id}").json().get("members", [])}


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    with running_keywright() as served:
        yield served


@pytest.fixture(scope="module")
def provider(it: Keywright) -> Provider:
    """It owns people, as the administrator of the directory would have it."""
    return Provider(scim_client(it, token(it, "directory", ("own", "people"))))


def token(it: Keywright, name: str, *held: tuple[str, str]) -> str:
    """The text of a machine's token that holds these levels on these kinds."""
    with it.service.ledger.change() as tx:
        token_id, text, hashed = make(secrets.token_bytes)
        tokens.add(tx, Token(token_id, name, hashed, (), (), tx.now, "tests", None))
        for level, kind in held:
            grants.add(tx, secrets.token_hex(16), Holder(token_id, name), Grant(Level.of(level), Kind(kind)))
    return text.reveal()


def local_user(it: Keywright, address: str, **more: Any) -> User:
    """One whom somebody made by hand."""
    with it.service.ledger.change() as tx:
        made = User(secrets.token_hex(16), address, address, True, UserType.LOCAL, {}, 1, tx.now, "tests", tx.now)
        users.add(tx, replace(made, **more))
    return replace(made, **more)


def local_group(it: Keywright, name: str) -> Group:
    """One that somebody made by hand."""
    with it.service.ledger.change() as tx:
        made = Group(secrets.token_hex(16), name, 1, tx.now, "tests", tx.now)
        groups.add(tx, made)
    return made


def join(it: Keywright, group_id: str, **who: str) -> None:
    """By hand."""
    with it.service.ledger.change() as tx:
        groups.join(tx, secrets.token_hex(16), group_id, BY_HAND, **who)


def user_of(it: Keywright, user_id: str) -> User | None:
    """As the ledger has it."""
    with it.service.ledger.read() as tx:
        return users.get(tx, user_id)


def changed(it: Keywright, user_id: str, **more: Any) -> None:
    """By an administrator."""
    with it.service.ledger.change() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        users.change(tx, replace(user, revision=user.revision + 1, **more))


def session(it: Keywright, user_id: str) -> str:
    """The text of a session of this user."""
    with it.service.ledger.change() as tx:
        user = users.get(tx, user_id)
        assert user is not None
        _, text = it.service.keeper.sessions.opened(tx, user, Way("password", "127.0.0.1", "tests"))
    return text.reveal()


def own_token(it: Keywright, user_id: str) -> str:
    """The text of a token that this user made for itself."""
    with it.service.ledger.change() as tx:
        token_id, text, hashed = make(secrets.token_bytes)
        made = Token(token_id, "own", hashed, (), (), tx.now, "tests", None, user_id=user_id, label="script")
        tokens.add(tx, made)
    return text.reveal()


def adopting(it: Keywright, *, on: bool) -> None:
    """Let SCIM take over users who were there before, or not."""
    answer = it.client().patch("/settings", json={"scim_adopts": on})
    assert (answer.status_code, answer.json()["scim_adopts"]) == (200, on), answer.text


def events(it: Keywright, action: str) -> list[dict[str, Any]]:
    """Of this action, the newest first."""
    answer = it.client().get("/events", params={"action": action})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])
