"""Connections as static roles."""

import httpx2
import pytest

from service.core.connection import Engine
from tests.http.conftest import CONNECTION, PASSWORD
from tests.http.vault.client import Vault
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import running_keywright

ADMIN = "database/static-creds/production/shop/admin"


@pytest.mark.parametrize("query", ["", "?x=y"])  # in the lane, and not
def test_a_credential_is_told_with_its_ttl(vault: Vault, owner: httpx2.Client, query: str) -> None:
    told = vault.ok("GET", ADMIN + query)
    assert (told["lease_id"], told["lease_duration"], told["renewable"]) == ("", 0, False)
    native = owner.get("/environments/production/credentials/shop/admin").json()
    data = told["data"]
    assert (data["username"], data["password"]) == (native["username"], native["password"])
    assert data["rotation_period"] == 0
    assert 1 <= data["ttl"] < 3600, "it is asked again before what is promised of it ends"
    assert data["last_vault_rotation"] == native["credentials"][0]["valid_from"]


@pytest.mark.parametrize("query", ["", "?x=y"])
def test_an_unknown_role_is_400(vault: Vault, query: str) -> None:
    for name in ("production/none", "nowhere/x"):
        answer = vault("GET", f"database/static-creds/{name}{query}")
        assert (answer.status_code, answer.json()) == (400, {"errors": [f"unknown role: {name}"]})
    token = f"kw_{'0' * 16}_{'A' * 43}"
    answer = vault("GET", f"database/static-creds/production/{token}{query}")
    assert answer.json() == {"errors": ["unknown role: production/kw_0000000000000000_…"]}, "a token is not said again"
    assert vault("GET", "database/static-roles/production/none").json() == {"errors": []}
    answer = vault("POST", "database/rotate-role/production/none", {})
    assert (answer.status_code, answer.json()) == (400, {"errors": ["no static role found for role name"]})


def test_roles_are_read_and_listed_and_defined_elsewhere(vault: Vault) -> None:
    assert vault.ok("LIST", "database/static-roles/production/shop")["data"]["keys"] == ["admin", "db"]
    assert vault.ok("LIST", "database/static-roles")["data"]["keys"] == ["production/", "staging/"]
    role = vault.data("database/static-roles/production/shop/admin")
    assert (role["username"], role["db_name"], role["credential_type"]) == ("admin", "shop", "password")
    assert PASSWORD not in str(role)
    assert role["last_vault_rotation"] == vault.data(ADMIN)["last_vault_rotation"]
    answer = vault("POST", "database/static-roles/production/shop/new", {"username": "x"})
    assert answer.status_code == 400
    assert vault("DELETE", "database/static-roles/production/shop/admin").status_code == 400
    assert vault("GET", "database/rotate-role/production/shop/admin").status_code == 405


def test_a_role_is_rotated_and_its_leases_end_in_time() -> None:
    fake = FakeDatabase()
    for login in ("app", "admin"):
        fake.create(login, PASSWORD)
    timed = {"strategy": "alternating", "every": "20m", "drain_minimum": "10m"}
    with running_keywright(clock=True, vault_leases=True, databases={Engine.POSTGRESQL: fake}) as it:
        owner = it.client()
        owner.post("/environments", json={"name": "production"})
        place = "/environments/production/connections/shop"
        admin = CONNECTION | {"login": {"username": "admin", "password": PASSWORD}}
        made = [
            owner.put(f"{place}/admin", json=admin),
            owner.put(f"{place}/db", json=CONNECTION | {"administered_by": "shop/admin", "rotation": timed}),
        ]
        assert [answer.status_code for answer in made] == [201, 201], [answer.text for answer in made]
        with Vault(it.url, it.owner) as vault:
            path = "database/static-creds/production/shop/db"
            before = vault.data(path)
            assert vault("POST", "database/rotate-role/production/shop/db", {}).status_code == 204
            turned = vault.data("database/static-roles/production/shop/db")["last_vault_rotation"]
            assert turned > before["last_vault_rotation"]
            for query in ("", "?x=y"):
                told = vault.ok("GET", path + query)
                data = told["data"]
                assert data["rotation_period"] == 1200
                assert data["password"] != before["password"]
                assert data["last_vault_rotation"] == turned
                assert fake.valid(data["username"], data["password"])
                assert told["lease_duration"] == data["ttl"]
                assert 1 <= data["ttl"] < 600, "the promise ends before the next rotation begins"
