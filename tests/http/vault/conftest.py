"""One service for all tests of a module, with two environments, and a client of its Vault door."""

from collections.abc import Iterator

import httpx2
import pytest

from service.core.connection import Engine
from tests.http.conftest import LOGINS, PASSWORD, furnish
from tests.http.vault.client import Vault
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright

MOUNTS = """{"secret/": {"type": "kv-v2"}, "kv/": {"type": "kv-v1"}, "database/": {"type": "database"},
"own/secret/": {"type": "kv-v2", "environment": "production"}}"""


@pytest.fixture(scope="module")
def database() -> FakeDatabase:
    fake = FakeDatabase()
    for login in LOGINS.values():
        fake.create(login, PASSWORD)
    fake.create("admin", "admin-password")
    return fake


@pytest.fixture(scope="module")
def it(database: FakeDatabase) -> Iterator[Keywright]:
    with running_keywright(databases={Engine.POSTGRESQL: database}, vault_mounts=MOUNTS) as served:
        furnish(served.client(), "production")
        furnish(served.client(), "staging")
        yield served


@pytest.fixture(scope="module")
def owner(it: Keywright) -> httpx2.Client:
    return it.client()


@pytest.fixture(scope="module")
def vault(it: Keywright) -> Iterator[Vault]:
    with Vault(it.url, it.owner) as made:
        yield made
