"""What waits for a second person waits at the Vault door as well."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.http.vault.client import Vault
from tests.rigs.keywright import Keywright
from tests.rigs.signed_in import signed_in

ALL = {"variables": True, "connections": True, "policies": True, "rotations": True, "reveals": True}


@pytest.fixture(scope="module")
def hers(it: Keywright, owner: httpx2.Client) -> Iterator[Vault]:
    answer = owner.patch("/environments/production", json={"approvals": ALL})
    assert answer.status_code == 200, answer.text
    alice = signed_in(it, "alice@example.test", ("own", "environment", "production"))
    with Vault(it.url, alice.token) as made:
        yield made


WAYS = [
    ("GET", "secret/data/production/shop/PASSWORD", None),
    ("GET", "secret/data/production/shop/PASSWORD?version=1", None),
    ("GET", "kv/production/shop/PASSWORD", None),
    ("GET", "own/secret/data/shop/PASSWORD", None),
    ("GET", "database/static-creds/production/shop/db", None),
    ("POST", "secret/data/production/shop/PASSWORD", {"data": {"value": "x"}}),
    ("POST", "secret/delete/production/shop/PASSWORD", {"versions": [1]}),
    ("POST", "secret/destroy/production/shop/PASSWORD", {"versions": [1]}),
    ("DELETE", "secret/data/production/shop/PASSWORD", None),
    ("DELETE", "secret/metadata/production/shop/PASSWORD", None),
    ("POST", "secret/metadata/production/shop/PASSWORD", {"custom_metadata": {"a": "b"}}),
    ("POST", "database/rotate-role/production/shop/db", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WAYS, ids=lambda it: str(it)[:50])
def test_it_waits_there_too(hers: Vault, vault: Vault, method: str, path: str, body: object) -> None:
    answer = hers(method, f"/{path}", body)
    assert answer.status_code == 403, answer.text
    assert "somebody else" in answer.json()["errors"][0]


def test_a_wrapped_answer_waits_as_well(hers: Vault) -> None:
    answer = hers("GET", "/secret/data/production/shop/PASSWORD", headers={"X-Vault-Wrap-TTL": "60s"})
    assert answer.status_code == 403, answer.text


def test_machines_go_on(vault: Vault, hers: Vault) -> None:
    assert vault("GET", "/secret/data/production/shop/PASSWORD").status_code == 200
