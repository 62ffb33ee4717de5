"""KV version 2 over variables: one secret is one variable, and its versions are the variable's."""

from typing import Any

import httpx2
import pytest

from tests.http.vault.client import MERGE, Vault
from tests.http.vault.test_token import using
from tests.rigs.keywright import Keywright

NOBODY: dict[str, Any] = {"errors": []}


def put(vault: Vault, name: str, data: dict[str, Any], **options: Any) -> int:
    body = {"data": data} | ({"options": options} if options else {})
    return int(vault.ok("POST", f"secret/data/production/{name}", body)["data"]["version"])


def test_a_secret_is_a_variable_whose_value_is_an_object(vault: Vault, owner: httpx2.Client) -> None:
    assert put(vault, "one/object", {"username": "shop", "port": 5432, "deep": {"er": [1, None]}}) == 1
    value = owner.get("/environments/production/values/one/object").json()
    assert value["value"] == {"username": "shop", "port": 5432, "deep": {"er": [1, None]}}
    assert value["secret"] is True
    owner.put("/environments/production/variables/one/object", json={"value": {"a": "b"}})
    read = vault.ok("GET", "secret/data/production/one/object")
    assert read["data"]["data"] == {"a": "b"}
    assert read["data"]["metadata"]["version"] == 2


def test_a_string_appears_as_value_and_stays_a_string(vault: Vault, owner: httpx2.Client) -> None:
    assert vault.data("secret/data/production/shop/PASSWORD")["data"] == {"value": "hush-production"}
    put(vault, "plain/text", {"value": "x"})
    assert owner.get("/environments/production/values/plain/text").json()["value"] == "x"
    assert vault.data("secret/data/production/plain/text")["data"] == {"value": "x"}


