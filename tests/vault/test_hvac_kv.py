"""hvac's key-value classes, every method, on OpenBao and on Keywright."""

from typing import Any

import hvac
import pytest

from tests.vault.pair import Pair, Side

FIRST = {"username": "shop", "password": "first", "port": "5432"}
SECOND = {"username": "shop", "password": "second"}


def kv2(side: Side) -> Any:
    """hvac's class of version 2."""
    return side.hvac.secrets.kv.v2


def read(side: Side, path: str, version: int | None = None) -> dict[str, Any]:
    """One version, or the live one."""
    answer: dict[str, Any] = kv2(side).read_secret_version(path, version, raise_on_deleted_version=True)
    return answer


def put(path: str, *secrets: dict[str, str]) -> Any:
    """A call that writes these, one after the other."""

    def write(side: Side) -> None:
        for secret in secrets:
            kv2(side).create_or_update_secret(path, secret)

    return write


def test_a_secret_is_written_and_read(pair: Pair) -> None:
    path = "production/hvac/db"
    made = pair.both("write a secret", lambda side: kv2(side).create_or_update_secret(path, FIRST))
    assert made.value["data"]["version"] == 1
    pair.both("write a secret again", put(path, SECOND))
    got = pair.both("read a secret", lambda side: kv2(side).read_secret(path, raise_on_deleted_version=True))
    assert got.value["data"]["data"] == SECOND
    latest = pair.both("read the latest version", lambda side: read(side, path))
    assert latest.value["data"]["metadata"]["version"] == 2
    older = pair.both("read an older version", lambda side: read(side, path, version=1))
    assert older.value["data"]["data"] == FIRST
    absent = pair.both("read a version that never was", lambda side: read(side, path, version=9))
    assert isinstance(absent.error, hvac.exceptions.InvalidPath)


def test_check_and_set_is_kept(pair: Pair) -> None:
    path = "production/hvac/checked"
    pair.both("create if absent", lambda side: kv2(side).create_or_update_secret(path, FIRST, cas=0))
    again = pair.both("create though present", lambda side: kv2(side).create_or_update_secret(path, SECOND, cas=0))
    assert isinstance(again.error, hvac.exceptions.InvalidRequest)
    assert "check-and-set parameter did not match the current version" in str(again.error)
    late = pair.both("write on a version that is not", lambda side: kv2(side).create_or_update_secret(path, SECOND, 7))
    assert isinstance(late.error, hvac.exceptions.InvalidRequest)
    right = pair.both("write on the live version", lambda side: kv2(side).create_or_update_secret(path, SECOND, cas=1))
    assert right.value["data"]["version"] == 2


@pytest.mark.filterwarnings("ignore:The raise_on_deleted_version parameter:DeprecationWarning:hvac")
def test_a_secret_is_patched(pair: Pair) -> None:
    path = "production/hvac/patched"
    pair.prepare(put(path, FIRST))
    pair.both("patch a secret", lambda side: kv2(side).patch(path, {"password": "patched"}))
    got = pair.both("read what was patched", lambda side: read(side, path))
    assert got.value["data"]["data"] == FIRST | {"password": "patched"}
    absent = pair.both("patch what is absent", lambda side: kv2(side).patch("production/hvac/none", {"password": "x"}))
    assert isinstance(absent.error, hvac.exceptions.InvalidPath)


def test_secrets_are_listed(pair: Pair) -> None:
    pair.prepare(put("production/listed/one", FIRST))
    pair.prepare(put("production/listed/below/two", FIRST))
    listed = pair.both("list a folder", lambda side: kv2(side).list_secrets("production/listed"))
    assert listed.value["data"]["keys"] == ["below/", "one"]
    absent = pair.both("list an absent folder", lambda side: kv2(side).list_secrets("production/nothing-here"))
    assert isinstance(absent.error, hvac.exceptions.InvalidPath)


def test_what_is_absent_is_absent(pair: Pair) -> None:
    path = "production/hvac/none"
    for name, call in {
        "read what is absent": lambda side: read(side, path),
        "read the metadata of what is absent": lambda side: kv2(side).read_secret_metadata(path),
    }.items():
        assert isinstance(pair.both(name, call).error, hvac.exceptions.InvalidPath)


def test_what_is_absent_is_not_changed(pair: Pair) -> None:
    path = "production/hvac/nothing"
    pair.both("delete what is absent", lambda side: kv2(side).delete_latest_version_of_secret(path))
    pair.both("delete versions of what is absent", lambda side: kv2(side).delete_secret_versions(path, [1]))
    pair.both("undelete what is absent", lambda side: kv2(side).undelete_secret_versions(path, [1]))
    pair.both("destroy what is absent", lambda side: kv2(side).destroy_secret_versions(path, [1]))
    pair.both("delete what is absent for good", lambda side: kv2(side).delete_metadata_and_all_versions(path))
    still = pair.both("read what is absent", lambda side: read(side, path))
    assert isinstance(still.error, hvac.exceptions.InvalidPath)


