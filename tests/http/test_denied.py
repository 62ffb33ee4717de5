"""Deny by default: nobody gets in, and who has no business with a thing cannot tell whether it is there."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from service.core.connection import Engine
from service.keeper.tokens import SYSTEM
from tests.http.conftest import furnish
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright

OPEN = {"/healthz", "/readyz", "/metrics"}
ENTRANCES = {f"/api/v1/login/{kind}" for kind in ("approle", "jwt", "kubernetes")}
OWN = {"/api/v1/me/token", "/api/v1/me/renewals", "/api/v1/access/rules/trials"}
"""Anybody's own token is their own matter; and a rule that is tried is nobody's."""
ABSENT = "absent-one"
BODIES: dict[str, dict[str, Any]] = {
    "POST /environments": {"name": "ENV"},
    "PATCH /environments/{environment}": {"stores": {}},
    "PUT /environments/{environment}/variables/{name}": {"value": "x"},
    "POST /environments/{environment}/activations": {"variable": "NAME", "version": 1},
    "POST /environments/{environment}/versions": {"variable": "NAME", "version": 1, "state": "destroyed"},
    "PUT /environments/{environment}/connections/{name}": {
        "engine": "postgresql",
        "endpoints": [{"host": "db.test"}],
        "database": "shop",
        "login": {"username": "app", "password": "first-password"},
    },
    "PUT /environments/{environment}/policies/{name}": {"rotation": None},
    "POST /environments/{environment}/rotations": {"connection": "NAME"},
    "POST /environments/{environment}/rehearsals": {"connection": "NAME"},
    "POST /environments/{environment}/incidents": {"folder": "FOLDER", "reason": "a leak"},
    "POST /tokens": {"name": "another", "grants": [{"level": "use", "kind": "environment", "environment": "ENV"}]},
    "PATCH /tokens/{token_id}": {"certificates": ["ab" * 32]},
    "POST /users": {"email": "another@people.example"},
    "PATCH /settings": {"step_up": 600},
    "PATCH /users/{user_id}": {"enabled": False},
    "POST /groups": {"name": "another"},
    "PATCH /groups/{group_id}": {"name": "another"},
    "POST /machines": {"name": "another"},
    "POST /me/tokens": {"name": "another"},
    "PATCH /machines/{name}": {"enabled": False},
    "POST /machine-proofs": {"machine": "NAME", "proof": {"kind": "approle"}},
    "POST /machine-secrets": {"machine": "NAME"},
    "POST /machine-tokens": {"machine": "NAME"},
    "POST /login/approle": {"role_id": "nobody", "secret_id": "nothing"},
    "POST /login/jwt": {"machine": "nobody", "jwt": "nothing"},
    "POST /login/kubernetes": {"machine": "nobody", "jwt": "nothing"},
    "POST /webhooks": {"name": "hook", "url": "https://hooks.test/", "environment": "ENV", "folder": "FOLDER"},
    "POST /webhooks/{webhook_id}/replays": {"since": "2026-11-22T12:00:00Z"},
    "PATCH /webhooks/{webhook_id}": {"enabled": False},
    "POST /identity-providers": {
        "name": "corp",
        "definition": {"kind": "oidc", "issuer": "https://id.test", "client_id": "keywright"},
    },
    "PATCH /identity-providers/{provider}": {"enabled": False},
    "POST /environments/{environment}/break-glass": {"reason": "the shop is down"},
    "POST /approvals/{approval_id}/decision": {"decision": "approve"},
    "POST /saml-metadata": {"xml": "<a/>"},
    "POST /grants": {"token": "owner", "level": "use", "kind": "environment", "environment": "ENV"},
}


def operations(it: Keywright) -> list[tuple[str, str]]:
    paths = it.nobody().get("/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item]


Ids = Mapping[str, str]
"""By the name of the parameter."""
_NOUNS = ("rotation", "incident", "restoration", "token", "grant", "proof", "secret", "webhook")
_NOUNS += ("user", "group", "member", "approval", "glass")
NO_IDS = {f"{noun}_id": "0" * 32 for noun in _NOUNS} | {"provider": "corp"}


def filled(path: str, environment: str, name: str, ids: Ids) -> str:
    path = path.removeprefix("/api/v1").replace("{environment}", environment).replace("{name}", name)
    return path.format_map(ids)


def body_of(method: str, path: str, environment: str, name: str) -> Any:
    def put(value: Any) -> Any:
        match value:
            case "NAME":
                return name
            case "FOLDER":
                return name.partition("/")[0]
            case "ENV":
                return environment
            case dict():
                return {k: put(v) for k, v in value.items()}
            case list():
                return [put(v) for v in value]
            case _:
                return value

    return put(BODIES.get(f"{method} {path.removeprefix('/api/v1')}"))


def ask(
    client: httpx2.Client, method: str, path: str, environment: str, name: str, ids: Ids
) -> tuple[int, dict[str, Any]]:
    """Status and problem, without what belongs to the one request and the names that were asked for."""
    query = {"names": name} if path.endswith("/values") else {}
    query |= {"machine": name} if method == "GET" and "/machine-" in path else {}
    query |= {"environment": environment} if path.endswith("/stream") else {}
    query |= (
        {"action": "use", "resource": f"environment:{environment}", "caller": "token:owner"}
        if "explain" in path
        else {}
    )
    answer = client.request(
        method,
        filled(path, environment, name, ids),
        params=query,
        json=body_of(method, path, environment, name),
    )
    said = answer.json() if answer.content else {}
    said.pop("request_id", None)
    for key, value in said.items():
        if isinstance(value, str):
            for asked in (name, name.partition("/")[0], *ids.values(), environment):
                value = value.replace(asked, "…")
            said[key] = value
    return answer.status_code, said


def name_in(path: str) -> str:
    return (
        "shop/db"
        if re.search("connections|policies|credentials|rotations|rehearsals|incidents|webhooks", path)
        else "shop/PASSWORD"
    )


def test_without_a_token_nothing_answers(it: Keywright) -> None:
    tried = 0
    for method, path in operations(it):
        body = body_of(method, path, "", "") if path in ENTRANCES else {"any": "thing"}
        answer = it.nobody().request(method, filled(path, "production", "shop/db", NO_IDS), json=body)
        if path in OPEN:
            continue
        tried += 1
        assert answer.status_code == 401, (method, path, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["cache-control"] == "no-store"
    assert tried > 30


def test_watchers_need_no_token_and_learn_nothing(it: Keywright) -> None:
    with httpx2.Client(base_url=it.url, trust_env=False) as client:
        assert client.get("/healthz").json() == {"status": "alive"}
        ready = {"ready": True, "ledger": True, "clock": True}
        told = {"held": False, "connections_held": 0, "overdue": 0, "replication": "none", "warnings": []}
        assert client.get("/readyz").json() == ready | told
        said = client.get("/metrics").text
    assert "production" not in said
    assert "shop" not in said


@pytest.fixture(scope="module")
def ids(owner: httpx2.Client) -> Ids:
    return ids_in(owner, "production")


def ids_in(owner: httpx2.Client, environment: str) -> Ids:
    """Of a rotation, an incident and a webhook that are there."""
    hooks = [each["id"] for each in owner.get("/webhooks").json()["items"] if each["environment"] == environment]
    return (
        NO_IDS
        | {
            "webhook_id": hooks[0],
        }
        | {
            f"{noun}_id": owner.get(f"/environments/{environment}/{noun}s").json()["items"][0]["id"]
            for noun in ("rotation", "incident")
        }
    )


STRANGERS: dict[str, list[dict[str, str]]] = {
    "nothing at all": [],
    "another environment": [{"level": "own", "kind": "environment", "environment": "staging"}],
    "another folder": [{"level": "own", "kind": "folder", "environment": "production", "path": "bank"}],
    "another connection": [{"level": "own", "kind": "connection", "environment": "production", "path": "bank/db"}],
}
INSIDE = ("/variables", "/connections", "/rotations", "/incidents")
LISTS = {f"GET /{noun}" for noun in ("approvals", "environments", "grants", "me", "restorations", "webhooks")}
"""What answers everybody, with what is theirs."""


@pytest.mark.parametrize("stranger", STRANGERS)
def test_what_a_stranger_asks_for_is_as_if_it_were_not_there(it: Keywright, ids: Ids, stranger: str) -> None:
    client = it.client(it.token(stranger.replace(" ", "-"), *STRANGERS[stranger]))
    inside = "environment" not in stranger and stranger != "nothing at all"
    for method, path in operations(it):
        if path in OPEN | ENTRANCES | OWN or f"{method} {path.removeprefix('/api/v1')}" in LISTS:
            continue
        if (
            inside
            and method == "GET"
            and path.endswith(("{environment}", "/variables", "/connections", "/rotations", "/incidents", "/stream"))
        ):
            continue  # it has business there; what it sees is the next test's matter
        there = ask(client, method, path, "production", name_in(path), ids)
        if inside:
            # The environment is one that it may enter: within it, another name must answer alike.
            absent = ask(client, method, path, "production", ABSENT, NO_IDS)
        else:
            absent = ask(client, method, path, ABSENT, name_in(path), NO_IDS)
        assert there[0] in (403, 404), (method, path, there)
        assert there == absent, (method, path)


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


def test_who_may_only_use_cannot_change(it: Keywright, ids: Ids) -> None:
    client = it.client(it.token("user", {"level": "use", "kind": "everything"}))
    changes = 0
    for method, path in operations(it):
        hidden = path.endswith(("{token_id}", "{grant_id}", "{glass_id}"))
        hidden = hidden or "{webhook_id}" in path or "{approval_id}" in path
        if method == "GET" or path in ENTRANCES | OWN or hidden:
            continue
        changes += 1
        answer = ask(client, method, path, "production", name_in(path), ids)
        assert answer[0] == 403, (method, path, answer)
    assert changes > 12
    assert client.get("/environments/production/values/shop/PASSWORD").json()["value"] == "hush-production"


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


def test_a_pinned_instance_reaches_nothing_else(it: Keywright, pinned: Keywright, owner: httpx2.Client) -> None:
    elsewhere = ids_in(owner, "staging")
    client = pinned.client()
    for method, path in operations(it):
        if path in OPEN:
            continue
        if any(parameter in path for parameter in ("{environment}", "{rotation_id}", "{incident_id}", "{webhook_id}")):
            there = ask(client, method, path, "staging", name_in(path), elsewhere)
            absent = ask(client, method, path, ABSENT, name_in(path), NO_IDS)
            assert there[0] == 404, (method, path, there)
            assert there == absent
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
