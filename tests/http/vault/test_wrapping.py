"""Response wrapping: an answer is sealed under a token that opens it once."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from service.keeper import wrappings
from tests.http.vault.client import Vault
from tests.http.vault.test_token import using
from tests.rigs.keywright import Keywright, running_keywright

READ = "secret/data/production/shop/PASSWORD"
UNKNOWN = {"errors": ["wrapping token is not valid or does not exist"]}


def wrapped(vault: Vault, path: str = READ, ttl: str = "60s") -> dict[str, Any]:
    answer = vault.ok("GET", path, headers={"X-Vault-Wrap-TTL": ttl})
    assert answer["data"] is None
    assert answer["auth"] is None
    info: dict[str, Any] = answer["wrap_info"]
    return info


def test_what_is_wrapped_is_opened_once(it: Keywright, vault: Vault) -> None:
    info = wrapped(vault)
    assert (info["ttl"], info["creation_path"]) == (60, READ)
    opened = vault.ok("POST", "sys/wrapping/unwrap", {"token": info["token"]})
    assert opened["data"]["data"] == {"value": "hush-production"}
    assert opened["wrap_info"] is None
    for _ in range(2):
        answer = vault("POST", "sys/wrapping/unwrap", {"token": info["token"]})
        assert (answer.status_code, answer.json()) == (400, UNKNOWN)
    token = wrapped(vault)["token"]
    with using(it, token) as holder:
        assert holder.ok("PUT", "sys/wrapping/unwrap")["data"]["data"] == {"value": "hush-production"}
        assert holder("PUT", "sys/wrapping/unwrap").json() == UNKNOWN


def test_of_many_who_open_it_at_once_one_does(it: Keywright, vault: Vault) -> None:
    token = wrapped(vault)["token"]

    def opens(_: int) -> int:
        with using(it, token) as holder:
            return holder("POST", "sys/wrapping/unwrap").status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(opens, range(8))) == [200] + [400] * 7


def test_looking_at_it_does_not_open_it(it: Keywright, vault: Vault) -> None:
    info = wrapped(vault, ttl="5m")
    with Vault(it.url) as nobody:
        told = nobody.ok("POST", "sys/wrapping/lookup", {"token": info["token"]})["data"]
        assert told == {"creation_path": READ, "creation_time": info["creation_time"], "creation_ttl": 300}
        assert nobody("POST", "sys/wrapping/lookup", {"token": "x"}).json() == UNKNOWN
        assert nobody("POST", "sys/wrapping/lookup", {}).json() == UNKNOWN
        assert nobody("POST", "sys/wrapping/unwrap", {"token": info["token"]}).status_code == 403, (
            "who opens it is known"
        )
        assert nobody("POST", "sys/wrapping/unwrap", {}).json() == UNKNOWN
    assert vault("POST", "sys/wrapping/unwrap", {"token": info["token"]}).status_code == 200


def test_its_token_is_good_for_nothing_else(it: Keywright, vault: Vault) -> None:
    token = wrapped(vault)["token"]
    with using(it, token) as holder:
        for path in (READ, "auth/token/lookup-self", "sys/mounts"):
            assert holder("GET", path).status_code == 403
    assert it.client(token).get("/me").status_code == 401
    with using(it, token[:-1] + ("A" if token[-1] != "A" else "B")) as other:
        assert other("POST", "sys/wrapping/unwrap").json() == UNKNOWN
    assert vault("POST", "sys/wrapping/unwrap", {"token": token}).status_code == 200


def test_anything_can_be_wrapped_but_not_nothing(vault: Vault) -> None:
    assert vault("POST", "sys/wrapping/wrap", {"a": "b"}).status_code == 400
    ttl = {"X-Vault-Wrap-TTL": "90"}
    info = vault.ok("POST", "sys/wrapping/wrap", {"a": "b"}, headers=ttl)["wrap_info"]
    assert vault.ok("POST", "sys/wrapping/unwrap", {"token": info["token"]})["data"] == {"a": "b"}
    assert vault("GET", "secret/data/production/none", headers=ttl).json() == {"errors": []}
    assert vault("POST", "secret/undelete/production/shop/PASSWORD", {"versions": [1]}, headers=ttl).status_code == 204
    for wrong in ("x", "-1", "1000h", "1e9"):
        answer = vault("GET", READ, headers={"X-Vault-Wrap-TTL": wrong})
        assert answer.status_code == 400
        assert "hush" not in answer.text
    info = wrapped(vault, "database/static-creds/production/shop/admin")
    opened = vault.ok("POST", "sys/wrapping/unwrap", {"token": info["token"]})
    assert opened["data"]["username"] == "admin"


def test_it_is_sealed_at_rest_and_recorded(it: Keywright, vault: Vault, owner: httpx2.Client) -> None:
    info = wrapped(vault)
    with sqlite3.connect(it.data / "ledger.sqlite") as sql:
        row = sql.execute("SELECT * FROM wrappings WHERE id = ?", (info["accessor"],)).fetchone()
    assert b"hush" not in repr(row).encode()
    secret = info["token"].split("_", 2)[2]
    assert secret not in repr(row)
    with using(it, info["token"]) as holder:
        holder.ok("POST", "sys/wrapping/unwrap")
    events = owner.get("/events", params={"resource": info["accessor"]}).json()["items"]
    assert sorted(event["action"] for event in events) == ["wrapping.make", "wrapping.open"]
    assert info["token"] not in str(events)


def test_it_ends() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with running_keywright(now=lambda: now) as it, Vault(it.url, it.owner) as vault:
        ttl = {"X-Vault-Wrap-TTL": "60"}
        token = vault.ok("GET", "sys/mounts", headers=ttl)["wrap_info"]["token"]
        now += timedelta(seconds=61)
        assert vault("POST", "sys/wrapping/unwrap", {"token": token}).json() == UNKNOWN
        vault.ok("GET", "sys/mounts", headers=ttl)
        with it.service.ledger.read() as tx:
            assert tx.sql.exec_driver_sql("SELECT count(*) FROM wrappings").scalar_one() == 1, "what ended is gone"


def test_an_instance_opens_nothing_of_environments_that_it_does_not_serve(tmp_path: Path) -> None:
    with running_keywright(data=tmp_path) as it, Vault(it.url, it.owner) as vault:
        it.client().post("/environments", json={"name": "production"})
        vault.ok("POST", "secret/data/production/db", {"data": {"a": "b"}})
        owner, token = it.owner, wrapped(vault, "secret/data/production/db", "1h")["token"]
    with running_keywright(data=tmp_path, owner=owner, environments="staging") as it, Vault(it.url, owner) as vault:
        assert vault("POST", "sys/wrapping/unwrap", {"token": token}).json() == UNKNOWN
        assert vault("POST", "sys/wrapping/lookup", {"token": token}).json() == UNKNOWN
        assert vault("GET", "secret/data/production/db").status_code == 404
    with running_keywright(data=tmp_path, owner=owner) as it, using(it, token) as holder:
        assert holder.ok("POST", "sys/wrapping/unwrap")["data"]["data"] == {"a": "b"}


def test_what_it_is_called_in_the_log_is_text(it: Keywright, vault: Vault, owner: httpx2.Client) -> None:
    info = wrapped(vault, "sys/internal/ui/mounts/secret/%00%0a%ff" + "x" * 1000)
    events = owner.get("/events", params={"resource": info["accessor"]}).json()["items"]
    path = events[0]["detail"]["path"]
    assert path.isprintable()
    assert len(path) == wrappings.LONGEST_PATH
