"""`sys/…` at the Vault door: mounts, health, leases that there are not, and doors that are shut."""

import re
from pathlib import Path

import pytest

from service.core.errors import Invalid
from service.http.vault import mounts
from tests.http.vault.client import Vault
from tests.rigs.keywright import Keywright, running_keywright

SEMVER = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def test_the_command_finds_a_mount_and_its_version(vault: Vault) -> None:
    for path, mount, version in (
        ("secret/production/shop", "secret/", "2"),
        ("secret", "secret/", "2"),
        ("own/secret/shop/", "own/secret/", "2"),
        ("kv/production", "kv/", "1"),
    ):
        told = vault.data(f"sys/internal/ui/mounts/{path}")
        assert (told["path"], told["options"], told["type"]) == (mount, {"version": version}, "kv")
    answer = vault("GET", "sys/internal/ui/mounts/none/such")
    assert answer.status_code == 403
    assert answer.json()["errors"][0].startswith("preflight capability check returned 403")
    told = vault.data("sys/internal/ui/mounts")
    assert "secret/" in told["secret"]
    assert "token/" in told["auth"]


def test_mounts_are_told_beside_the_envelope_too(vault: Vault) -> None:
    told = vault.ok("GET", "sys/mounts")
    assert told["data"].keys() == {"secret/", "kv/", "database/", "own/secret/"}
    assert told["secret/"] == told["data"]["secret/"]
    assert told["data"]["database/"]["type"] == "database"
    assert vault.ok("GET", "sys/mounts/secret")["options"] == {"version": "2"}
    program = vault.ok("GET", "sys/health")["version"]
    assert {each["running_plugin_version"] for each in told["data"].values()} == {f"v{program}+builtin.keywright"}
    assert vault.data("sys/mounts/secret/tune")["options"] == {"version": "2"}
    assert vault("GET", "sys/mounts/none").status_code == 400
    assert "approle/" in vault.data("sys/auth")


def test_health_needs_no_token_and_takes_the_status_it_is_told(it: Keywright) -> None:
    with Vault(it.url) as nobody:
        answer = nobody("GET", "sys/health?standbyok=true&perfstandbyok=true")
        told = answer.json()
        assert (answer.status_code, told["initialized"], told["sealed"], told["standby"]) == (200, True, False, False)
        assert SEMVER.fullmatch(told["version"])
        assert nobody("HEAD", "sys/health").status_code == 200
        assert nobody("GET", "sys/health?activecode=204&sealedcode=299").status_code == 204
        for wrong in ("x", "99", "1000", "20x", "9" * 5000):
            assert nobody("GET", f"sys/health?activecode={wrong}").status_code == 400
        seal = nobody("GET", "sys/seal-status").json()
        assert (seal["initialized"], seal["sealed"], seal["version"]) == (True, False, told["version"])
        assert seal["cluster_id"] == told["cluster_id"]
        assert nobody("GET", "sys/init").json() == {"initialized": True}
        assert nobody("PUT", "sys/health", {}).status_code == 405


def test_a_ledger_is_the_cluster_of_all_who_serve_it(tmp_path: Path) -> None:
    def told(data: Path) -> str:
        with running_keywright(data=data) as it, Vault(it.url) as nobody:
            return str(nobody.ok("GET", "sys/health")["cluster_id"])

    one = told(tmp_path / "one")
    assert told(tmp_path / "one") == one
    assert told(tmp_path / "other") != one


