"""Deny by default: nobody gets in, and who has no business with a thing cannot tell whether it is there.

Every operation, asked by every kind of caller: `tests/access`. Here is what more there is to it.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from service.core.connection import Engine
from service.keeper.tokens import SYSTEM
from tests.http.conftest import furnish
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright


def test_watchers_need_no_token_and_learn_nothing(it: Keywright) -> None:
    with httpx2.Client(base_url=it.url, trust_env=False) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        ready = {"ready": True, "ledger": True, "clock": True}
        told = {"held": False, "connections_held": 0, "overdue": 0, "replication": "none", "warnings": []}
        assert client.get("/readyz").json() == ready | told
        said = client.get("/metrics").text
    assert "production" not in said
    assert "shop" not in said


def test_lists_hold_what_the_grants_reach(it: Keywright, owner: httpx2.Client) -> None:
    place = "/environments/production"
    owner.put(f"{place}/variables/bank/PASSWORD", json={"value": "x"})
    grant = {"level": "use", "kind": "folder", "environment": "production", "path": "bank"}
    client = it.client(it.token("bank", grant))
    assert [e["name"] for e in client.get("/environments").json()["items"]] == ["production"]
    assert [v["name"] for v in client.get(f"{place}/variables").json()["items"]] == ["bank/PASSWORD"]
    assert [v["name"] for v in client.get(f"{place}/values", params={"folder": ""}).json()["values"]] == [
        "bank/PASSWORD"
    ]
    assert client.get(f"{place}/connections").json()["items"] == []
    assert client.get(f"{place}/rotations").json()["items"] == []
    assert client.get("/grants").json()["items"] == []
    for closed in ("/tokens", "/events", "/events/verify"):
        assert client.get(closed).status_code == 404
    assert client.get("/environments/staging/variables").status_code == 404
    nobody = it.client(it.token("no-grants"))
    assert nobody.get("/environments").json()["items"] == []


def test_a_revoked_and_an_expired_token(it: Keywright, owner: httpx2.Client) -> None:
    text = it.token("gone", {"level": "use", "kind": "everything"})
    client = it.client(text)
    assert client.get("/me").status_code == 200
    token_id = client.get("/me").json()["id"]
    assert owner.delete(f"/tokens/{token_id}").status_code == 204
    revoked = client.get("/me")
    unknown = it.client(f"kw_{'0' * 16}_{'a' * 43}").get("/me")
    assert revoked.status_code == unknown.status_code == 401
    assert revoked.json()["detail"] == unknown.json()["detail"]
    assert revoked.json()["title"] == "No valid token"
    assert "/api/" not in revoked.json()["detail"], "whoever has no token can ask nothing there"


def test_an_expired_token() -> None:
    moment = datetime.now(UTC)
    with running_keywright(now=lambda: moment) as it:
        client = it.client(it.token("brief", {"level": "use", "kind": "everything"}, expires_in="60s"))
        moment += timedelta(seconds=59)
        assert client.get("/me").status_code == 200
        moment += timedelta(seconds=1)
        assert client.get("/me").status_code == 401


def test_allowlists(it: Keywright, owner: httpx2.Client) -> None:
    grant = {"level": "use", "kind": "everything"}
    assert it.client(it.token("here", grant, allowlist=["127.0.0.0/8"])).get("/me").status_code == 200
    assert it.client(it.token("there", grant, allowlist=["192.0.2.0/24"])).get("/me").status_code == 403
    for name, blocks, status in (("open", ["127.0.0.1/32"], 404), ("closed", ["192.0.2.0/24"], 403)):
        it.service.keeper.environments.add(SYSTEM, name, {}, tuple(blocks))
        assert owner.get(f"/environments/{name}/values/x").status_code == status
        assert owner.get(f"/environments/{name}/credentials/x").status_code == status
    assert owner.put("/environments/closed/variables/x", json={"value": "x"}).status_code == 403


def test_nobody_shuts_himself_out(owner: httpx2.Client) -> None:
    """An allowlist without the address that it is set from could not be mended from there."""
    away = {"allowlist": ["192.0.2.0/24"]}
    assert owner.post("/environments", json={"name": "shut", **away}).json()["field"] == "allowlist"
    assert owner.post("/environments", json={"name": "shut"}).status_code == 201
    assert owner.patch("/environments/shut", json=away).status_code == 422
    assert owner.patch("/environments/shut", json={"allowlist": ["127.0.0.0/8"]}).status_code == 200
    assert owner.get("/environments/shut").json()["allowlist"] == ["127.0.0.0/8"]


def test_nobody_grants_more_than_they_own(it: Keywright, owner: httpx2.Client) -> None:
    client = it.client(it.token("chief", {"level": "own", "kind": "environment", "environment": "staging"}))
    body = {"name": "more", "grants": [{"level": "use", "kind": "everything"}]}
    assert client.post("/tokens", json=body).status_code == 404
    body["grants"] = [{"level": "use", "kind": "environment", "environment": "production"}]
    assert client.post("/tokens", json=body).status_code == 404
    body["grants"] = [{"level": "own", "kind": "environment", "environment": "staging"}]
    assert client.post("/tokens", json=body).status_code == 201
    assert all(g["environment"] == "staging" for g in client.get("/grants").json()["items"])
    others = [g["id"] for g in owner.get("/grants").json()["items"] if g["environment"] != "staging"]
    for grant_id in others:
        assert client.delete(f"/grants/{grant_id}").status_code == 404


def test_templates_do_not_cross_walls(it: Keywright, owner: httpx2.Client) -> None:
    owner.put("/environments/staging/variables/only/HERE", json={"value": "hush-staging"})
    for template in ("${only/HERE}", "${staging/only/HERE}"):
        answer = owner.put("/environments/production/variables/x", json={"template": template})
        assert answer.status_code == 422
        assert "hush" not in answer.text


@pytest.fixture(scope="module")
def pinned(it: Keywright, database: FakeDatabase, owner: httpx2.Client) -> Iterator[Keywright]:
    """Another instance on the same ledger, which serves production only."""
    settings = {"environments": ("production",), "owner": it.owner, "data": it.data}
    with running_keywright(databases={Engine.POSTGRESQL: database}, **settings) as other:
        yield other


def test_a_pinned_instance_makes_nothing_elsewhere(pinned: Keywright) -> None:
    client = pinned.client()
    assert client.post("/environments", json={"name": "development"}).status_code == 404
    for environment in ("staging", None):
        hook = {"name": "over", "url": "https://hooks.test/", "environment": environment}
        assert client.post("/webhooks", json=hook).status_code == (404 if environment else 403)
    body = {"name": "over", "grants": [{"level": "use", "kind": "environment", "environment": "staging"}]}
    assert client.post("/tokens", json=body).status_code == 404
    assert client.get("/environments/production/values/shop/PASSWORD").json()["value"] == "hush-production"


def test_a_pinned_instance_tells_of_nothing_else(it: Keywright, pinned: Keywright, owner: httpx2.Client) -> None:
    grant = {"level": "own", "kind": "environment", "environment": "staging"}
    text = it.token("stager", grant)
    assert owner.post("/machines", json={"name": "stager", "grants": [grant]}).status_code == 201
    there = [g["id"] for g in owner.get("/grants").json()["items"] if g["environment"] == "staging"]
    client = pinned.client()
    for path in ("/environments", "/grants", "/tokens", "/machines", "/webhooks"):
        assert "staging" not in client.get(path, params={"limit": 500}).text, path
    assert {e["environment"] for e in client.get("/events", params={"limit": 500}).json()["items"]} <= {
        "production",
        "",
    }
    assert client.get("/events", params={"environment": "staging"}).json()["items"] == []
    for grant_id in there:
        assert client.delete(f"/grants/{grant_id}").status_code == 404
    proof = {"machine": "stager", "proof": {"kind": "approle"}}
    assert client.post("/machine-proofs", json=proof).status_code == 403  # it would let others in there
    assert pinned.client(text).get("/me").json()["grants"] == []


def test_furnishing_is_repeatable_elsewhere(it: Keywright, owner: httpx2.Client) -> None:
    furnish(owner, "development")
    answer = owner.delete("/environments/development")
    assert answer.status_code in (204, 409)