def test_every_answer_has_the_envelope_and_is_kept_out_of_caches(vault: Vault) -> None:
    put(vault, "envelope", {"a": "b"})
    for path in ("secret/data/production/envelope", "secret/data/production/envelope?version=1"):
        answer = vault("GET", path)
        assert [*answer.json()] == [
            "request_id",
            "lease_id",
            "renewable",
            "lease_duration",
            "data",
            "wrap_info",
            "warnings",
            "auth",
        ]
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    for path in ("secret/data/production/envelope", "secret/data/production/none", "no/such/mount", "sys/nothing"):
        answer = vault("GET", path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"


def test_the_lane_and_the_routes_answer_alike(vault: Vault) -> None:
    put(vault, "alike", {"a": "b"})
    lane = vault("GET", "secret/data/production/alike")
    route = vault("GET", "secret/data/production/alike?version=0")
    assert lane.json()["data"] == route.json()["data"]
    assert lane.json().keys() == route.json().keys()
    common = {"cache-control", "content-type", "x-content-type-options", "referrer-policy"}
    assert {name: lane.headers[name] for name in common} == {name: route.headers[name] for name in common}


def test_a_mount_fixed_to_an_environment_needs_none_in_its_paths(vault: Vault, owner: httpx2.Client) -> None:
    vault.ok("PUT", "own/secret/data/fixed/db", {"data": {"a": "b"}})
    assert owner.get("/environments/production/values/fixed/db").json()["value"] == {"a": "b"}
    for query in ("", "?version=1"):
        assert vault.data(f"own/secret/data/fixed/db{query}")["data"] == {"a": "b"}
    assert "db" in vault.ok("LIST", "own/secret/metadata/fixed")["data"]["keys"]


def test_a_namespace_is_an_environment(vault: Vault) -> None:
    put(vault, "in/namespace", {"a": "b"})
    inside = {"X-Vault-Namespace": "production/"}
    assert vault.ok("GET", "secret/data/in/namespace", headers=inside)["data"]["data"] == {"a": "b"}
    for elsewhere in ("staging", "nowhere"):
        assert vault("GET", "secret/data/in/namespace", headers={"X-Vault-Namespace": elsewhere}).status_code == 404
    for refused, errors in (("a/b", ["namespace not found"]), ("staging", [])):
        answer = vault("GET", "own/secret/data/in/namespace", headers={"X-Vault-Namespace": refused})
        assert (answer.status_code, answer.json()) == (404, {"errors": errors})
    root = {"X-Vault-Namespace": "root"}
    assert vault("GET", "secret/data/production/in/namespace", headers=root).status_code == 200


def test_check_and_set_is_against_the_current_version(vault: Vault, owner: httpx2.Client) -> None:
    assert put(vault, "cas", {"a": "1"}, cas=0) == 1
    assert put(vault, "cas", {"a": "2"}, cas=1) == 2
    for wrong in (0, 1, 3):
        answer = vault("PUT", "secret/data/production/cas", {"data": {"a": "3"}, "options": {"cas": wrong}})
        assert answer.status_code == 400
        assert answer.json() == {"errors": ["check-and-set parameter did not match the current version"]}
    owner.post("/environments/production/activations", json={"variable": "cas", "version": 1})
    assert vault.data("secret/data/production/cas")["metadata"]["version"] == 1, "what is live is current"
    assert vault("PUT", "secret/data/production/cas", {"data": {}, "options": {"cas": 2}}).status_code == 400
    assert put(vault, "cas", {"a": "3"}, cas="1") == 3
    assert put(vault, "cas", {"a": "4"}) == 4, "without it nothing is checked"


def test_a_deleted_version_is_404_with_its_metadata_and_comes_back(vault: Vault, owner: httpx2.Client) -> None:
    put(vault, "gone", {"a": "1"})
    put(vault, "gone", {"a": "2"})
    assert vault("DELETE", "secret/data/production/gone").status_code == 204
    answer = vault("GET", "secret/data/production/gone")
    assert answer.status_code == 404
    said = answer.json()["data"]
    assert said["data"] is None
    assert said["metadata"]["version"] == 2
    assert said["metadata"]["deletion_time"]
    assert said["metadata"]["destroyed"] is False
    asked = {"action": "value.fetch", "resource": "gone", "outcome": "refused"}
    (refusal,) = owner.get("/events", params=asked).json()["items"]
    assert refusal["request"] == answer.headers["x-request-id"], "once, although lane and route were asked"
    assert owner.get("/environments/production/values/gone").status_code == 409
    assert vault("DELETE", "secret/data/production/gone").status_code == 204, "it is so already"
    assert vault.data("secret/data/production/gone?version=1")["data"] == {"a": "1"}
    assert vault("POST", "secret/undelete/production/gone", {"versions": [2, 77]}).status_code == 204
    assert vault.data("secret/data/production/gone")["data"] == {"a": "2"}
    assert vault.data("secret/data/production/gone")["metadata"]["deletion_time"] == ""
    history = vault.data("secret/metadata/production/gone")
    assert history["current_version"] == 2
    assert {number: it["deletion_time"] for number, it in history["versions"].items()} == {"1": "", "2": ""}


def test_versions_are_deleted_and_destroyed_by_number(vault: Vault) -> None:
    for number in range(3):
        put(vault, "numbers", {"a": str(number)})
    assert vault("PUT", "secret/delete/production/numbers", {"versions": "1, 2"}).status_code == 204
    assert vault("PUT", "secret/destroy/production/numbers", {"versions": ["2"]}).status_code == 204
    assert vault("PUT", "secret/undelete/production/numbers", {"versions": [1, 2]}).status_code == 204
    found = vault.data("secret/metadata/production/numbers")["versions"]
    assert [found[number]["destroyed"] for number in "123"] == [False, True, False]
    assert vault.data("secret/data/production/numbers?version=1")["data"] == {"a": "0"}
    answer = vault("GET", "secret/data/production/numbers?version=2")
    assert (answer.status_code, answer.json()["data"]["data"]) == (404, None)
    assert answer.json()["data"]["metadata"]["destroyed"] is True
    assert vault.data("secret/data/production/numbers")["metadata"]["version"] == 3
    for wrong in ({}, {"versions": []}, {"versions": ["x"]}, {"versions": {}}):
        assert vault("PUT", "secret/destroy/production/numbers", wrong).status_code == 400


def test_a_patch_merges_and_needs_its_media_type(vault: Vault) -> None:
    put(vault, "patched", {"a": "1", "b": {"c": 1, "d": 2}})
    body = {"data": {"a": None, "b": {"c": None, "e": 3}}}
    answer = vault("PATCH", "secret/data/production/patched", body)
    assert answer.status_code == 415
    assert vault.ok("PATCH", "secret/data/production/patched", body, headers=MERGE)["data"]["version"] == 2
    assert vault.data("secret/data/production/patched")["data"] == {"b": {"d": 2, "e": 3}}
    late = body | {"options": {"cas": 1}}
    assert vault("PATCH", "secret/data/production/patched", late, headers=MERGE).status_code == 400
    assert vault("PATCH", "secret/data/production/nothing", body, headers=MERGE).json() == NOBODY
    assert vault("PATCH", "secret/data/production/patched", {}, headers=MERGE).status_code == 400
    vault.ok("DELETE", "secret/data/production/patched")
    gone = vault("PATCH", "secret/data/production/patched", body, headers=MERGE)
    assert (gone.status_code, gone.json()["data"]["version"]) == (404, 2)


def test_metadata_is_noted_before_and_beside_versions(vault: Vault, owner: httpx2.Client) -> None:
    path = "secret/metadata/production/noted"
    assert vault("POST", path, {"custom_metadata": {"team": "shop", "tier": 1}}).status_code == 204
    first = vault.data(path)
    assert (first["current_version"], first["versions"]) == (0, {})
    assert first["custom_metadata"] == {"team": "shop", "tier": "1"}
    assert vault("GET", "secret/data/production/noted").json() == NOBODY
    assert "noted" in vault.ok("LIST", "secret/metadata/production")["data"]["keys"]
    assert put(vault, "noted", {"a": "b"}, cas=0) == 1
    assert vault.data("secret/data/production/noted")["metadata"]["custom_metadata"] == {"team": "shop", "tier": "1"}
    assert vault("PATCH", path, {"custom_metadata": {"tier": None, "on": "call"}}).status_code == 415
    vault.ok("PATCH", path, {"custom_metadata": {"tier": None, "on": "call"}}, headers=MERGE)
    for query in ("", "?version=1"):
        noted = vault.data(f"secret/data/production/noted{query}")["metadata"]["custom_metadata"]
        assert noted == {"team": "shop", "on": "call"}
    vault.ok("PUT", path, {"max_versions": 0, "cas_required": False, "delete_version_after": "0s"})
    assert vault.data(path)["custom_metadata"] == {"team": "shop", "on": "call"}, "what is not named stays"
    owner.put("/environments/production/variables/noted", json={"value": {"c": "d"}})
    assert vault.data("secret/data/production/noted")["metadata"]["custom_metadata"] == {"team": "shop", "on": "call"}
    assert (
        vault("PATCH", "secret/metadata/production/nothing", {"custom_metadata": {}}, headers=MERGE).status_code == 404
    )


@pytest.mark.parametrize(
    "body",
    [
        {"max_versions": 3},
        {"cas_required": True},
        {"delete_version_after": "1h"},
        {"custom_metadata": "x"},
        {"custom_metadata": {"a": {"b": "c"}}},
        {"custom_metadata": {"a": "b" * 513}},
        {"custom_metadata": {str(n): "" for n in range(65)}},
    ],
)
def test_what_a_variable_cannot_hold_is_refused(vault: Vault, body: dict[str, Any]) -> None:
    answer = vault("POST", "secret/metadata/production/refused", body)
    assert answer.status_code == 400
    assert len(answer.json()["errors"]) == 1
    assert vault("GET", "secret/metadata/production/refused").json() == NOBODY


def test_a_secret_is_deleted_for_good_with_its_metadata(vault: Vault, owner: httpx2.Client) -> None:
    put(vault, "for/good", {"a": "b"})
    assert vault("DELETE", "secret/metadata/production/for/good").status_code == 204
    assert owner.get("/environments/production/variables/for/good").status_code == 404
    for kind in ("data", "metadata", "subkeys"):
        answer = vault("GET", f"secret/{kind}/production/for/good")
        assert (answer.status_code, answer.json()) == (404, NOBODY)


def test_subkeys_tell_keys_and_no_value(vault: Vault) -> None:
    put(vault, "keys", {"a": "hidden", "b": {"c": {"d": "hidden"}, "e": ["hidden"]}})
    answer = vault("GET", "secret/subkeys/production/keys")
    assert "hidden" not in answer.text
    assert answer.json()["data"]["subkeys"] == {"a": None, "b": {"c": {"d": None}, "e": None}}
    assert vault.data("secret/subkeys/production/keys?depth=1")["subkeys"] == {"a": None, "b": None}
    assert vault.data("secret/subkeys/production/keys?depth=2&version=1")["subkeys"]["b"] == {"c": None, "e": None}
    assert vault("GET", "secret/subkeys/production/keys?depth=x").status_code == 400


def test_lists_show_what_lies_directly_in_a_folder(vault: Vault) -> None:
    for name in ("list/a", "list/b/c", "list/b/d/e", "list/b", "list/bb", "list/c/d"):
        put(vault, name, {"a": "b"})
    expected = ["a", "b", "b/", "bb", "c/"]
    for method, path in (
        ("LIST", "secret/metadata/production/list"),
        ("LIST", "secret/metadata/production/list/"),
        ("GET", "secret/metadata/production/list?list=true"),
    ):
        assert sorted(vault.ok(method, path)["data"]["keys"]) == expected
    assert vault.ok("LIST", "secret/metadata/production/list/b")["data"]["keys"] == ["c", "d/"]
    assert vault.ok("LIST", "secret/metadata")["data"]["keys"] == ["production/", "staging/"]
    for nothing in ("production/none", "nowhere", "production/list/a"):
        answer = vault("LIST", f"secret/metadata/{nothing}")
        assert (answer.status_code, answer.json()) == (404, NOBODY)
    assert vault("LIST", "secret/data/production/list").status_code == 405


def test_templates_and_references_are_read_resolved(vault: Vault, owner: httpx2.Client) -> None:
    put(vault, "part", {"value": "x"})
    owner.put("/environments/production/variables/whole", json={"template": "<${part}>"})
    for query in ("", "?version=1"):
        assert vault.data(f"secret/data/production/whole{query}")["data"] == {"value": "<x>"}
    answer = vault("PATCH", "secret/data/production/whole", {"data": {"a": "b"}}, headers=MERGE)
    assert answer.status_code == 400
    assert "template" in answer.json()["errors"][0]
    owner.put("/environments/production/variables/whole", json={"value": "y"})
    answer = vault("GET", "secret/data/production/whole?version=1")
    assert answer.status_code == 400
    assert vault.data("secret/data/production/whole")["data"] == {"value": "y"}


def test_a_template_or_a_reference_is_not_written_over(vault: Vault, owner: httpx2.Client) -> None:
    put(vault, "base", {"value": "x"})
    for name, body in (("composed", {"template": "<${base}>"}), ("kept-elsewhere", {"reference": "env:SHOP_KEY"})):
        where = f"/environments/production/variables/{name}"
        assert owner.put(where, json=body).status_code == 201
        for options in ({}, {"options": {"cas": 1}}):
            answer = vault("POST", f"secret/data/production/{name}", {"data": {"value": "y"}} | options)
            assert answer.status_code == 400
            assert "own door" in answer.json()["errors"][0]
        assert len(owner.get(where).json()["versions"]) == 1
        vault.ok("DELETE", f"secret/data/production/{name}")
        assert put(vault, name, {"value": "y"}) == 2, "what was deleted is in nobody's way"


@pytest.mark.parametrize(
    "body", [{}, {"a": "b"}, {"data": "x"}, {"data": None}, {"data": {}, "options": {"cas": "x"}}, ["x"]]
)
def test_a_malformed_write_changes_nothing(vault: Vault, body: Any) -> None:
    assert vault("POST", "secret/data/production/malformed", body).status_code == 400
    assert vault("GET", "secret/metadata/production/malformed").json() == NOBODY


def test_a_body_that_can_be_read_in_two_ways_is_refused(it: Keywright, vault: Vault) -> None:
    answer = httpx2.post(
        f"{it.url}/v1/secret/data/production/twice",
        content=b'{"data": {"a": "hidden"}, "data": {}}',
        headers={"X-Vault-Token": it.owner},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert "hidden" not in answer.text
    assert vault("GET", "secret/metadata/production/twice").status_code == 404


@pytest.mark.parametrize("path", ["", "production", "production/", "%00/x", "a%0ab/x", "x" * 300 + "/y"])
def test_what_cannot_be_a_secret_is_absent(vault: Vault, path: str) -> None:
    for kind in ("data", "metadata", "subkeys"):
        answer = vault("GET", f"secret/{kind}/{path}")
        assert (answer.status_code, answer.json()) == (404, NOBODY)


def test_who_may_not_change_versions_is_not_told_that_it_was_done(it: Keywright, vault: Vault) -> None:
    put(vault, "not/theirs", {"a": "b"})
    vault.ok("DELETE", "secret/data/production/not/theirs")
    put(vault, "not/deleted", {"a": "b"})
    everything = {"kind": "environment", "environment": "production"}
    asked = [
        ("DELETE", "data", "theirs", None),
        ("POST", "delete", "theirs", [1]),
        ("POST", "undelete", "deleted", [1]),
        ("POST", "destroy", "deleted", [9]),
    ]

    def statuses(client: Vault) -> list[int]:
        return [
            client(method, f"secret/{kind}/production/not/{name}", versions and {"versions": versions}).status_code
            for method, kind, name, versions in asked
        ]

    with using(it, it.token("only-uses", {"level": "use", **everything})) as uses:
        assert statuses(uses) == [403] * 4
    with using(it, it.token("only-edits", {"level": "edit", **everything})) as edits:
        assert statuses(edits) == [204, 204, 204, 403]
    assert statuses(vault) == [204] * 4
