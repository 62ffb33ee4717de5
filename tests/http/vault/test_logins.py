"""Logins of machines at the Vault door. How they are proven is tested in `tests/keeper/test_logins.py`."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.vault.client import Vault
from tests.http.vault.test_token import using
from tests.http.vault.test_wrapping import UNKNOWN
from tests.rigs.keywright import Keywright

READ = "secret/data/production/shop/PASSWORD"
FOLDER = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}


@pytest.fixture(scope="module")
def machine(it: Keywright) -> str:
    made = it.client().post(
        "/machines",
        json={
            "name": "shop/web",
            "grants": [FOLDER],
            "proofs": [{"kind": "approle"}],
            "token_ttl": "20m",
            "token_max_life": "1h",
        },
    )
    assert made.status_code == 201, made.text
    return "shop/web"


@pytest.fixture
def approle(it: Keywright, machine: str) -> dict[str, str]:
    """A secret id is good once."""
    secret = it.client().post("/machine-secrets", json={"machine": machine})
    assert secret.status_code == 201, secret.text
    return {"role_id": secret.json()["role_id"], "secret_id": secret.json()["secret_id"]}


@pytest.fixture
def nobody(it: Keywright) -> Iterator[Vault]:
    with Vault(it.url) as made:
        yield made


def test_an_approle_logs_in_reads_renews_and_ends(it: Keywright, nobody: Vault, approle: dict[str, str]) -> None:
    answer = nobody.ok("POST", "auth/approle/login", approle)
    given = answer["auth"]
    assert answer["data"] is None
    assert given["policies"] == given["token_policies"] == ["default", "use/production/shop/"]
    assert given["metadata"] == {"role_name": "shop/web"}
    assert given["entity_id"]
    assert (given["renewable"], given["token_type"], given["orphan"]) == (True, "service", True)
    assert given["lease_duration"] == 1200
    with using(it, given["client_token"]) as web:
        assert web.data(READ)["data"] == {"value": "hush-production"}
        told = web.data("auth/token/lookup-self")
        assert (told["renewable"], told["creation_ttl"], told["display_name"]) == (True, 1200, "shop/web")
        assert (told["path"], told["meta"]) == ("auth/approle/login", given["metadata"])
        assert (told["accessor"], told["entity_id"]) == (given["accessor"], given["entity_id"])
        for increment in ({}, {"increment": None}, {"increment": "0"}):
            assert web.ok("PUT", "auth/token/renew-self", increment)["auth"] == given
        assert web.ok("PUT", "auth/token/renew-self", {"increment": "30m"})["auth"]["lease_duration"] == 1800
        at_most = web.ok("POST", "auth/token/renew-self", {"increment": 7200})["auth"]
        assert 3500 < at_most["lease_duration"] <= 3600
        assert at_most["renewable"] is False
        for wrong in ("xx", "-1", -1, [], True):
            assert web("PUT", "auth/token/renew-self", {"increment": wrong}).status_code == 400
        assert web("PUT", "auth/token/revoke-self").status_code == 204
        assert web("GET", READ).status_code == 403


@pytest.mark.parametrize(
    ("kind", "body", "status", "message"),
    [
        ("approle", {"role_id": "x", "secret_id": "y"}, 400, "invalid role or secret ID"),
        ("approle", {"role_id": "x"}, 400, "missing secret_id"),
        ("approle", {}, 400, "missing role_id"),
        ("jwt", {"role": "shop/web", "jwt": "a.b.c"}, 400, "error validating token: it proves no role"),
        ("jwt", {"jwt": "a.b.c"}, 400, "missing role"),
        ("kubernetes", {"role": "shop/web", "jwt": "a.b.c"}, 403, "permission denied"),
        ("kubernetes", {"role": "none", "jwt": "a.b.c"}, 403, "permission denied"),
        ("kubernetes", {"role": "shop/web", "jwt": 5}, 400, "missing jwt"),
    ],
)
def test_a_wrong_proof_is_said_as_clients_know_it(
    nobody: Vault, machine: str, kind: str, body: dict[str, Any], status: int, message: str
) -> None:
    answer = nobody("POST", f"auth/{kind}/login", body)
    assert (answer.status_code, answer.json()) == (status, {"errors": [message]})
    assert machine


def test_there_is_no_other_login(nobody: Vault, vault: Vault) -> None:
    for client in (nobody, vault):
        for path in ("auth/userpass/login/x", "auth/approle/role/x", "auth/none/login"):
            assert client("POST", path, {}).status_code == 403
    assert nobody("GET", "auth/approle/login").status_code == 405


def test_a_login_can_be_wrapped(it: Keywright, nobody: Vault, approle: dict[str, str]) -> None:
    answer = nobody.ok("POST", "auth/approle/login", approle, headers={"X-Vault-Wrap-TTL": "60"})
    assert answer["auth"] is None
    with using(it, answer["wrap_info"]["token"]) as holder:
        token = holder.ok("POST", "sys/wrapping/unwrap")["auth"]["client_token"]
        assert holder("POST", "sys/wrapping/unwrap").json() == UNKNOWN
    with using(it, token) as web:
        assert web("GET", READ).status_code == 200
