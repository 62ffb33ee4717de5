"""hvac's system calls, response wrapping and static database roles, on OpenBao and on Keywright."""

from typing import Any

import hvac
import pytest

from tests.vault.pair import Outcome, Pair, Side


def test_health_and_seal(pair: Pair) -> None:
    for method in ("HEAD", "GET"):
        read = pair.both(f"health by {method}", lambda side, m=method: side.hvac.sys.read_health_status(method=m))
        assert (read.value.status_code if method == "HEAD" else read.value["sealed"]) in {200, False}
    pair.both(
        "health with codes",
        lambda side: side.hvac.sys.read_health_status(method="GET", standby_ok=True, active_code=299),
    )
    assert pair.both("seal status", lambda side: side.hvac.sys.read_seal_status()).value["sealed"] is False
    assert pair.both("is it sealed", lambda side: side.hvac.sys.is_sealed()).value is False


def test_init_and_leader(pair: Pair) -> None:
    assert pair.both("is it initialized", lambda side: side.hvac.sys.is_initialized()).value is True
    assert pair.both("leader", lambda side: side.hvac.sys.read_leader_status()).value["ha_enabled"] is False
    options = pair.both("list mounts", lambda side: side.hvac.sys.retrieve_mount_option("secret", "version"))
    assert options.value == "2"


def test_mounts(pair: Pair) -> None:
    listed = pair.both("list mounts", lambda side: side.hvac.sys.list_mounted_secrets_engines())
    assert {"secret/", "kv/", "database/"} <= listed.value["data"].keys()
    for path in ("secret/production/shop", "kv/production/shop", "database/static-creds"):
        pair.both(f"the mount of {path}", lambda side, p=path: side.hvac.read(f"sys/internal/ui/mounts/{p}"))
    nowhere = pair.both("the mount of nowhere", lambda side: side.hvac.read("sys/internal/ui/mounts/nowhere/x"))
    assert isinstance(nowhere.error, hvac.exceptions.Forbidden)
    for mount in ("secret", "kv", "database"):
        pair.both(f"one mount, {mount}", lambda side, m=mount: side.hvac.read(f"sys/mounts/{m}"))


def test_capabilities(pair: Pair) -> None:
    paths = ["secret/data/production/shop/db", "secret/metadata/production/", "nowhere/at/all"]
    answer = pair.both("capabilities of several", lambda side: side.hvac.sys.get_capabilities(paths))
    assert answer.value["data"]["nowhere/at/all"] == ["deny"]
    pair.both("capabilities of one", lambda side: side.hvac.sys.get_capabilities(paths[:1]))


def test_there_is_no_such_lease(pair: Pair) -> None:
    lease = "database/creds/app/none"

    def asked(name: str, call: Any) -> Outcome:
        return pair.both(name, call)

    for outcome in (
        asked("look a lease up", lambda side: side.hvac.sys.read_lease(lease)),
        asked("renew a lease", lambda side: side.hvac.sys.renew_lease(lease)),
    ):
        assert isinstance(outcome.error, hvac.exceptions.InvalidRequest)
    asked("revoke a lease", lambda side: side.hvac.sys.revoke_lease(lease))
    asked("revoke leases by prefix", lambda side: side.hvac.sys.revoke_prefix("database/creds/app"))
    listed = asked("list leases", lambda side: side.hvac.sys.list_leases("database/creds/app"))
    assert isinstance(listed.error, hvac.exceptions.InvalidPath)


def test_wrapping(pair: Pair) -> None:
    path = "production/wrapped/db"
    pair.prepare(lambda side: side.hvac.secrets.kv.v2.create_or_update_secret(path, {"password": "x"}))

    def wrapped(side: Side) -> dict[str, Any]:
        answer = side.hvac.read(f"secret/data/{path}", wrap_ttl="60s")
        return answer["wrap_info"]

    info = pair.both("wrap a read", wrapped).value
    assert info["ttl"] == 60
    looked = pair.both(
        "look a wrapping token up",
        lambda side: side.client(None).write_data("sys/wrapping/lookup", data={"token": wrapped(side)["token"]}),
    )
    assert looked.value["data"]["creation_ttl"] == 60
    by_token = pair.both("unwrap by its token", lambda side: side.client(wrapped(side)["token"]).sys.unwrap())
    assert by_token.value["data"]["data"] == {"password": "x"}
    by_body = pair.both("unwrap with a token", lambda side: side.hvac.sys.unwrap(wrapped(side)["token"]))
    assert by_body.value["data"]["data"] == {"password": "x"}

    def twice(side: Side) -> Any:
        token = wrapped(side)["token"]
        side.hvac.sys.unwrap(token)
        return side.hvac.sys.unwrap(token)

    assert isinstance(pair.both("unwrap twice", twice).error, hvac.exceptions.InvalidRequest)
    never = pair.both("unwrap what never was", lambda side: side.hvac.sys.unwrap("s.nonsense"))
    assert isinstance(never.error, hvac.exceptions.InvalidRequest)


def test_what_a_client_gives_is_wrapped(pair: Pair) -> None:
    def wrapped(side: Side) -> Any:
        return side.hvac.sys.unwrap(side.hvac.sys.wrap({"a": "b"}, ttl=60)["wrap_info"]["token"])

    assert pair.both("wrap what is given", wrapped).value["data"] == {"a": "b"}


def test_a_login_is_wrapped(pair: Pair) -> None:
    def log_in(side: Side) -> Any:
        given = {"role_id": side.words["role_id"], "secret_id": side.words["secret_id"]}
        answer = side.client(None).write_data("auth/approle/login", data=given, wrap_ttl="30s")
        return side.client(answer["wrap_info"]["token"]).sys.unwrap()

    assert pair.both("wrap a login", log_in).value["auth"]["client_token"]


def test_static_roles(pair: Pair) -> None:
    def engine(side: Side) -> Any:
        return side.hvac.secrets.database

    def role(side: Side) -> str:
        return side.words["static role"]

    creds = pair.both("static credentials", lambda side: engine(side).get_static_credentials(role(side))).value["data"]
    assert creds["username"]
    assert 0 <= creds["ttl"] <= creds["rotation_period"]
    pair.both("a static role", lambda side: engine(side).read_static_role(role(side)))
    pair.both("list static roles", lambda side: engine(side).list_static_roles())
    listed = pair.both("list the roles of a place", lambda side: side.hvac.list(side.words["static roles"]))
    assert "db" in listed.value["data"]["keys"]
    before = [side.hvac.read(f"database/static-creds/{role(side)}")["data"] for side in pair.sides]
    pair.both("turn a role", lambda side: engine(side).rotate_static_role_credentials(role(side)))
    after = [side.hvac.read(f"database/static-creds/{role(side)}")["data"] for side in pair.sides]
    assert all(one["password"] != other["password"] for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("place", ["in an environment", "by its name alone"])
def test_a_static_role_that_is_none(pair: Pair, place: str) -> None:
    def role(side: Side) -> str:
        return side.words["no static role"] if place == "in an environment" else "none"

    def engine(side: Side) -> Any:
        return side.hvac.secrets.database

    unknown = pair.both("unknown static credentials", lambda side: engine(side).get_static_credentials(role(side)))
    assert isinstance(unknown.error, hvac.exceptions.InvalidRequest)
    absent = pair.both("an unknown static role", lambda side: engine(side).read_static_role(role(side)))
    assert isinstance(absent.error, hvac.exceptions.InvalidPath)
    nothing = pair.both("turn an unknown role", lambda side: engine(side).rotate_static_role_credentials(role(side)))
    assert isinstance(nothing.error, hvac.exceptions.InvalidRequest)
