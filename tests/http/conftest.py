"""One service for all tests of a module: an environment `production` with something in it, and a database in memory."""

from collections.abc import Iterator

import httpx2
import pytest

from service.core.connection import Engine
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright

PASSWORD = "first-password"
LOGINS = {"production": "app", "staging": "app_of_staging", "development": "app_of_development"}
"""One each: two connections cannot turn one login of one server."""
CONNECTION = {
    "engine": "postgresql",
    "endpoints": [{"host": "db.test"}],
    "database": "shop",
    "tls": {"mode": "disable"},
    "login": {"username": "app", "password": PASSWORD},
}


@pytest.fixture(scope="module")
def database() -> FakeDatabase:
    fake = FakeDatabase()
    for login in LOGINS.values():
        fake.create(login, PASSWORD)
    fake.create("admin", "admin-password")
    return fake


@pytest.fixture(scope="module")
def it(database: FakeDatabase) -> Iterator[Keywright]:
    with running_keywright(databases={Engine.POSTGRESQL: database}) as served:
        furnish(served.client(), "production")
        furnish(served.client(), "staging")
        yield served


@pytest.fixture(scope="module")
def owner(it: Keywright) -> httpx2.Client:
    return it.client()


def furnish(owner: httpx2.Client, environment: str) -> None:
    """One of everything."""
    place = f"/environments/{environment}"
    made = [
        owner.post("/environments", json={"name": environment, "stores": {"env": ["SHOP_*"]}}),
        owner.put(f"{place}/variables/shop/HOST", json={"value": "db.internal", "secret": False}),
        owner.put(f"{place}/variables/shop/PASSWORD", json={"value": f"hush-{environment}"}),
        owner.put(
            f"{place}/connections/shop/admin",
            json=CONNECTION | {"login": {"username": "admin", "password": "admin-password"}},
        ),
        owner.put(
            f"{place}/connections/shop/db",
            json=CONNECTION
            | {"administered_by": "shop/admin", "rotation": {"strategy": "alternating"}}
            | {"login": {"username": LOGINS[environment], "password": PASSWORD}},
        ),
        owner.post(f"{place}/rotations", json={"connection": "shop/db"}),
        owner.post(f"{place}/incidents", json={"folder": "shop", "reason": "a leak"}),
        owner.post("/webhooks", json={"name": environment, "url": "https://hooks.test/", "environment": environment}),
    ]
    assert [answer.status_code for answer in made] == [201, 201, 201, 201, 201, 202, 202, 201], [a.text for a in made]
