"""People for tests: accounts in a service's ledger, and browsers (as far as cookies go) that they come with."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx2

from service.core.access import Grant
from service.core.person import User, UserType
from service.core.secret import Secret
from service.keeper.door import Deed
from service.keeper.tokens import OPERATOR
from service.ledger import grants, settings, users
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction
from service.people.hashing import Hashing
from service.wiring import Service, utc_now
from tests.rigs.keywright import Keywright

PASSWORD = "sparrow quilt marble tundra"
_HASH = Hashing().hashed
_KEPT: dict[str, str] = {}


def person(service: Service, email: str, *held: Grant, password: str | None = PASSWORD, **more: Any) -> User:
    """A new user who holds these grants, with a password or none. `more` are fields of `User`."""
    door = service.keeper.door
    user_id = door.new_id()
    hashed = _KEPT.setdefault(password, _HASH(Secret(password))) if password else None

    def act(tx: Transaction) -> User:
        user = User(user_id, email, "", True, UserType.LOCAL, {}, 1, tx.now, "test", tx.now)
        users.add(tx, replace(user, **more))
        for grant in held:
            grants.add(tx, door.new_id(), Holder(user_id, email, Holding.USER), grant)
        change_first = more.get("must_change", False)
        users.set_password(tx, user_id, hashed, more.get("password_ends_at"), must_change=change_first)
        found = users.get(tx, user_id)
        assert found
        return found

    return door.change(OPERATOR, Deed("user.add", resource=user_id), act)


def change(service: Service, user: User, **fields: Any) -> User:
    """Change fields of a user."""

    def act(tx: Transaction) -> User:
        now = users.get(tx, user.id)
        assert now
        users.change(tx, changed := replace(now, **fields))
        return changed

    return service.keeper.door.change(OPERATOR, Deed("user.change", resource=user.id), act)


@contextmanager
def browser(it: Keywright, **more: Any) -> Iterator[httpx2.Client]:
    """It keeps cookies, follows no redirects by itself, and says where its requests come from as browsers do."""
    headers = {"Origin": it.url, "Sec-Fetch-Site": "same-origin", "User-Agent": "a browser"} | more.pop("headers", {})
    with httpx2.Client(base_url=it.url, headers=headers, timeout=90, trust_env=False, **more) as made:
        yield made


def signed_in(it: Keywright, made: httpx2.Client, email: str, password: str = PASSWORD) -> dict[str, Any]:
    """Sign in by this browser, which shows the right X-CSRF-Token from then on; the answer."""
    answer = made.post("/api/v1/session", json={"email": email, "password": password})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    if body["csrf"]:
        made.headers["X-CSRF-Token"] = body["csrf"]
    return body


def configure(it: Keywright, **fields: Any) -> None:
    """Change the settings that administrators decide."""

    def act(tx: Any) -> None:
        settings.write(tx, replace(settings.read(tx), **fields))

    it.service.keeper.door.change(OPERATOR, Deed("settings.change"), act)


class Watch:
    """A clock that stands, and is moved on by hand: how slow the machine is makes nobody wait shorter."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def on(self, **by: float) -> None:
        self.now += timedelta(**by)
