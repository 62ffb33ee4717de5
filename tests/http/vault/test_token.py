"""Tokens at the Vault door: how they are shown, what they are told of themselves, and what is told to who has none."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.http.vault.client import Vault
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.listening import PATIENCE, Answer, Way

READ = "secret/data/production/shop/PASSWORD"
DENIED = {"errors": ["permission denied"]}
WRONG = "kw_0123456789abcdef_" + "A" * 43


@contextmanager
def using(it: Keywright, token: str) -> Iterator[Vault]:
    with Vault(it.url, token) as made:
        yield made


def raw(it: Keywright, *lines: str, method: str = "GET", path: str = READ) -> Answer:
    place = urlsplit(it.url)
    with socket.create_connection((str(place.hostname), place.port or 0), timeout=PATIENCE) as connected:
        way = Way(connected)
        way.say("\r\n".join([f"{method} /v1/{path} HTTP/1.1", "Host: x", *lines, "", ""]).encode())
        return way.answer()


@pytest.mark.parametrize("query", ["", "?version=0"])
def test_both_headers_work_and_two_that_differ_do_not(it: Keywright, query: str) -> None:
    shown = f"X-Vault-Token: {it.owner}", f"Authorization: Bearer {it.owner}"
    path = READ + query
    for right in ((shown[0],), (shown[1],), shown, ("X-Vault-Request: true", shown[0])):
        assert raw(it, *right, path=path).status == 200
    wrong = f"X-Vault-Token: {WRONG}", "X-Vault-Token: x", f"Authorization: Basic {it.owner}", "X-Vault-Token: "
    for denied in ((), *((one,) for one in wrong), (wrong[0], shown[1]), (shown[0], wrong[2])):
        answer = raw(it, *denied, path=path)
        assert (answer.status, answer.json) == (403, DENIED)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "path",
    ["sys/mounts", "sys/internal/ui/mounts/secret", "auth/token/lookup-self", "no/mount", "sys/none", "auth/x/login"],
)
def test_who_is_not_known_learns_of_no_path(it: Keywright, path: str) -> None:
    for lines in ((), (f"X-Vault-Token: {WRONG}",)):
        answer = raw(it, *lines, path=path)
        assert (answer.status, answer.json) == (403, DENIED)


def test_a_token_looks_at_itself(it: Keywright) -> None:
    folder = {"level": "edit", "kind": "folder", "environment": "production", "path": "shop"}
    wall = {"level": "use", "kind": "environment", "environment": "staging"}
    connection = {"level": "own", "kind": "connection", "environment": "production", "path": "shop/db"}
    token = it.token("looks", folder, wall, connection, expires_in="2h")
    with using(it, token) as vault:
        told = vault.data("auth/token/lookup-self")
    assert told["policies"] == ["default", "edit/production/shop/", "own/production/shop/db", "use/staging"]
    assert (told["id"], told["display_name"], told["type"]) == (token, "looks", "service")
    assert told["creation_ttl"] == 7200
    assert 0 < told["ttl"] <= 7200
    assert told["expire_time"].endswith("Z")
    with using(it, it.owner) as vault:
        told = vault.data("auth/token/lookup-self")
    assert (told["ttl"], told["expire_time"], told["policies"]) == (0, None, ["default", "own"])
    assert (told["entity_id"], told["meta"]) == ("", None)


def test_a_token_that_does_not_end_is_not_renewed_and_may_end_itself(it: Keywright) -> None:
    token = it.token("ends", {"level": "use", "kind": "environment", "environment": "production"})
    with using(it, token) as vault:
        for body in ({}, {"increment": 60}, {"increment": None}, {"increment": "1h"}):
            answer = vault("PUT", "auth/token/renew-self", body)
            assert (answer.status_code, answer.json()) == (400, {"errors": ["lease is not renewable"]})
        assert vault("POST", "auth/token/revoke-self", {}).status_code == 204
        answer = vault("GET", READ)
        assert (answer.status_code, answer.json()) == (403, DENIED)
        assert vault("GET", "auth/token/lookup-self").json() == DENIED


def test_what_may_not_be_seen_is_as_if_absent(it: Keywright, vault: Vault) -> None:
    vault.ok("POST", "secret/data/production/hidden/one", {"data": {"a": "b"}})
    token = it.token("narrow", {"level": "use", "kind": "folder", "environment": "production", "path": "shop"})
    with using(it, token) as narrow:
        for method, kind, body in (
            ("GET", "secret/data/{}", None),
            ("GET", "secret/metadata/{}", None),
            ("GET", "secret/subkeys/{}", None),
            ("GET", "kv/{}", None),
            ("LIST", "secret/metadata/{}", None),
            ("POST", "secret/data/{}", {"data": {}}),
            ("POST", "secret/metadata/{}", {"custom_metadata": {}}),
            ("POST", "secret/destroy/{}", {"versions": [1]}),
            ("DELETE", "secret/data/{}", None),
            ("DELETE", "secret/metadata/{}", None),
        ):
            seen = [
                narrow(method, kind.format(name), body)
                for name in ("production/hidden/one", "production/hidden/none", "nowhere/x", "staging/shop/PASSWORD")
            ]
            assert {(answer.status_code, answer.text) for answer in seen} == {(404, '{"errors":[]}')}, kind
        for name in ("production/shop/admin", "production/hidden", "nowhere/db", "staging/shop/db"):
            answer = narrow("GET", f"database/static-creds/{name}")
            if name != "production/shop/admin":
                assert (answer.status_code, answer.json()) == (400, {"errors": [f"unknown role: {name}"]})
        assert narrow.ok("LIST", "secret/metadata")["data"]["keys"] == ["production/"]
        assert narrow.ok("LIST", "secret/metadata/production")["data"]["keys"] == ["shop/"]


def test_a_namespace_is_one_that_the_token_has_business_in(it: Keywright) -> None:
    """Wherever it is named: nobody learns from it which environments there are."""
    token = it.token("inside", {"level": "use", "kind": "folder", "environment": "production", "path": "shop"})
    with using(it, token) as inside, using(it, it.owner) as owner:
        for method, path, body in (
            ("GET", "auth/token/lookup-self", None),
            ("GET", "sys/mounts", None),
            ("GET", "sys/internal/ui/mounts/secret/shop", None),
            ("POST", "sys/capabilities-self", {"paths": ["secret/data/shop/x"]}),
        ):
            assert inside(method, path, body, headers={"X-Vault-Namespace": "production"}).status_code == 200
            seen = [
                client(method, path, body, headers={"X-Vault-Namespace": namespace})
                for client, namespace in ((inside, "staging"), (inside, "nowhere"), (owner, "nowhere"))
            ]
            told = {(answer.status_code, answer.text) for answer in seen}
            assert told == {(404, '{"errors":["namespace not found"]}')}, path
    events = it.client().get("/events", params={"action": "environment.get", "actor": "inside"}).json()["items"]
    assert {(event["outcome"], event["environment"]) for event in events} == {
        ("refused", "staging"),
        ("refused", "nowhere"),
    }


def test_to_which_environment_a_mount_is_fixed_is_told_to_nobody_else(it: Keywright) -> None:
    token = it.token("elsewhere", {"level": "own", "kind": "environment", "environment": "staging"})
    with using(it, token) as other:
        assert "production" not in other("GET", "sys/mounts").text
        for path in ("sys/mounts/own/secret", "sys/mounts/own/secret/tune", "sys/internal/ui/mounts/own/secret/x"):
            assert "production" not in other("GET", path).text
        for method, path, body in (
            ("GET", "data/shop/PASSWORD", None),
            ("POST", "data/shop/PASSWORD", {"data": {"a": "b"}}),
            ("POST", "data/shop/PASSWORD", {}),
            ("PATCH", "data/shop/PASSWORD", {}),
            ("DELETE", "data/shop/PASSWORD", None),
            ("POST", "destroy/shop/PASSWORD", {"versions": [1]}),
            ("PATCH", "metadata/shop/PASSWORD", {}),
            ("LIST", "metadata/shop", None),
            ("LIST", "metadata", None),
            ("LIST", "data", None),
        ):
            asked = [
                other(method, f"own/secret/{path}", body, headers={"X-Vault-Namespace": namespace})
                for namespace in ("production", "staging", "nowhere")
            ]
            assert len({(answer.status_code, answer.text) for answer in asked}) == 1, (method, path)
            assert asked[0].status_code >= 400


def test_what_may_be_seen_and_not_changed_is_403(it: Keywright) -> None:
    token = it.token("reader", {"level": "use", "kind": "environment", "environment": "production"})
    with using(it, token) as reader:
        for method, path, body in (
            ("POST", READ, {"data": {}}),
            ("DELETE", READ, None),
            ("POST", "secret/metadata/production/shop/PASSWORD", {"custom_metadata": {"a": "b"}}),
            ("DELETE", "secret/metadata/production/shop/PASSWORD", None),
            ("POST", "secret/destroy/production/shop/PASSWORD", {"versions": [1]}),
            ("POST", "database/rotate-role/production/shop/db", {}),
        ):
            answer = reader(method, path, body)
            assert answer.status_code == 403
            assert answer.json()["errors"][0].startswith("permission denied")
        assert reader.data(READ)["metadata"]["version"] == 1


def test_capabilities_are_what_the_grants_allow(it: Keywright, vault: Vault) -> None:
    folder = {"level": "edit", "kind": "folder", "environment": "production", "path": "shop"}
    connection = {"level": "use", "kind": "connection", "environment": "production", "path": "shop/db"}
    token = it.token("capable", folder, connection)
    expected = {
        "secret/data/production/shop/x": ["create", "delete", "patch", "read", "update"],
        "secret/metadata/production/shop/x": ["create", "list", "patch", "read", "update"],
        "secret/destroy/production/shop/x": ["deny"],
        "secret/undelete/production/shop/x": ["create", "update"],
        "secret/data/production/other": ["deny"],
        "secret/data/staging/shop/x": ["deny"],
        "own/secret/data/shop/x": ["create", "delete", "patch", "read", "update"],
        "kv/production/shop/x": ["list", "read"],
        "database/static-creds/production/shop/db": ["read"],
        "database/rotate-role/production/other": ["deny"],
        "sys/capabilities-self": ["update"],
        "sys/raw": ["deny"],
    }
    with using(it, token) as capable:
        told = capable.ok("POST", "sys/capabilities-self", {"paths": [*expected]})
        assert told["data"] == expected
        assert {path: told[path] for path in expected} == expected
        one = capable.ok("POST", "sys/capabilities-self", {"path": "secret/data/production/other"})
        assert one["data"]["capabilities"] == one["capabilities"] == ["deny"]
        assert capable("POST", "sys/capabilities-self", {}).json() == {"errors": ["paths must be supplied"]}
    owned = vault.ok("POST", "sys/capabilities-self", {"paths": ["secret/destroy/production/x"]})
    assert owned["data"]["secret/destroy/production/x"] == ["create", "update"]


def test_tokens_that_nobody_knows_are_counted() -> None:
    with running_keywright(refused_rate=1) as it, Vault(it.url, WRONG) as wrong, Vault(it.url, it.owner) as right:
        for path in (READ, "sys/mounts"):
            seen = [wrong("GET", path) for _ in range(10)]
            assert [answer.status_code for answer in seen][-1] == 429
            assert [*seen[-1].json()] == ["errors"]
        opens = [wrong("POST", "sys/wrapping/unwrap", {}) for _ in range(10)]
        assert opens[-1].status_code == 429
        assert right("GET", "sys/mounts").status_code == 200


def test_a_certificate_alone_is_not_needed_where_there_is_a_token(it: Keywright, owner: httpx2.Client) -> None:
    events = owner.get("/events", params={"action": "value.fetch", "limit": 5}).json()["items"]
    assert events, "what is fetched here is in the log like everything else"
    assert {event["action"] for event in events} == {"value.fetch"}