def test_an_instance_that_cannot_record_is_sealed(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(it.service.keeper.recorder, "_try", lambda: None)  # it would see that it can, within a second
    monkeypatch.setattr(it.service.keeper.recorder, "records", False)
    with Vault(it.url) as nobody:
        answer = nobody("GET", "sys/health")
        assert (answer.status_code, answer.json()["sealed"]) == (503, True)
        assert "cluster_id" not in answer.json()
        assert nobody("GET", "sys/health?sealedcode=200").status_code == 200
        assert nobody("GET", "sys/seal-status").json()["sealed"] is True


def test_there_are_no_leases(vault: Vault) -> None:
    for method, path, body, status, errors in (
        ("PUT", "sys/leases/lookup", {"lease_id": "a/b"}, 400, ["invalid lease"]),
        ("PUT", "sys/leases/renew", {"lease_id": "a/b"}, 400, ["lease not found"]),
        ("PUT", "sys/leases/renew/a/b", {}, 400, ["lease not found"]),
        ("PUT", "sys/leases/renew", {}, 400, ["lease_id must be specified"]),
        ("LIST", "sys/leases/lookup/a/b", None, 404, []),
        ("GET", "sys/leases/renew", None, 405, ["1 error occurred:\n\t* unsupported operation\n\n"]),
        ("PUT", "sys/leases/none", {}, 404, ["1 error occurred:\n\t* unsupported path\n\n"]),
    ):
        answer = vault(method, path, body)
        assert (answer.status_code, answer.json()) == (status, {"errors": errors})
    assert vault("PUT", "sys/leases/revoke", {"lease_id": "a/b"}).status_code == 204


def test_what_is_not_there_is_said_as_vault_says_it(vault: Vault) -> None:
    answer = vault("GET", "none/such")
    assert (answer.status_code, answer.json()) == (
        404,
        {"errors": ['no handler for route "none/such". route entry not found.']},
    )
    assert vault("GET", "sys/none").status_code == 404
    assert vault("GET", "database/none").status_code == 404
    answer = vault("GET", "secret/shop/PASSWORD")
    assert answer.status_code == 404
    assert answer.json()["warnings"][0].startswith("Invalid path for a versioned K/V secrets engine")
    assert vault.data("secret/config")["max_versions"] == 0
    assert vault("POST", "secret/config", {"max_versions": 5}).status_code == 400


def test_a_token_in_a_path_is_not_said_again(vault: Vault) -> None:
    answer = vault("GET", "none/kw_0123456789abcdef_" + "x" * 43)
    assert answer.json()["errors"] == ['no handler for route "none/kw_0123456789abcdef_…". route entry not found.']


def test_version_1_is_read_and_listed_and_not_written(vault: Vault) -> None:
    vault.ok("POST", "secret/data/production/old/one", {"data": {"a": "b"}})
    for query in ("", "?x=y"):  # in the lane, and not
        told = vault.ok("GET", f"kv/production/old/one{query}")
        assert (told["data"], told["lease_duration"], told["lease_id"]) == ({"a": "b"}, 2_764_800, "")
    assert vault.ok("LIST", "kv/production/old")["data"]["keys"] == ["one"]
    assert vault.ok("LIST", "kv")["data"]["keys"] == ["production/", "staging/"]
    assert vault("POST", "kv/production/old/one", {"a": "c"}).status_code == 405
    vault.ok("DELETE", "secret/data/production/old/one")
    for query in ("", "?x=y"):
        answer = vault("GET", f"kv/production/old/one{query}")
        assert (answer.status_code, answer.json()) == (404, {"errors": []})


def test_too_much_is_refused_in_the_shape_of_the_door(vault: Vault) -> None:
    answer = vault("POST", "secret/data/production/large", {"data": {"a": "x" * 300_000}})
    assert answer.status_code == 413
    assert [*answer.json()] == ["errors"]
    answer = vault("POST", "secret/data/production/large", {"data": {"a": "x" * 70_000}})
    assert answer.status_code == 413
    assert [*answer.json()] == ["errors"]
    assert vault("GET", "secret/metadata/production/large").status_code == 404
    assert [*vault("GET", "secret/data/production/" + "x" * 9000).json()] == ["errors"]


def test_the_door_can_be_shut() -> None:
    with running_keywright(vault_door=False) as it, Vault(it.url, it.owner) as vault:
        answer = vault("GET", "sys/health")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:keywright:problem:absent")
        assert it.client().get("/me").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        '{"sys/": {"type": "kv-v2"}}',
        '{"a": {"type": "kv-v3"}}',
        '{"a": {"type": "kv-v2", "x": "y"}}',
        '{"a": {"type": "kv-v2", "environment": ""}}',
        '{"a": {"type": "kv-v2"}, "a/b": {"type": "kv-v1"}}',
        '{"a": {"type": "kv-v2"}, "a/": {"type": "kv-v1"}}',
        '{"a//b": {"type": "kv-v2"}}',
        '{"a": "kv-v2"}',
    ],
)
def test_mounts_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(Invalid, match="KEYWRIGHT_VAULT_MOUNTS"):
        mounts.parse(text)
