"""What drivers are told: all that the credential says, except where the application says otherwise."""

import ssl
import stat
from dataclasses import replace
from pathlib import Path
from unittest.mock import ANY

import pytest
from keywright import Credential, Invalid
from keywright.credential import from_wire
from keywright.parameters import asyncpg, libpq, merged, pymysql

from tests.client.server import PASSWORD, credential


def told(**tls: object) -> Credential:
    """A credential with this protection."""
    return from_wire(credential() | {"tls": {"mode": "disable", "ca": None} | tls})


def of_mariadb(it: Credential) -> Credential:
    """The same of a MariaDB."""
    return replace(it, engine="mariadb")


def test_a_driver_is_told_what_the_credential_says() -> None:
    it = told(mode="require")
    assert libpq(it, it.best) == {
        "connect_timeout": 5,
        "dbname": "shop",
        "host": "db1",
        "password": PASSWORD,
        "port": 5432,
        "require_auth": "!password",
        "sslmode": "require",
        "user": "shop_a",
    }
    assert pymysql(of_mariadb(it), it.best) | {"ssl": None} == {
        "auth_plugin_map": ANY,
        "charset": "utf8mb4",
        "connect_timeout": 5,
        "database": "shop",
        "host": "db1",
        "password": PASSWORD.encode(),
        "port": 5432,
        "ssl": None,
        "user": "shop_a",
    }
    assert asyncpg(told(), it.best) == {
        "database": "shop",
        "host": "db1",
        "password": PASSWORD,
        "port": 5432,
        "ssl": False,
        "user": "shop_a",
    }


@pytest.mark.parametrize(
    ("mode", "verify", "names"),
    [("verify-full", True, True), ("verify-ca", True, False), ("require", False, False)],
)
def test_tls_is_as_it_says(mode: str, verify: bool, names: bool) -> None:
    it = told(mode=mode)
    for made in (pymysql(of_mariadb(it), it.best)["ssl"], asyncpg(it, it.best)["ssl"]):
        assert isinstance(made, ssl.SSLContext)
        assert (made.verify_mode is ssl.CERT_REQUIRED, made.check_hostname) == (verify, names)
    assert ("sslrootcert" in libpq(it, it.best)) is verify


def test_plain_is_said_and_not_left_to_the_driver() -> None:
    it = told()
    assert libpq(it, it.best)["sslmode"] == "disable"
    assert pymysql(of_mariadb(it), it.best)["ssl_disabled"] is True
    assert asyncpg(it, it.best)["ssl"] is False


def test_authorities_are_in_a_file_of_our_own() -> None:
    it = told(mode="verify-full", ca="-----BEGIN CERTIFICATE-----\n")
    file = Path(libpq(it, it.best)["sslrootcert"])
    assert file.read_text() == it.tls.ca
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert libpq(it, it.best)["sslrootcert"] == str(file)
    with pytest.raises(Invalid, match="PEM"):
        pymysql(of_mariadb(it), it.best)


def test_what_the_application_says_stands_except_for_the_login() -> None:
    it = told(mode="verify-ca")
    ours = libpq(it, it.best)
    given = {"host": "pooler", "user": "me", "password": "mine", "prepare_threshold": None, "options": "-c x=y"}
    before = dict(given)
    made = merged(given, ours)
    assert given == before
    assert ours == libpq(it, it.best)
    assert (made["host"], made["user"], made["password"]) == ("pooler", "shop_a", PASSWORD)
    assert "port" not in made  # that of the pooler is not the database's
    assert (made["prepare_threshold"], made["options"]) == (None, "-c x=y")
    assert (made["sslmode"], made["dbname"]) == ("verify-ca", "shop")
    assert merged({"sslmode": "require"}, ours).keys() & {"sslmode", "sslrootcert"} == {"sslmode"}
    assert merged({"database": "other", "passwd": "mine"}, pymysql(of_mariadb(it), it.best))["database"] == "other"
    assert "passwd" not in merged({"passwd": "mine"}, pymysql(of_mariadb(it), it.best))
    assert merged({"host": "", "port": None}, ours)["host"] == "db1"


def test_a_driver_for_another_kind_of_database_is_refused() -> None:
    it = told()
    for ours in (
        lambda: pymysql(it, it.best),
        lambda: libpq(of_mariadb(it), it.best),
        lambda: asyncpg(of_mariadb(it), it.best),
    ):
        with pytest.raises(Invalid, match="shop/db is to"):
            ours()
