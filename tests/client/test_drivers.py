"""Real drivers on real servers: refusals are told by code, others are none, shared arguments are left alone.

Each login is tried with a set of which some entries are wrong, as it is in the middle of a rotation.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import psycopg
import pymysql
import pytest
from keywright import AsyncClient, Client, Invalid
from keywright.psycopg import async_pool, connect, connect_async, pool
from keywright.pymysql import connect as connect_mysql
from keywright.refusals import by_number, by_sqlstate
from keywright.sqlalchemy import attach
from keywright.sqlstates import TellingConnection, failure
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.client.server import TOKEN, Server, credential, entry, free_port
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

_etags = count()
USER, RIGHT = "ordered", "right-pässword"
URLS = {"postgresql": "postgresql+psycopg://", "mariadb": "mysql+pymysql://"}


def offer(it: Server, server: PostgresServer | MariaDBServer, *passwords: str, port: int = 0) -> None:
    """Have the stub offer a set with these passwords."""
    tls = {"mode": server.tls.mode.value, "ca": server.tls.ca}
    where = {"endpoints": [{"host": server.host, "port": port or server.port, "part": "primary", "required": True}]}
    engine, name = ("postgresql", "postgres") if isinstance(server, PostgresServer) else ("mariadb", "shop")
    database = {"engine": engine, "database": name, "tls": tls}
    entries = [entry(password=text, username=USER) for text in passwords]
    it.credentials["shop/db"] = (f'"{next(_etags)}"', credential(*entries) | where | database)


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, TOKEN, "development", max_age=0, refusals=100) as client:
        yield client


@pytest.fixture
def postgresql(old_postgresql: PostgresServer) -> PostgresServer:
    old_postgresql.login(USER, RIGHT)
    return old_postgresql


def refused(server: PostgresServer) -> int:
    """How often the server says it refused a password."""
    return server.log_text().count(f'password authentication failed for user "{USER}"')


def test_psycopg_tries_the_set_in_its_order(server: Server, client: Client, postgresql: PostgresServer) -> None:
    offer(server, postgresql, "wrong", RIGHT, "never tried")
    before = refused(postgresql)
    with connect(client, "shop/db", application_name="tests") as connection:
        assert connection.execute("SELECT current_user").fetchone() == (USER,)
        assert connection.info.parameter_status("application_name") == "tests"
    assert refused(postgresql) == before + 1


def test_a_refusal_of_postgresql_has_its_code_and_its_text(
    server: Server, client: Client, postgresql: PostgresServer
) -> None:
    offer(server, postgresql, "wrong")
    with pytest.raises(psycopg.errors.InvalidPassword, match="password authentication failed") as caught:
        connect(client, "shop/db")
    assert isinstance(caught.value, psycopg.OperationalError)
    assert caught.value.sqlstate == "28P01"
    assert "wrong" not in str(caught.value)
    # Asked anew once, the same set is not tried again.
    assert server.count("GET", "/environments/development/credentials/shop/db") == 2


def test_what_is_no_refusal_is_told_apart(server: Server, client: Client, postgresql: PostgresServer) -> None:
    offer(server, postgresql, RIGHT, RIGHT + "2")
    with pytest.raises(psycopg.OperationalError, match="does not exist") as caught:
        connect(client, "shop/db", dbname="absent")
    assert caught.value.sqlstate == "3D000"
    assert not by_sqlstate(caught.value)
    offer(server, postgresql, RIGHT, port=free_port())
    with pytest.raises(psycopg.OperationalError, match="refused") as caught:
        connect(client, "shop/db")
    assert caught.value.sqlstate is None
    assert not by_sqlstate(caught.value)


def test_the_texts_of_later_errors_are_as_ever(server: Server, client: Client, postgresql: PostgresServer) -> None:
    offer(server, postgresql, RIGHT)
    with connect(client, "shop/db", autocommit=True) as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("SELECT nothing")
    assert "LOCATION" not in str(caught.value)


def test_of_several_codes_the_last_one_counts() -> None:
    told = failure("host a failed: FATAL:  3D000: no such\nhost b failed: ВАЖНО:  28P01: пароль\nLOCATION:  x")
    assert by_sqlstate(told)
    assert not by_sqlstate(failure("could not translate host name"))
    unknown = failure("FATAL:  ZZ999: what is this\n")
    assert (type(unknown).__mro__[1], unknown.sqlstate) == (psycopg.OperationalError, "ZZ999")


def test_without_the_library_logins_go_on_without_codes(
    postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keywright.sqlstates._set_error_verbosity", lambda: None)
    way = {"host": postgresql.host, "port": postgresql.port, "dbname": "postgres", "user": USER}
    TellingConnection.connect(**way, password=RIGHT).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed") as caught:
        TellingConnection.connect(**way, password="wrong")
    assert caught.value.sqlstate is None


def test_pools_and_tasks_do_the_same(server: Server, client: Client, postgresql: PostgresServer) -> None:
    offer(server, postgresql, "wrong", RIGHT)
    with pool(client, "shop/db", min_size=1) as connections, connections.connection() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    async def ask() -> None:
        async with AsyncClient(server.address, TOKEN, "development") as asked:
            async with await connect_async(asked, "shop/db") as one:
                assert await (await one.execute("SELECT 1")).fetchone() == (1,)
            async with async_pool(asked, "shop/db", min_size=1) as more, more.connection() as other:
                assert await (await other.execute("SELECT 1")).fetchone() == (1,)

    asyncio.run(ask())


def test_pymysql_tries_the_set_and_tells_refusals_by_number(
    server: Server, client: Client, mariadb: MariaDBServer
) -> None:
    mariadb.login(USER, RIGHT)
    offer(server, mariadb, "wrong", RIGHT)
    with connect_mysql(client, "shop/db") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        assert cursor.fetchone() == (f"{USER}@%",)
    offer(server, mariadb, "wrong2")
    with pytest.raises(pymysql.err.OperationalError) as caught:
        connect_mysql(client, "shop/db")
    assert caught.value.args[0] == 1045
    offer(server, mariadb, RIGHT, port=free_port())
    with pytest.raises(pymysql.err.OperationalError) as caught:
        connect_mysql(client, "shop/db")
    assert not by_number(caught.value)
    mariadb.execute("ALTER USER ordered ACCOUNT LOCK")
    offer(server, mariadb, RIGHT)
    with pytest.raises(pymysql.err.OperationalError) as caught:
        connect_mysql(client, "shop/db")
    assert by_number(caught.value)


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_an_engine_shares_its_arguments_and_they_are_left_alone(
    server: Server, client: Client, postgresql: PostgresServer, mariadb: MariaDBServer, engine: str
) -> None:
    there: Any = {"postgresql": postgresql, "mariadb": mariadb}[engine]
    there.login(USER, RIGHT)
    offer(server, there, "wrong", RIGHT)
    shared = {"connect_timeout": 7, "password": "mine"}
    made = attach(create_engine(URLS[engine], connect_args=shared), client, "shop/db")
    for _ in range(2):
        with made.connect() as connection:
            assert str(connection.execute(text("SELECT current_user")).scalar_one()).startswith(USER)
        made.dispose()
    assert shared == {"connect_timeout": 7, "password": "mine"}
    offer(server, there, "wrong too")
    with pytest.raises(OperationalError) as caught, made.connect():
        pass
    assert by_sqlstate(caught.value) or by_number(caught.value.orig)  # type: ignore[arg-type]


@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_an_async_engine_does_too(server: Server, postgresql: PostgresServer, driver: str) -> None:
    offer(server, postgresql, "wrong", RIGHT)

    async def ask() -> None:
        async with AsyncClient(server.address, TOKEN, "development", max_age=0) as asked:
            engine = attach(create_async_engine(f"postgresql+{driver}://"), asked, "shop/db")
            async with engine.connect() as connection:
                assert (await connection.execute(text("SELECT current_user"))).scalar_one() == USER
            await engine.dispose()
            offer(server, postgresql, "wrong too")
            with pytest.raises(Exception, match="password authentication failed") as caught:
                async with engine.connect():
                    pass
            assert by_sqlstate(caught.value)
            before = refused(postgresql)
            with pytest.raises(type(caught.value)) as again:
                async with engine.connect():
                    pass
            assert by_sqlstate(again.value)
            assert refused(postgresql) == before

    asyncio.run(ask())


def test_a_login_that_rests_is_told_as_the_driver_told_it(
    server: Server, client: Client, postgresql: PostgresServer, mariadb: MariaDBServer
) -> None:
    offer(server, postgresql, "wrong")
    mariadb.login(USER, RIGHT)
    before = refused(postgresql)
    for _ in range(3):
        with pytest.raises(psycopg.errors.InvalidPassword):
            connect(client, "shop/db")
    assert refused(postgresql) == before + 1
    offer(server, mariadb, "wrong")
    for _ in range(2):
        with pytest.raises(pymysql.err.OperationalError) as caught:
            connect_mysql(client, "shop/db")
    assert caught.value.args[0] == 1045
    assert "Not tried now" in caught.value.__notes__[0]


def test_who_was_not_verified_is_not_shown_the_password(
    server: Server, client: Client, postgresql: PostgresServer
) -> None:
    postgresql.host_rule(f"host all {USER} 127.0.0.1/32 password")
    offer(server, postgresql, RIGHT)
    connect(client, "shop/db").close()  # its certificate was verified
    with pytest.raises(psycopg.OperationalError, match="password") as caught:
        connect(client, "shop/db", sslmode="require", require_auth="!password")
    offer(server, postgresql, RIGHT)
    etag, body = server.credentials["shop/db"]
    server.credentials["shop/db"] = (etag, body | {"tls": {"mode": "require", "ca": None}})
    with pytest.raises(psycopg.OperationalError, match="authentication method requirement") as caught:
        connect(client, "shop/db")
    assert not by_sqlstate(caught.value)


def test_what_does_not_belong_together_is_refused(client: Client) -> None:
    with pytest.raises(Invalid, match="sqlite"):
        attach(create_engine("sqlite://"), client, "shop/db")
    with pytest.raises(Invalid, match="AsyncClient"):
        attach(create_async_engine("postgresql+psycopg://"), client, "shop/db")


@pytest.mark.parametrize(
    ("engine", "log_in"),
    [
        ("postgresql", lambda client: connect_mysql(client, "shop/db")),
        ("mariadb", lambda client: connect(client, "shop/db")),
        ("postgresql", lambda client: attach(create_engine("mysql+pymysql://"), client, "shop/db").connect()),
        ("mariadb", lambda client: attach(create_engine("postgresql+psycopg://"), client, "shop/db").connect()),
    ],
)
def test_a_driver_for_another_kind_of_database_never_connects(
    server: Server, client: Client, engine: str, log_in: Callable[[Client], object]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        where = [{"host": "127.0.0.1", "port": silent.getsockname()[1], "part": "primary", "required": True}]
        server.credentials["shop/db"] = ('"1"', credential() | {"engine": engine, "endpoints": where})
        with pytest.raises(Invalid, match=f"shop/db is to {engine}"):
            log_in(client)
        with pytest.raises(BlockingIOError):
            silent.accept()
