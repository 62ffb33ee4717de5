"""MariaDB: rows of a username, two passwords at once, what an account keeps, lost replies, TLS without fallback."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from itertools import count

import pytest
import trustme

from providers.databases import mariadb_accounts
from providers.databases.mariadb import MariaDB
from providers.databases.mariadb_login import connect
from service.core.connection import (
    Accepted,
    Access,
    Account,
    Endpoint,
    Engine,
    NotPermitted,
    Probe,
    Rejected,
    Target,
    Tls,
    TlsMode,
)
from service.core.connection import Unreachable as Unreached
from service.core.database import Fence, Session
from service.core.errors import ChangeLost, ChangeNotPermitted, ChangeRefused, ChangeUnreachable
from service.core.secret import Secret
from tests.rigs.cutting import cutting, recording
from tests.rigs.fences import next_fence
from tests.rigs.mariadb import GRANTS, MariaDBServer, running_mariadb

_numbers = count(1)
database = MariaDB()


def name(stem: str) -> str:
    return f"{stem}_of_maria_{next(_numbers)}"


def probe(server: MariaDBServer, username: str, password: str) -> Probe:
    return database.probe(server.access(username, password), server.endpoint)


def with_tls(access: Access, mode: TlsMode, ca: str | None = None) -> Access:
    return replace(access, target=replace(access.target, tls=Tls(mode, ca)))


def plainly(access: Access, port: int) -> Access:
    moved = replace(access.target, endpoints=(Endpoint("127.0.0.1", port),))
    return with_tls(replace(access, target=moved), TlsMode.DISABLE)


def stored(server: MariaDBServer, username: str, host: str = "%") -> str:
    return str(server.execute("SHOW CREATE USER %s@%s", username, host)[0][0])


@pytest.fixture
def keeper(mariadb: MariaDBServer) -> Access:
    return mariadb.administration("keeper_of_rows")


@pytest.fixture
def user(mariadb: MariaDBServer) -> Iterator[str]:
    username = name("user")
    mariadb.login(username, "old")
    yield username
    for (host,) in mariadb.execute("SELECT Host FROM mysql.global_priv WHERE User = %s", username):
        mariadb.execute("DROP USER %s@%s", username, host)


# Two passwords at once


def test_both_passwords_log_in_and_then_one(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    before = probe(mariadb, user, "old")
    for _ in range(2):
        database.add_password(keeper, user, Secret("old"), Secret("new"), next_fence())
        assert probe(mariadb, user, "old") == probe(mariadb, user, "new") == before
        assert isinstance(probe(mariadb, user, "other"), Rejected)
    database.set_password(keeper, user, Secret("new"), next_fence())
    assert probe(mariadb, user, "new") == before
    assert isinstance(probe(mariadb, user, "old"), Rejected)


def test_a_role_of_the_same_name_is_no_account(mariadb: MariaDBServer, keeper: Access) -> None:
    role = name("role")
    mariadb.execute("CREATE ROLE %s", role)
    with pytest.raises(ChangeNotPermitted, match="no account"):
        database.set_password(keeper, role, Secret("new"), next_fence())
    assert any("no account" in sentence for sentence in database.lacks(keeper, role))


def test_every_row_of_a_username_changes_and_no_other(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    mariadb.login(user, "old", "10.%")
    mariadb.login(user, "old", "LOCALHOST")
    mariadb.login(user + "x", "old")
    neighbour = stored(mariadb, user + "x")
    database.add_password(keeper, user, Secret("old"), Secret("new"), next_fence())
    both = [mariadb_accounts.password_hash(Secret(text)) for text in ("old", "new")]
    for host in ("%", "10.%", "localhost"):
        assert all(made in stored(mariadb, user, host) for made in both)
    database.set_password(keeper, user, Secret("new"), next_fence())
    for host in ("%", "10.%", "localhost"):
        assert both[0] not in stored(mariadb, user, host)
        assert both[1] in stored(mariadb, user, host)
    assert stored(mariadb, user + "x") == neighbour


def test_an_account_keeps_what_is_not_its_password(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    mariadb.login(user, "old", more="REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 77 MAX_USER_CONNECTIONS 5")
    mariadb.execute("CREATE ROLE IF NOT EXISTS reader")
    mariadb.execute("GRANT reader TO %s@'%%'", user)
    mariadb.execute("SET DEFAULT ROLE reader FOR %s@'%%'", user)
    mariadb.execute("ALTER USER %s@'%%' PASSWORD EXPIRE INTERVAL 90 DAY", user)
    before, seen = stored(mariadb, user), probe(mariadb, user, "old")
    assert isinstance(seen, Accepted)
    assert seen.identity["role"] == "reader"
    database.add_password(keeper, user, Secret("old"), Secret("new"), next_fence())
    assert probe(mariadb, user, "new") == seen
    database.set_password(keeper, user, Secret("old"), next_fence())
    assert stored(mariadb, user) == before
    mariadb.execute("ALTER USER %s@'%%' ACCOUNT LOCK", user)
    database.set_password(keeper, user, Secret("new"), next_fence())
    assert "ACCOUNT LOCK" in stored(mariadb, user)


def test_identity_shows_grants_and_no_hash(mariadb: MariaDBServer, keeper: Access) -> None:
    username = "tick` IDENTIFIED BY PASSWORD 'x"
    mariadb.login(username, "old", more="REQUIRE SSL")
    database.add_password(keeper, username, Secret("old"), Secret("new"), next_fence())
    seen = probe(mariadb, username, "new")
    assert isinstance(seen, Accepted)
    assert seen.identity["current_user"] == username
    assert "GRANT SELECT, INSERT ON `shop`" in seen.identity["grants"]
    assert "REQUIRE SSL" in seen.identity["grants"]
    for text in ("old", "new"):
        assert mariadb_accounts.password_hash(Secret(text)) not in seen.identity["grants"]
    mariadb.execute("GRANT UPDATE ON shop.* TO %s@'%%'", username)
    assert probe(mariadb, username, "new") != seen


def test_quoting_follows_the_session(mariadb: MariaDBServer, keeper: Access) -> None:
    username = "back\\slash'quote"
    mariadb.login(username, "old")
    options = {"sql_mode": "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"}
    administration = replace(keeper, target=replace(keeper.target, options=options))
    database.set_password(administration, username, Secret("new\\'"), next_fence())
    assert isinstance(probe(mariadb, username, "new\\'"), Accepted)


# Refusals


def test_a_plugin_that_refuses_hashes_is_said_to(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    mariadb.execute("INSTALL SONAME 'simple_password_check'")
    try:
        with pytest.raises(ChangeRefused, match="simple_password_check"):
            database.set_password(keeper, user, Secret("Long-enough-1234"), next_fence())
        assert "simple_password_check" in "".join(database.lacks(keeper, user))
        assert isinstance(probe(mariadb, user, "old"), Accepted)
        mariadb.execute("SET GLOBAL strict_password_validation = OFF")
        assert database.lacks(keeper, user) == ()
        database.set_password(keeper, user, Secret("Long-enough-1234"), next_fence())
    finally:
        mariadb.execute("SET GLOBAL strict_password_validation = ON")
        mariadb.execute("UNINSTALL SONAME 'simple_password_check'")
    assert isinstance(probe(mariadb, user, "Long-enough-1234"), Accepted)


def test_a_read_only_server_is_no_place_for_changes(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    mariadb.execute("SET GLOBAL read_only = ON")
    try:
        with pytest.raises(ChangeUnreachable, match="read-only"):
            database.set_password(keeper, user, Secret("new"), next_fence())
    finally:
        mariadb.execute("SET GLOBAL read_only = OFF")
    assert isinstance(probe(mariadb, user, "old"), Accepted)


def test_a_row_with_another_way_to_prove_itself_is_left_alone(
    mariadb: MariaDBServer, keeper: Access, user: str
) -> None:
    mariadb.execute("CREATE USER %s@localhost IDENTIFIED VIA unix_socket", user)
    before = stored(mariadb, user, "localhost")
    with pytest.raises(ChangeNotPermitted, match="unix_socket"):
        database.set_password(keeper, user, Secret("new"), next_fence())
    assert any("unix_socket" in sentence for sentence in database.lacks(keeper, user))
    assert stored(mariadb, user, "localhost") == before
    assert isinstance(probe(mariadb, user, "old"), Accepted)


@pytest.mark.parametrize("missing", range(len(GRANTS)))
def test_each_grant_is_needed_and_its_absence_named(mariadb: MariaDBServer, user: str, missing: int) -> None:
    rest = [grant for number, grant in enumerate(GRANTS) if number != missing]
    administration = mariadb.administration(name("less"), *rest)
    fence = next_fence(name("key"))
    with closing(connect(mariadb.access(user, "old"), mariadb.endpoint, seconds=5)) as session:
        seen = Session(user, "127.0.0.1", "", session.thread_id())
        told = _needed_by(administration, user, fence, seen)
        for statement in told.partition("run: ")[2].rstrip(";").split("; "):
            mariadb.execute(statement)
        assert database.sessions(administration, user) == (seen,)
        assert database.lacks(administration, user) == ()
        assert database.end_sessions(administration, (seen,)) == 1
    assert database.set_password(administration, user, Secret("new"), fence) == ()
    assert database.fence_number(administration, fence.key) == fence.number
    assert isinstance(probe(mariadb, user, "new"), Accepted)


def _needed_by(administration: Access, user: str, fence: Fence, seen: Session) -> str:
    """What the first operation that misses a privilege says."""
    listed = database.sessions(administration, user)
    if isinstance(listed, NotPermitted):
        return listed.reason
    if lacking := database.lacks(administration, user):
        with pytest.raises(ChangeNotPermitted, match="GRANT"):
            database.set_password(administration, user, Secret("new"), fence)
        return "".join(lacking)
    if left_out := database.set_password(administration, user, Secret("old"), fence):
        return "".join(left_out)
    with pytest.raises(ChangeNotPermitted) as caught:
        database.end_sessions(administration, (seen,))
    return caught.value.message


def test_locked_and_expired_accounts_are_not_accepted(mariadb: MariaDBServer, user: str) -> None:
    mariadb.execute("ALTER USER %s@'%%' ACCOUNT LOCK", user)
    assert isinstance(probe(mariadb, user, "old"), NotPermitted)
    mariadb.execute("ALTER USER %s@'%%' ACCOUNT UNLOCK PASSWORD EXPIRE", user)
    assert isinstance(probe(mariadb, user, "old"), NotPermitted)


def test_too_many_connections_is_no_answer_about_the_password(mariadb: MariaDBServer, user: str) -> None:
    mariadb.login(user, "old", more="WITH MAX_USER_CONNECTIONS 1")
    with closing(connect(mariadb.access(user, "old"), mariadb.endpoint, seconds=5)):
        assert isinstance(probe(mariadb, user, "old"), Unreached)


# Lost replies


def test_a_lost_reply_is_lost_and_the_change_holds(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    with cutting(mariadb.port, b"ALTER USER", delivered=True) as port, pytest.raises(ChangeLost):
        database.set_password(plainly(keeper, port), user, Secret("new"), next_fence())
    assert isinstance(probe(mariadb, user, "new"), Accepted)


def test_a_change_that_never_arrived_is_lost_and_repeating_it_helps(
    mariadb: MariaDBServer, keeper: Access, user: str
) -> None:
    with cutting(mariadb.port, b"ALTER USER", delivered=False) as port, pytest.raises(ChangeLost):
        database.set_password(plainly(keeper, port), user, Secret("new"), next_fence())
    assert isinstance(probe(mariadb, user, "old"), Accepted)
    database.set_password(keeper, user, Secret("new"), next_fence())
    assert isinstance(probe(mariadb, user, "new"), Accepted)


def test_a_connection_that_breaks_before_any_change_changed_nothing(
    mariadb: MariaDBServer, keeper: Access, user: str
) -> None:
    with cutting(mariadb.port, b"mysql.user", delivered=True) as port, pytest.raises(ChangeUnreachable):
        database.set_password(plainly(keeper, port), user, Secret("new"), next_fence())
    assert isinstance(probe(mariadb, user, "old"), Accepted)


def test_a_failure_between_two_rows_names_both_and_repeating_it_helps(
    mariadb: MariaDBServer, keeper: Access, user: str
) -> None:
    mariadb.login(user, "old", "10.%")
    # Rows are changed in the order of their hosts: first '%', then '10.%'.
    told = pytest.raises(ChangeLost, match=r"'%' changed, but .*'10\.%' did not")
    with cutting(mariadb.port, b"'10.%' IDENTIFIED", delivered=False) as port, told:
        database.set_password(plainly(keeper, port), user, Secret("new"), next_fence())
    new = mariadb_accounts.password_hash(Secret("new"))
    assert new in stored(mariadb, user, "%")
    assert new not in stored(mariadb, user, "10.%")
    database.set_password(keeper, user, Secret("new"), next_fence())
    assert new in stored(mariadb, user, "10.%")


# TLS


def test_tls_is_as_asked_and_never_less(mariadb: MariaDBServer, user: str) -> None:
    access, here = mariadb.access(user, "old"), mariadb.endpoint
    stranger, good = trustme.CA().cert_pem.bytes().decode(), mariadb.tls.ca
    misnamed = Endpoint("localhost", mariadb.port)

    def outcome(mode: TlsMode, ca: str | None, endpoint: Endpoint) -> type[Probe]:
        return type(database.probe(with_tls(access, mode, ca), endpoint))

    assert outcome(TlsMode.VERIFY_FULL, good, here) is Accepted
    assert outcome(TlsMode.VERIFY_FULL, good, misnamed) is Unreached
    assert outcome(TlsMode.VERIFY_FULL, stranger, here) is Unreached
    assert outcome(TlsMode.VERIFY_FULL, None, here) is Unreached
    assert outcome(TlsMode.VERIFY_FULL, "no certificate", here) is Unreached
    assert outcome(TlsMode.VERIFY_CA, good, misnamed) is Accepted
    assert outcome(TlsMode.VERIFY_CA, stranger, here) is Unreached
    assert outcome(TlsMode.REQUIRE, stranger, misnamed) is Accepted
    assert outcome(TlsMode.DISABLE, None, here) is Accepted


def test_an_account_that_requires_tls_is_reached_by_it(mariadb: MariaDBServer, user: str) -> None:
    mariadb.login(user, "old", more="REQUIRE SSL")
    assert isinstance(probe(mariadb, user, "old"), Accepted)
    plain = with_tls(mariadb.access(user, "old"), TlsMode.DISABLE)
    assert not isinstance(database.probe(plain, mariadb.endpoint), Accepted)


@pytest.fixture(scope="module")
def bare() -> Iterator[MariaDBServer]:
    with running_mariadb(tls=False) as server:
        yield server


@pytest.mark.parametrize("mode", [TlsMode.VERIFY_FULL, TlsMode.VERIFY_CA, TlsMode.REQUIRE])
def test_a_server_without_tls_is_sent_nothing_where_tls_is_asked(bare: MariaDBServer, mode: TlsMode) -> None:
    username = name("user")
    bare.login(username, "old")
    access = with_tls(bare.access(username, "old"), mode, trustme.CA().cert_pem.bytes().decode())
    with recording(bare.port) as (port, sent):
        assert isinstance(database.probe(access, Endpoint("127.0.0.1", port)), Unreached)
    assert sent == []
    assert isinstance(database.probe(with_tls(access, TlsMode.DISABLE), bare.endpoint), Accepted)


@pytest.mark.parametrize("method", [b"mysql_clear_password", b"dialog", b"sha256_password"])
def test_the_clear_text_is_not_given_to_an_unverified_server(method: bytes) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        impostor = threading.Thread(target=_ask_for_clear_text, args=(listener, method, received))
        impostor.start()
        fake = Endpoint("127.0.0.1", listener.getsockname()[1])
        target = Target(Engine.MARIADB, (fake,), "shop", Tls(TlsMode.DISABLE))
        access = Access(target, Account("user", Secret("sesame-open")))
        assert isinstance(MariaDB(seconds=1).probe(access, fake), Unreached)
        impostor.join(10)
    assert received
    assert b"sesame-open" not in b"".join(received)


def _ask_for_clear_text(listener: socket.socket, method: bytes, received: list[bytes]) -> None:
    """Greets like a server without TLS, and then asks for the password by a method that shows it."""
    with suppress(OSError), listener.accept()[0] as client:
        client.settimeout(3)
        greeting = b"\x0a5.5.5-10.11.0-MariaDB\0" + struct.pack("<I", 1) + b"12345678\0"
        greeting += struct.pack("<HBHHB", 0xF7FF & ~0x0800, 45, 2, 0x00FF, 21) + b"\0" * 10 + b"123456789012\0"
        greeting += b"mysql_native_password\0"
        client.sendall(struct.pack("<I", len(greeting))[:3] + b"\0" + greeting)
        received.append(client.recv(65536))
        question = b"\xfe" + method + b"\0" + (b"\x04Password: " if method == b"dialog" else b"12345678901234567890\0")
        client.sendall(struct.pack("<I", len(question))[:3] + b"\x02" + question)
        while data := client.recv(65536):
            received.append(data)


# Rows that no login from here reaches


def test_rows_that_a_login_does_not_reach_are_named(mariadb: MariaDBServer, keeper: Access, user: str) -> None:
    access = mariadb.access(user, "old")
    assert database.unreached(keeper, access) == ()
    mariadb.login(user, "old", "10.%")
    assert database.unreached(keeper, access) == (f"'{user}'@'10.%'",)
    mariadb.login(user, "nearer", "127.0.0.%")  # the most specific host that fits is taken, whatever the password
    with pytest.raises(ChangeUnreachable, match="1045"):
        database.unreached(keeper, access)
    found = database.unreached(keeper, mariadb.access(user, "nearer"))
    assert found == (f"'{user}'@'%'", f"'{user}'@'10.%'")
    blind = mariadb.administration("blind_to_rows", "GRANT CREATE USER ON *.* TO %s@'%%'")
    with pytest.raises(ChangeNotPermitted, match="GRANT SELECT"):
        database.unreached(blind, access)
