"""The command line `bao` on OpenBao and on Keywright: how each command ends, and what it prints as JSON."""

from pathlib import Path

import pytest

from tests.vault.commands import Bao, Ran
from tests.vault.pair import Pair, Side

JSON = "-format=json"
PATH = "production/bao/db"


@pytest.fixture(name="bao")
def bao_fixture(pair: Pair, tmp_path: Path) -> Bao:
    return Bao(pair, tmp_path)


def test_a_secret_lives_and_dies(bao: Bao) -> None:
    assert bao.both("kv", "put", JSON, "-mount=secret", PATH, "username=shop", "password=first").code == 0
    assert (
        bao.both("kv", "put", JSON, "-mount=secret", "-cas=1", PATH, "password=second", name="bao kv put -cas").code
        == 0
    )
    late = bao.both("kv", "put", JSON, "-mount=secret", "-cas=1", PATH, "password=late", name="bao kv put -cas late")
    assert late.code == 2
    assert "check-and-set parameter did not match" in late.stderr
    got = bao.both("kv", "get", JSON, "-mount=secret", PATH)
    assert got.json["data"]["data"] == {"password": "second"}
    assert bao.both("kv", "get", "-field=password", f"secret/{PATH}").stdout == "second"
    older = bao.both("kv", "get", JSON, "-version=1", f"secret/{PATH}", name="bao kv get -version")
    assert older.json["data"]["data"] == {"username": "shop", "password": "first"}
    assert bao.both("kv", "patch", JSON, f"secret/{PATH}", "port=5432").code == 0
    rewritten = bao.both("kv", "patch", JSON, "-method=rw", f"secret/{PATH}", "port=5433", name="bao kv patch rw")
    assert rewritten.json["data"]["version"] == 4
    rolled = bao.both("kv", "rollback", JSON, "-version=1", f"secret/{PATH}")
    assert rolled.json["data"]["version"] == 5
    again = bao.both("kv", "get", JSON, f"secret/{PATH}", name="bao kv get after rollback")
    assert again.json["data"]["data"] == {"username": "shop", "password": "first"}
    assert bao.both("kv", "delete", f"secret/{PATH}").code == 0
    gone = bao.both("kv", "get", JSON, f"secret/{PATH}", name="bao kv get after delete")
    assert gone.json["data"]["data"] is None
    assert bao.both("kv", "undelete", "-versions=5", f"secret/{PATH}").code == 0
    assert (
        bao.both("kv", "get", "-field=password", f"secret/{PATH}", name="bao kv get after undelete").stdout == "first"
    )
    assert bao.both("kv", "destroy", "-versions=1,2", f"secret/{PATH}").code == 0
    shown = bao.both("kv", "metadata", "get", JSON, f"secret/{PATH}")
    destroyed = {number for number, version in shown.json["data"]["versions"].items() if version["destroyed"]}
    assert destroyed == {"1", "2"}
    assert bao.both("kv", "delete", "-versions=4", f"secret/{PATH}", name="bao kv delete -versions").code == 0
    assert bao.both("kv", "metadata", "delete", f"secret/{PATH}").code == 0
    assert bao.both("kv", "get", JSON, f"secret/{PATH}", name="bao kv get after metadata delete").code == 2


def test_metadata(bao: Bao) -> None:
    path = "secret/production/bao/described"
    assert bao.both("kv", "metadata", "put", "-custom-metadata=owner=shop", path).code == 0
    assert bao.both("kv", "put", JSON, path, "password=x", name="bao kv put onto metadata").code == 0
    assert bao.both("kv", "metadata", "patch", "-custom-metadata=tier=one", path).code == 0
    shown = bao.both("kv", "metadata", "get", JSON, path, name="bao kv metadata get described")
    assert shown.json["data"]["custom_metadata"] == {"owner": "shop", "tier": "one"}


def test_lists(bao: Bao) -> None:
    for name in ("production/lists/one", "production/lists/below/two"):
        assert bao.both("kv", "put", JSON, f"secret/{name}", "password=x").code == 0
    assert bao.both("kv", "list", JSON, "secret/production/lists").json == ["below/", "one"]
    assert bao.both("list", JSON, "secret/metadata/production/lists").json == ["below/", "one"]
    assert bao.both("kv", "list", JSON, "secret/production/nowhere", name="bao kv list nowhere").code == 2
    assert bao.both("kv", "get", JSON, "secret/production/nowhere", name="bao kv get nowhere").code == 2


def test_a_token(bao: Bao) -> None:
    assert bao.both("token", "lookup", JSON).code == 0
    assert "read" in bao.both("token", "capabilities", JSON, "secret/data/production/x").json
    assert bao.both("status", JSON).code == 0
    wrong = bao.both("token", "lookup", JSON, token="s.nonsense", name="bao token lookup with a wrong token")
    assert wrong.code == 2
    assert "permission denied" in wrong.stderr


def test_logging_in(bao: Bao) -> None:
    def log_in(side: Side) -> Ran:
        return bao.run(side, "login", JSON, side.token, token="")

    assert bao.compare("bao login", *map(log_in, bao.pair.sides)).code == 0
    # From here on the token is read from the file that it wrote.
    assert bao.both("token", "lookup", JSON, token="", name="bao token lookup by file").code == 0
    assert bao.both("login", JSON, "s.nonsense", token="", name="bao login with a wrong token").code == 2


def test_a_machine_logs_in_renews_and_revokes(bao: Bao) -> None:
    def approle(side: Side, *more: str) -> Ran:
        given = (f"role_id={side.words['role_id']}", f"secret_id={side.words['secret_id']}")
        return bao.run(side, "write", JSON, *more, "auth/approle/login", *given, token="")

    sides = bao.pair.sides
    bao.compare("bao write auth/approle/login", *map(approle, sides))
    tokens = {side.name: approle(side).json["auth"]["client_token"] for side in sides}
    for name, words in {
        "bao token renew": ("token", "renew", JSON),
        "bao token renew -increment": ("token", "renew", JSON, "-increment=10m"),
        "bao token revoke -self": ("token", "revoke", "-self"),
    }.items():
        ran = bao.compare(name, *(bao.run(side, *words, token=tokens[side.name]) for side in sides))
        assert ran.code == 0
    wrapped = [approle(side, "-wrap-ttl=60s") for side in sides]
    bao.compare("bao write -wrap-ttl", *wrapped)
    infos = [ran.json["wrap_info"]["token"] for ran in wrapped]
    opened = bao.compare(
        "bao unwrap",
        *(bao.run(side, "unwrap", JSON, token, token="") for side, token in zip(sides, infos, strict=True)),
    )
    assert opened.json["auth"]["client_token"]
    again = [bao.run(side, "unwrap", JSON, token, token="") for side, token in zip(sides, infos, strict=True)]
    assert bao.compare("bao unwrap twice", *again).code == 2


def test_static_credentials(bao: Bao) -> None:
    def read(side: Side) -> Ran:
        return bao.run(side, "read", JSON, f"database/static-creds/{side.words['static role']}")

    assert bao.compare("bao read database/static-creds", *map(read, bao.pair.sides)).json["data"]["username"]
    assert bao.both("read", JSON, "database/static-creds/none").code == 2


def test_mounts_and_leases(bao: Bao) -> None:
    listed = bao.both("secrets", "list", JSON)
    assert {"secret/", "kv/", "database/"} <= listed.json.keys()
    assert bao.both("lease", "renew", JSON, "database/creds/app/none").code == 2
    assert bao.both("kv", "get", JSON, "kv/production/nowhere").code == 2
