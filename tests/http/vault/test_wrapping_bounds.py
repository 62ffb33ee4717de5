"""Response wrapping: what is refused is refused before it is done, and nobody wraps without bound."""

from collections.abc import Iterator

import httpx2
import pytest

from service.keeper import wrappings
from tests.http.vault.client import Vault
from tests.http.vault.test_token import using
from tests.http.vault.test_wrapping import READ, UNKNOWN, wrapped
from tests.rigs.keywright import Keywright

TTL = "X-Vault-Wrap-TTL"
TOO_LONG = ("999999h", "769h", "5 minutes", "x")


@pytest.fixture
def login(owner: httpx2.Client) -> Iterator[dict[str, str]]:
    """A machine's, with a secret id that is good once."""
    made = owner.post("/machines", json={"name": "wraps", "proofs": [{"kind": "approle"}], "grants": []})
    assert made.status_code == 201, made.text
    secret = owner.post("/machine-secrets", json={"machine": "wraps", "uses": 1}).json()
    yield {"role_id": secret["role_id"], "secret_id": secret["secret_id"]}
    assert owner.delete("/machines/wraps").status_code == 204


def test_what_is_good_once_is_not_used_up_by_a_wrong_time(it: Keywright, vault: Vault, login: dict[str, str]) -> None:
    token = wrapped(vault)["token"]
    with using(it, token) as holder, Vault(it.url) as nobody:
        for ttl in (*TOO_LONG, "60s"):
            for client, body in ((holder, {}), (vault, {"token": token})):
                assert client("POST", "sys/wrapping/unwrap", body, headers={TTL: ttl}).status_code == 400
                assert client("POST", "sys/wrapping/lookup", body, headers={TTL: ttl}).status_code == 400
        assert holder.ok("POST", "sys/wrapping/unwrap")["data"]["data"] == {"value": "hush-production"}
        for ttl in TOO_LONG:
            assert nobody("POST", "auth/approle/login", login, headers={TTL: ttl}).status_code == 400
        assert nobody.ok("POST", "auth/approle/login", login)["auth"]["client_token"]


def test_nothing_is_written_that_could_not_be_wrapped(
    it: Keywright, vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for ttl in TOO_LONG:
        answer = vault("POST", "secret/data/production/never", {"data": {"a": "b"}}, headers={TTL: ttl})
        assert answer.status_code == 400
    monkeypatch.setattr(wrappings, "MOST", 0)
    answer = vault("POST", "secret/data/production/never", {"data": {"a": "b"}}, headers={TTL: "60s"})
    assert (answer.status_code, "which is the most" in answer.text) == (400, True)
    assert vault("GET", "secret/data/production/never").status_code == 404
    events = it.client().get("/events", params={"action": "wrapping.make", "outcome": "refused"}).json()["items"]
    assert events[0]["detail"]["error"] == "Conflict"


def test_without_room_for_a_login_nobody_is_left_with_its_token(
    it: Keywright, owner: httpx2.Client, login: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Vault(it.url) as nobody:
        with monkeypatch.context() as full:
            full.setattr(wrappings, "MOST_IN_ALL", 0)
            assert nobody("POST", "auth/approle/login", login, headers={TTL: "60s"}).status_code == 400
        monkeypatch.setattr(wrappings, "MOST", 0)
        answer = nobody("POST", "auth/approle/login", login, headers={TTL: "60s"})
        assert (answer.status_code, "which is the most" in answer.text) == (400, True), "the secret id was good still"
    events = owner.get("/events", params={"action": "token.revoke"}).json()["items"]
    assert events[0]["actor"] == events[0]["resource"]


def test_a_machine_is_one_however_many_tokens_it_has(
    it: Keywright, owner: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = [{"level": "use", "kind": "environment", "environment": "production"}]
    owner.post("/machines", json={"name": "many", "proofs": [{"kind": "approle"}], "grants": grants})
    secret = owner.post("/machine-secrets", json={"machine": "many", "uses": 3}).json()
    body = {"role_id": secret["role_id"], "secret_id": secret["secret_id"]}
    monkeypatch.setattr(wrappings, "MOST", 2)
    with Vault(it.url) as nobody:
        tokens = [nobody.ok("POST", "auth/approle/login", body)["auth"]["client_token"] for _ in range(3)]
    statuses = []
    for token in tokens:
        with using(it, token) as client:
            statuses.append(client("GET", READ, headers={TTL: "60s"}).status_code)
    assert statuses == [200, 200, 400]


@pytest.mark.parametrize("bound", ["BYTES", "MOST_IN_ALL", "BYTES_IN_ALL"])
def test_there_are_bounds_for_bytes_and_for_all(vault: Vault, monkeypatch: pytest.MonkeyPatch, bound: str) -> None:
    token = wrapped(vault)["token"]
    monkeypatch.setattr(wrappings, bound, 1)
    assert vault("GET", READ, headers={TTL: "60s"}).status_code == 400
    monkeypatch.undo()
    vault.ok("POST", "sys/wrapping/unwrap", {"token": token})
    assert vault("POST", "sys/wrapping/unwrap", {"token": token}).json() == UNKNOWN


def test_who_has_no_grant_wraps_nothing(it: Keywright) -> None:
    with using(it, it.token("bare")) as bare:
        for path in ("auth/token/lookup-self", "sys/mounts"):
            assert bare("GET", path).status_code == 200
            assert bare("GET", path, headers={TTL: "60s"}).status_code == 403
        assert bare("POST", "sys/wrapping/wrap", {"a": "b"}, headers={TTL: "60s"}).status_code == 403
        told = bare.ok("POST", "sys/capabilities-self", {"paths": ["sys/wrapping/wrap"]})
        assert told["data"]["capabilities"] == ["deny"]
