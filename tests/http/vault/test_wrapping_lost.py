"""Response wrapping: what was destroyed or deleted is not kept in a wrapped answer either."""

from collections.abc import Callable

import httpx2
import pytest

from tests.http.conftest import CONNECTION
from tests.http.vault.client import Vault
from tests.http.vault.test_wrapping import READ, UNKNOWN, wrapped

ENVIRONMENT = "/environments/lost"


def destroy(vault: Vault) -> None:
    vault.ok("POST", "secret/destroy/lost/db", {"versions": [1]})


def delete_variable(vault: Vault) -> None:
    vault.ok("DELETE", "secret/metadata/lost/db")


@pytest.fixture(autouse=True)
def anew(owner: httpx2.Client, vault: Vault) -> None:
    """An environment of its own for each test, however that ends."""
    if owner.get(ENVIRONMENT).status_code == 200:
        assert owner.delete(ENVIRONMENT).status_code == 204
    login = {"username": "admin", "password": "admin-password"}
    made = [
        owner.post("/environments", json={"name": "lost"}),
        owner.put(f"{ENVIRONMENT}/connections/admin", json=CONNECTION | {"login": login}),
        *(owner.put(f"{ENVIRONMENT}/variables/{name}", json={"value": name}) for name in ("db", "other", "part")),
        owner.put(f"{ENVIRONMENT}/variables/composed", json={"template": "<${part}>"}),
    ]
    assert [answer.status_code for answer in made] == [201] * 6, [answer.text for answer in made]


def stands(vault: Vault, info: dict[str, str]) -> bool:
    answer = vault("POST", "sys/wrapping/unwrap", {"token": info["token"]})
    assert answer.status_code == 200 or (answer.status_code, answer.json()) == (400, UNKNOWN)
    return answer.status_code == 200


@pytest.mark.parametrize("gone", [destroy, delete_variable])
def test_they_go_with_a_version_and_with_a_variable(vault: Vault, gone: Callable[[Vault], None]) -> None:
    its = [wrapped(vault, f"secret/data/lost/db{query}") for query in ("", "?version=1")]
    its += [wrapped(vault, path) for path in ("kv/lost/db", "secret/subkeys/lost/db", "secret/data/lost/composed")]
    others = [wrapped(vault, path) for path in ("secret/data/lost/other", READ, "sys/mounts")]
    gone(vault)
    assert [stands(vault, info) for info in its] == [False] * 5
    assert [stands(vault, info) for info in others] == [True] * 3


def test_a_version_that_can_be_undeleted_takes_none_with_it(vault: Vault) -> None:
    info = wrapped(vault, "secret/data/lost/db")
    vault.ok("DELETE", "secret/data/lost/db")
    assert stands(vault, info)


def test_they_go_with_a_connection(vault: Vault, owner: httpx2.Client) -> None:
    its = wrapped(vault, "database/static-creds/lost/admin")
    other = wrapped(vault, "secret/data/lost/db")
    assert owner.delete(f"{ENVIRONMENT}/connections/admin").status_code == 204
    assert [stands(vault, info) for info in (its, other)] == [False, True]


def test_they_go_with_an_environment(vault: Vault, owner: httpx2.Client) -> None:
    paths = ("secret/data/lost/db", "kv/lost/db", "secret/data/lost/composed", "secret/metadata/lost/db")
    its = [wrapped(vault, path) for path in (*paths, "database/static-creds/lost/admin")]
    its.append(vault.ok("LIST", "secret/metadata/lost", headers={"X-Vault-Wrap-TTL": "60s"})["wrap_info"])
    assert owner.delete(ENVIRONMENT).status_code == 204
    assert [stands(vault, info) for info in its] == [False] * 6
