"""The URL of a credential: every character survives the way through it, into real servers."""

from contextlib import closing
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier, Literal

from service.core.connection import Account, Endpoint, Engine, Option, Part, Target, Tls, TlsMode, url
from service.core.secret import Secret
from tests.rigs.mariadb import DATABASE, MariaDBServer, native_hash
from tests.rigs.postgresql import PostgresServer

# No NUL: neither engine's clients can send one. Unassigned code points are left out, as SASLprep has no say on them.
passwords = st.text(
    st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\0"), min_size=1, max_size=60
) | st.text("%:/?#[]@!$&'()*+,;=\\\"` \t\n", min_size=1, max_size=40)
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(password=passwords)
def test_any_password_logs_in_to_postgresql_by_its_url(old_postgresql: PostgresServer, password: str) -> None:
    username = "url user/@:%ü"
    with old_postgresql.connect() as connection:
        made = connection.pgconn.encrypt_password(password.encode(), username.encode(), b"scram-sha-256").decode()
        connection.execute(SQL("DROP ROLE IF EXISTS {}").format(Identifier(username)))
        connection.execute(SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(Identifier(username), Literal(made)))
    target = Target(
        Engine.POSTGRESQL, (old_postgresql.endpoint,), "postgres", Tls(TlsMode.REQUIRE), {"options": "-c work_mem=3MB"}
    )
    text = url(target, Account(username, Secret(password))).reveal()
    assert text.isascii()
    assert text.isprintable()
    with closing(psycopg.connect(text, connect_timeout=5)) as link:
        row = link.execute(
            "SELECT current_user, ssl, current_setting('work_mem') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        )
        assert row.fetchone() == (username, True, "3MB")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url(target, Account(username, Secret(password + "x"))).reveal(), connect_timeout=5)


@few
@given(password=passwords)
def test_any_password_logs_in_to_mariadb_by_its_url(mariadb: MariaDBServer, password: str) -> None:
    username = "url user/@:%ü"
    with mariadb.connect() as link, link.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE USER %s@'%%' IDENTIFIED BY PASSWORD %s", (username, native_hash(password)))
        cursor.execute(f"GRANT SELECT ON {DATABASE}.* TO %s@'%%'", (username,))
    target = Target(Engine.MARIADB, (mariadb.endpoint,), DATABASE, Tls(TlsMode.DISABLE), {"charset": "utf8mb4"})
    text = url(target, Account(username, Secret(password))).reveal()
    assert text.isascii()
    parts = urlsplit(text)
    assert parts.scheme == "mysql"
    with (
        pymysql.connect(
            host=parts.hostname,
            port=parts.port or 0,
            user=unquote(parts.username or ""),
            password=unquote(parts.password or "").encode(),  # type: ignore[arg-type]  # PyMySQL reads text as Latin-1
            database=unquote(parts.path[1:]),
            connect_timeout=5,
            **dict(parse_qsl(parts.query)),  # type: ignore[arg-type]
        ) as link,
        link.cursor() as cursor,
    ):
        cursor.execute("SELECT CURRENT_USER(), DATABASE()")
        assert cursor.fetchone() == (f"{username}@%", DATABASE)


@given(
    password=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
    username=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1),
    database=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1),
    schema=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
)
def test_libpq_reads_back_what_was_written(password: str, username: str, database: str, schema: str) -> None:
    target = Target(Engine.POSTGRESQL, (Endpoint("db.test", 6432),), database, options={"options": schema})
    read = conninfo_to_dict(make_conninfo(url(target, Account(username, Secret(password))).reveal()))
    expected = {"user": username, "dbname": database, "host": "db.test", "port": "6432", "sslmode": "verify-full"}
    expected |= {"options": schema} | ({"password": password} if password else {})
    assert {key: value for key, value in read.items() if value or key == "options"} == expected


def test_every_endpoint_and_option_has_its_place() -> None:
    endpoints = (Endpoint("db1.test", 5432), Endpoint("2001:db8::7", 5433, Part.REPLICA))
    options: dict[str, Option] = {"target_session_attrs": "read-write", "keepalives": True, "keepalives_idle": 30}
    account = Account("app", Secret("p@ss"))
    target = Target(Engine.POSTGRESQL, endpoints, "shop", Tls(TlsMode.VERIFY_CA), options)
    assert url(target, account).reveal() == (
        "postgresql://app:p%40ss@db1.test:5432,[2001:db8::7]:5433/shop"
        "?sslmode=verify-ca&target_session_attrs=read-write&keepalives=1&keepalives_idle=30"
    )
    maria = (Endpoint("2001:db8::7", 3306), Endpoint("b", 1, Part.REPLICA))
    target = Target(Engine.MARIADB, maria, "shop", options={"autocommit": False})
    assert url(target, account).reveal() == "mysql://app:p%40ss@[2001:db8::7]:3306/shop?autocommit=false"


def test_an_option_does_not_weaken_the_protection() -> None:
    target = Target(Engine.POSTGRESQL, (Endpoint("db", 1),), "shop", options={"sslmode": "disable"})
    assert url(target, Account("app", Secret("pw"))).reveal().endswith("/shop?sslmode=verify-full")


def test_the_url_is_a_secret() -> None:
    made = url(Target(Engine.MARIADB, (Endpoint("db", 1),), "shop"), Account("app", Secret("sesame")))
    assert "sesame" not in repr(made)
