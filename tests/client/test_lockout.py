"""A database that locks logins after a few refusals (MariaDB's max_password_errors) never locks one of ours.

MariaDB counts as others do: refusals in a row of one account, until a login works.
"""

import threading
from collections.abc import Iterator

import pymysql
import pytest
from keywright import Client
from keywright.pymysql import connect
from keywright.refusals import by_number

from tests.client.server import TOKEN, Server
from tests.client.test_drivers import RIGHT, USER, offer
from tests.rigs.mariadb import MariaDBServer

LOCKS_AFTER = 4
THREADS = 20


@pytest.fixture
def strict(mariadb: MariaDBServer) -> Iterator[MariaDBServer]:
    """Locks after so many refusals in a row."""
    mariadb.login(USER, RIGHT)
    mariadb.execute(f"SET GLOBAL max_password_errors = {LOCKS_AFTER}")
    yield mariadb
    mariadb.execute("SET GLOBAL max_password_errors = DEFAULT")
    mariadb.execute("FLUSH PRIVILEGES")


def storm(client: Client) -> list[Exception]:
    """Many threads log in at once, twice each. What failed."""
    failed: list[Exception] = []
    gate = threading.Barrier(THREADS)

    def run() -> None:
        gate.wait(20)
        for _ in range(2):
            try:
                connect(client, "shop/db").close()
            except Exception as error:  # noqa: BLE001 - told by the test
                failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failed


def test_a_password_that_died_costs_less_than_a_lock(server: Server, strict: MariaDBServer) -> None:
    offer(server, strict, "died", RIGHT)
    with Client(server.address, TOKEN, "development") as client:
        assert storm(client) == []


def test_nor_do_passwords_that_are_all_wrong(server: Server, strict: MariaDBServer) -> None:
    offer(server, strict, "died", "wrong")
    with Client(server.address, TOKEN, "development") as client:
        failed = storm(client)
    assert len(failed) == 2 * THREADS
    assert all(by_number(error) for error in failed)
    # Whoever has the right one still gets in.
    pymysql.connect(host=strict.host, port=strict.port, user=USER, password=RIGHT.encode()).close()


def test_the_database_does_lock(strict: MariaDBServer) -> None:
    for _ in range(LOCKS_AFTER):
        with pytest.raises(pymysql.err.OperationalError):
            pymysql.connect(host=strict.host, port=strict.port, user=USER, password="wrong")
    with pytest.raises(pymysql.err.OperationalError) as caught:
        pymysql.connect(host=strict.host, port=strict.port, user=USER, password=RIGHT.encode())
    assert by_number(caught.value)