def test_versions_are_deleted_and_come_back(pair: Pair) -> None:
    path = "production/hvac/deleted"
    pair.prepare(put(path, FIRST, SECOND))
    pair.both("delete the latest version", lambda side: kv2(side).delete_latest_version_of_secret(path))
    gone = pair.both("read a deleted version", lambda side: read(side, path))
    assert isinstance(gone.error, hvac.exceptions.InvalidPath)
    full = pair.both(
        "read a deleted version calmly",
        lambda side: kv2(side).read_secret_version(path, raise_on_deleted_version=False),
    )
    assert full.value["data"]["data"] is None
    pair.both("undelete", lambda side: kv2(side).undelete_secret_versions(path, [2]))
    back = pair.both("read what came back", lambda side: read(side, path))
    assert back.value["data"]["data"] == SECOND
    pair.both("delete versions", lambda side: kv2(side).delete_secret_versions(path, [1]))
    kept = pair.both("read beside a deleted one", lambda side: read(side, path))
    assert kept.value["data"]["data"] == SECOND


def test_versions_are_destroyed(pair: Pair) -> None:
    path = "production/hvac/destroyed"
    pair.prepare(put(path, FIRST, SECOND))
    pair.both("destroy a version", lambda side: kv2(side).destroy_secret_versions(path, [1]))
    gone = pair.both("read a destroyed version", lambda side: read(side, path, version=1))
    assert isinstance(gone.error, hvac.exceptions.InvalidPath)
    pair.both("undelete a destroyed version", lambda side: kv2(side).undelete_secret_versions(path, [1]))
    still = pair.both("read it still destroyed", lambda side: read(side, path, version=1))
    assert isinstance(still.error, hvac.exceptions.InvalidPath)


def test_metadata_is_written_and_read(pair: Pair) -> None:
    path = "production/hvac/described"
    said = {"owner": "shop", "tier": "one"}
    pair.both(
        "write metadata before any version",
        lambda side: kv2(side).update_metadata(path, custom_metadata=said),
    )
    pair.both("read metadata without versions", lambda side: kv2(side).read_secret_metadata(path))
    pair.prepare(put(path, FIRST, SECOND))
    got = pair.both("read metadata", lambda side: kv2(side).read_secret_metadata(path))
    assert got.value["data"]["custom_metadata"] == said
    assert sorted(got.value["data"]["versions"]) == ["1", "2"]
    shown = pair.both("read a secret with metadata", lambda side: read(side, path))
    assert shown.value["data"]["metadata"]["custom_metadata"] == said
    pair.both("delete a secret for good", lambda side: kv2(side).delete_metadata_and_all_versions(path))
    gone = pair.both("read what is gone for good", lambda side: kv2(side).read_secret_metadata(path))
    assert isinstance(gone.error, hvac.exceptions.InvalidPath)


@pytest.mark.parametrize("given", [{"max_versions": 5}, {"cas_required": True}, {"delete_version_after": "1h"}])
def test_limits_of_a_secret_are_written(pair: Pair, given: dict[str, Any]) -> None:
    (name,) = given
    path = f"production/hvac/limited-{name.replace('_', '-')}"
    pair.prepare(put(path, FIRST))
    pair.both(f"write {name}", lambda side: kv2(side).update_metadata(path, **given))


def test_version_1_reads_the_same_secrets(pair: Pair) -> None:
    def make(side: Side) -> None:
        if side.name == "openbao":
            side.hvac.secrets.kv.v1.create_or_update_secret("production/one/db", FIRST, mount_point="kv")
            side.hvac.secrets.kv.v1.create_or_update_secret("production/one/below/db", FIRST, mount_point="kv")
        else:
            put("production/one/db", FIRST)(side)
            put("production/one/below/db", FIRST)(side)

    def kv1(side: Side) -> Any:
        return side.hvac.secrets.kv.v1

    pair.prepare(make)
    got = pair.both("read version 1", lambda side: kv1(side).read_secret("production/one/db", mount_point="kv"))
    assert got.value["data"] == FIRST
    listed = pair.both("list version 1", lambda side: kv1(side).list_secrets("production/one", mount_point="kv"))
    assert listed.value["data"]["keys"] == ["below/", "db"]
    absent = pair.both("read absent version 1", lambda side: kv1(side).read_secret("production/none", mount_point="kv"))
    assert isinstance(absent.error, hvac.exceptions.InvalidPath)


def test_version_1_is_read_only(pair: Pair) -> None:
    def write(side: Side) -> Any:
        return side.hvac.secrets.kv.v1.create_or_update_secret("production/one/written", FIRST, mount_point="kv")

    refused = pair.both("write version 1", write)
    assert "unsupported operation" in str(refused.error)


def test_hvac_reads_and_lists_by_path_alone(pair: Pair) -> None:
    pair.prepare(put("production/bare/db", FIRST))
    got = pair.both("read by path", lambda side: side.hvac.read("secret/data/production/bare/db"))
    assert got.value["data"]["data"] == FIRST
    listed = pair.both("list by path", lambda side: side.hvac.list("secret/metadata/production/bare"))
    assert listed.value["data"]["keys"] == ["db"]
    written = pair.both(
        "write by path", lambda side: side.hvac.write_data("secret/data/production/bare/db", data={"data": SECOND})
    )
    assert written.value["data"]["version"] == 2
    assert pair.both("read an absent path", lambda side: side.hvac.read("secret/data/production/bare/no")).value is None
    pair.both("delete by path", lambda side: side.hvac.delete("secret/data/production/bare/db"))
