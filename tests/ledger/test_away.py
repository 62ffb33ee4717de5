"""A ledger that cannot be used: refused or unreachable, and where; never the password."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from service.core.errors import Unavailable
from service.ledger.engines import engine_for, told_apart
from service.ledger.failures import why_away
from tests.rigs.postgresql import PostgresServer

PASSWORD = "not-the-password"


def _said(port: int, user: str, password: str = PASSWORD, name: str = "postgres") -> Unavailable:
    engine = engine_for(f"postgresql://{user}:{password}@127.0.0.1:{port}/{name}", 1)
    try:
        with pytest.raises(Unavailable) as caught, told_apart(Unavailable), engine.connect():
            pass
    finally:
        engine.dispose()
    assert password not in caught.value.message + caught.value.place
    return caught.value


@pytest.mark.parametrize("wrong", ["role", "password", "database"])
def test_a_ledger_that_refuses_did_answer(new_postgresql: PostgresServer, wrong: str) -> None:
    new_postgresql.login("ledger_of_ours", "right-password")
    user = "nobody" if wrong == "role" else "ledger_of_ours"
    password = "right-password" if wrong == "database" else PASSWORD
    name = "absent" if wrong == "database" else "postgres"
    error = _said(new_postgresql.port, user, password, name)
    assert "it answers, and does not let us in: its role, its password or its database" in error.message
    assert error.place == f"PostgreSQL at 127.0.0.1:{new_postgresql.port}, role {user}, database {name}"
    assert "127.0.0.1" not in error.message, "callers do not learn where it is"


def test_a_ledger_that_is_not_there_did_not_answer() -> None:
    error = _said(1, "anybody")
    assert "it cannot be reached" in error.message
    assert error.place == "PostgreSQL at 127.0.0.1:1, role anybody, database postgres"


def test_which_of_two_changes_was_given_up_for_the_other_is_said(ledger_server: PostgresServer) -> None:
    """PostgreSQL ends one of two that wait for each other; that is no broken connection, and no mistake of ours."""
    with ledger_server.connect() as one, ledger_server.connect() as other, ThreadPoolExecutor(1) as pool:
        lock = "SELECT pg_advisory_xact_lock(%s)"
        for connection, number in ((one, 71), (other, 72)):
            connection.execute("BEGIN")
            connection.execute(lock, (number,))
        waits = pool.submit(one.execute, lock, (72,))
        failed = []
        try:
            other.execute(lock, (71,))
        except psycopg.OperationalError as error:
            failed.append(error)
        other.execute("ROLLBACK")
        failed += [error] if (error := waits.exception()) else []
    assert [why_away(error) for error in failed] == [
        "it gave up one of two changes that waited for each other (SQLSTATE 40P01)"
    ]
