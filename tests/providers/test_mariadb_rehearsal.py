"""Rehearsals on MariaDB: tried on an account that is thrown away, also when the one before died in the middle."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from providers.databases.mariadb import MariaDB
from service.core.connection import Access, Endpoint, Tls, TlsMode
from service.core.database import Trial
from service.core.errors import ChangeUnreachable
from service.core.secret import Secret
from tests.rigs.cutting import cutting
from tests.rigs.fences import next_fence
from tests.rigs.mariadb import GRANTS, MariaDBServer

database = MariaDB()
TRIAL = Trial("shop_rehearsed", "", "shop_rehearsed", "shop", Secret("nobody-has-it"), ends_sessions=True)


@pytest.fixture
def keeper(mariadb: MariaDBServer) -> Iterator[Access]:
    mariadb.login(TRIAL.username, "first")
    yield mariadb.administration("keeper_of_rehearsals")
    for (host,) in mariadb.execute("SELECT Host FROM mysql.global_priv WHERE User = %s", TRIAL.username):
        mariadb.execute("DROP USER %s@%s", TRIAL.username, host)


def plainly(access: Access, port: int) -> Access:
    endpoints = (Endpoint("127.0.0.1", port),)
    return replace(access, target=replace(access.target, endpoints=endpoints, tls=Tls(TlsMode.DISABLE)))


def accounts(server: MariaDBServer) -> list[tuple[object, ...]]:
    """Everything about accounts, but for the moment of their last change."""
    return server.execute("SELECT User, Host, JSON_REMOVE(Priv, '$.password_last_changed') FROM mysql.global_priv")


def test_all_is_tried_and_nothing_stays(mariadb: MariaDBServer, keeper: Access) -> None:
    before = accounts(mariadb)
    found = database.rehearse(keeper, TRIAL, next_fence())
    assert (found.problems, found.warnings) == ((), ())
    assert accounts(mariadb) == before
    log = mariadb.log_text()
    assert "ALTER USER 'keywright_rehearsal'@'localhost'" in log
    assert "nobody-has-it" not in log


def test_what_a_rehearsal_that_died_left_behind_is_locked_and_taken_away_by_the_next(
    mariadb: MariaDBServer, keeper: Access
) -> None:
    before = accounts(mariadb)
    with cutting(mariadb.port, b"ALTER USER", delivered=True) as port, pytest.raises(ChangeUnreachable):
        database.rehearse(plainly(keeper, port), TRIAL, next_fence())
    (left,) = mariadb.execute("SHOW CREATE USER keywright_rehearsal@localhost")
    assert "ACCOUNT LOCK" in left[0]
    mariadb.execute("ALTER USER keywright_rehearsal@localhost WITH MAX_QUERIES_PER_HOUR 1")
    found = database.rehearse(keeper, TRIAL, next_fence())
    assert (found.problems, found.warnings) == ((), ())
    assert accounts(mariadb) == before


@pytest.mark.parametrize(
    ("grant", "problem"), [("CREATE USER", True), ("max_questions", False), ("CONNECTION ADMIN", True)]
)
def test_what_is_not_permitted_is_said_with_its_cure(
    mariadb: MariaDBServer, keeper: Access, grant: str, problem: bool
) -> None:
    less = mariadb.administration("less_than_rehearsals", *(known for known in GRANTS if grant not in known))
    found = database.rehearse(less, TRIAL, next_fence())
    (sentence,) = found.problems if problem else found.warnings
    assert grant in sentence.partition("run: GRANT")[2]


def test_a_plugin_that_refuses_hashes_is_found_by_trying(mariadb: MariaDBServer, keeper: Access) -> None:
    mariadb.execute("INSTALL SONAME 'simple_password_check'")
    try:
        assert "simple_password_check" in "".join(database.rehearse(keeper, TRIAL, next_fence()).problems)
    finally:
        mariadb.execute("UNINSTALL SONAME 'simple_password_check'")


def test_rows_that_are_not_proven_are_named(mariadb: MariaDBServer, keeper: Access) -> None:
    mariadb.login(TRIAL.username, "first", "10.%")
    assert "'10.%'" in "".join(database.rehearse(keeper, TRIAL, next_fence()).warnings)


def test_the_protocol_is_told(mariadb: MariaDBServer, keeper: Access) -> None:
    assert (database.protocol(keeper, mariadb.endpoint) or "").startswith("TLSv1.")
    assert database.protocol(plainly(keeper, mariadb.port), plainly(keeper, mariadb.port).target.primary) == ""
    assert database.protocol(mariadb.access(TRIAL.username, "wrong"), mariadb.endpoint) is None
