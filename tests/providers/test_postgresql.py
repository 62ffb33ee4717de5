"""PostgreSQL: lost replies, TLS without fallback, nothing ambient, pairing, sessions."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import trustme
from psycopg.sql import SQL, Identifier

from providers.databases import postgresql_roles
from providers.databases.postgresql import PostgreSQL
from providers.databases.postgresql_failures import failure
from providers.databases.postgresql_login import Certificates, LoginFailed, connect
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
    Unprotected,
)
from service.core.connection import Unreachable as Unreached
from service.core.database import Session
from service.core.errors import ChangeLost, ChangeNotPermitted, ChangeRefused, ChangeUnreachable
from service.core.secret import Secret
from tests.rigs.cutting import cutting
from tests.rigs.fences import next_fence
from tests.rigs.postgresql import PostgresServer

_numbers = count(1)
COMMIT = b"COMMIT\0"
"""The message that is this statement alone; READ COMMITTED is another one."""
database = PostgreSQL()


@pytest.fixture(params=["old_postgresql", "new_postgresql"])
def server(request: pytest.FixtureRequest) -> PostgresServer:
    found: PostgresServer = request.getfixturevalue(request.param)
    return found


def name(stem: str) -> str:
    return f"{stem}_of_pg_{next(_numbers)}"


def probe(server: PostgresServer, username: str, password: str, db: str = "postgres") -> Probe:
    return database.probe(server.access(username, password, db), server.endpoint)


def at(access: Access, port: int, host: str = "127.0.0.1") -> Access:
    return replace(access, target=replace(access.target, endpoints=(Endpoint(host, port),)))


def with_tls(access: Access, mode: TlsMode, ca: str | None = None) -> Access:
    return replace(access, target=replace(access.target, tls=Tls(mode, ca)))


# Lost replies. The proxy speaks plain text, so these run on the server without TLS.


def test_a_lost_reply_to_commit_is_lost_and_the_change_holds(new_postgresql: PostgresServer) -> None:
    user, keeper = name("user"), name("keeper")
    new_postgresql.login(user, "old")
    administration = new_postgresql.administration(keeper, user)
    with cutting(new_postgresql.port, COMMIT, delivered=True) as port, pytest.raises(ChangeLost):
        database.set_password(at(administration, port), user, Secret("new"), next_fence())
    assert isinstance(probe(new_postgresql, user, "new"), Accepted)
    assert isinstance(probe(new_postgresql, user, "old"), Rejected)


def test_a_commit_that_never_arrived_is_lost_and_nothing_changed(new_postgresql: PostgresServer) -> None:
    user, keeper = name("user"), name("keeper")
    new_postgresql.login(user, "old")
    administration = new_postgresql.administration(keeper, user)
    with cutting(new_postgresql.port, COMMIT, delivered=False) as port, pytest.raises(ChangeLost):
        database.set_password(at(administration, port), user, Secret("new"), next_fence())
    assert isinstance(probe(new_postgresql, user, "old"), Accepted)


@pytest.mark.parametrize("delivered", [True, False])
def test_a_connection_that_breaks_before_commit_is_rolled_back(new_postgresql: PostgresServer, delivered: bool) -> None:
    user, keeper = name("user"), name("keeper")
    new_postgresql.login(user, "old")
    administration = new_postgresql.administration(keeper, user)
    with cutting(new_postgresql.port, b"ALTER ROLE", delivered=delivered) as port, pytest.raises(ChangeUnreachable):
        database.set_password(at(administration, port), user, Secret("new"), next_fence())
    assert isinstance(probe(new_postgresql, user, "old"), Accepted)
    assert isinstance(probe(new_postgresql, user, "new"), Rejected)


def test_a_statement_that_waits_gives_up_and_says_busy(new_postgresql: PostgresServer) -> None:
    server, user, keeper = new_postgresql, name("user"), name("keeper")
    server.login(user, "old")
    administration = server.administration(keeper, user)
    with server.connect() as other, other.transaction():
        other.execute(postgresql_roles.lock(user))
        with pytest.raises(ChangeUnreachable, match="busy: somebody else"):
            database.set_password(administration, user, Secret("new"), next_fence())
    assert isinstance(probe(server, user, "old"), Accepted)


def test_no_wait_is_longer_than_the_patience(server: PostgresServer) -> None:
    with closing(connect(server.superuser(), server.endpoint, Certificates(), seconds=5)) as connection:
        connection.patience = 0.2
        with pytest.raises(psycopg.OperationalError, match="no answer"):
            connection.execute("SELECT pg_sleep(30)")
        assert connection.closed


# What a refusal means


def test_roles_that_may_not_log_in_are_not_permitted_and_full_ones_unreachable(server: PostgresServer) -> None:
    user = name("user")
    server.login(user, "right", "CONNECTION LIMIT 0")
    assert isinstance(probe(server, user, "right"), Unreached)
    server.execute(f"ALTER ROLE {user} CONNECTION LIMIT -1 NOLOGIN")
    assert isinstance(probe(server, user, "right"), NotPermitted)
    server.execute(f"ALTER ROLE {user} LOGIN VALID UNTIL '2001-01-01'")
    assert isinstance(probe(server, user, "right"), Rejected)


def test_no_privilege_on_the_database_is_not_permitted(server: PostgresServer) -> None:
    user, db = name("user"), name("closed")
    server.login(user, "right")
    server.execute(f"CREATE DATABASE {db}")
    assert isinstance(probe(server, user, "right", db), Accepted)
    server.execute(f"REVOKE CONNECT ON DATABASE {db} FROM PUBLIC")
    assert isinstance(probe(server, user, "right", db), NotPermitted)


def test_a_server_that_trusts_everybody_accepts_a_wrong_password(server: PostgresServer) -> None:
    user = name("trusted")
    server.login(user, "right")
    server.host_rule(f"host all {user} 127.0.0.1/32 trust")
    assert isinstance(probe(server, user, "wrong"), Accepted)


def test_a_password_that_a_policy_refuses_is_refused(old_postgresql: PostgresServer) -> None:
    user, keeper = name("user"), name("keeper")
    old_postgresql.login(user, "old")
    administration = old_postgresql.administration(keeper, user)
    old_postgresql.execute(f"ALTER ROLE {keeper} SET session_preload_libraries = 'passwordcheck'")
    with pytest.raises(ChangeRefused, match="22023"):
        database.set_password(administration, user, Secret(user), next_fence())
    assert isinstance(probe(old_postgresql, user, "old"), Accepted)
    database.set_password(administration, user, Secret("another"), next_fence())


# TLS


def test_tls_is_as_asked_and_never_less(old_postgresql: PostgresServer) -> None:
    user = name("user")
    old_postgresql.login(user, "right")
    access = old_postgresql.access(user, "right")
    stranger = trustme.CA().cert_pem.bytes().decode()
    good = old_postgresql.tls.ca
    misnamed = Endpoint("localhost", old_postgresql.port)
    here = old_postgresql.endpoint

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


@pytest.mark.parametrize("mode", [TlsMode.VERIFY_FULL, TlsMode.VERIFY_CA, TlsMode.REQUIRE])
def test_a_server_without_tls_is_told_where_tls_is_asked(new_postgresql: PostgresServer, mode: TlsMode) -> None:
    access = with_tls(new_postgresql.superuser(), mode, trustme.CA().cert_pem.bytes().decode())
    said = database.probe(access, new_postgresql.endpoint)
    assert isinstance(said, Unprotected)
    assert said.reason == f"{new_postgresql.endpoint} offers no TLS, which the connection asks for: see `tls`"
    with pytest.raises(ChangeUnreachable):
        database.set_password(access, "postgres", Secret("new"), next_fence())


def test_the_clear_text_is_not_given_to_an_unverified_server(old_postgresql: PostgresServer) -> None:
    user = name("clear")
    old_postgresql.login(user, "right")
    old_postgresql.host_rule(f"host all {user} 127.0.0.1/32 password")
    access = old_postgresql.access(user, "right")
    here = old_postgresql.endpoint
    assert isinstance(database.probe(access, here), Accepted)
    assert isinstance(database.probe(with_tls(access, TlsMode.REQUIRE), here), Unreached)
    assert isinstance(database.probe(with_tls(access, TlsMode.DISABLE), here), Unreached)


def test_authorities_are_kept_private_and_removed(old_postgresql: PostgresServer) -> None:
    certificates = Certificates()
    file = Path(certificates.path(old_postgresql.tls))
    assert file.read_text() == old_postgresql.tls.ca
    assert certificates.path(old_postgresql.tls) == str(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    del certificates
    assert not file.exists()


@pytest.mark.parametrize("host", ["", "/tmp", "@abstract", "127.0.0.1,localhost"])
def test_a_host_is_one_host_and_no_socket(old_postgresql: PostgresServer, host: str) -> None:
    assert isinstance(database.probe(old_postgresql.superuser(), Endpoint(host, old_postgresql.port)), Unreached)


# Nothing ambient


def test_nothing_of_the_environment_gets_in(
    old_postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user = name("user")
    old_postgresql.login(user, "right")
    passfile = tmp_path / "pgpass"
    passfile.write_text("*:*:*:*:right\n")
    passfile.chmod(0o600)
    for variable, value in {
        "PGHOST": "elsewhere.invalid",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGDATABASE": "elsewhere",
        "PGUSER": "postgres",
        "PGPASSWORD": "right",
        "PGPASSFILE": str(passfile),
        "PGOPTIONS": "-c default_transaction_read_only=on -c search_path=elsewhere",
        "PGAPPNAME": "elsewhere",
        "PGSSLMODE": "disable",
        "PGSSLROOTCERT": "/nowhere",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "none",
        "PGCLIENTENCODING": "LATIN1",
        "PGTARGETSESSIONATTRS": "standby",
        "PGREQUIREPEER": "elsewhere",
        "PGCONNECT_TIMEOUT": "1",
    }.items():
        monkeypatch.setenv(variable, value)
    assert isinstance(probe(old_postgresql, user, "right"), Accepted)
    assert not isinstance(probe(old_postgresql, user, ""), Accepted)
    with closing(connect(old_postgresql.superuser(), old_postgresql.endpoint, Certificates(), seconds=5)) as connection:
        row = connection.execute(
            "SELECT current_setting('application_name'), current_setting('client_encoding'), ssl,"
            " current_setting('default_transaction_read_only') FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert row == ("keywright", "UTF8", True, "off")


def test_nothing_of_the_home_directory_gets_in(
    old_postgresql: PostgresServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user = name("user")
    old_postgresql.login(user, "right")
    (tmp_path / ".postgresql").mkdir()
    stranger = trustme.CA()
    files = {
        ".pgpass": b"*:*:*:*:right\n",
        ".postgresql/root.crt": stranger.cert_pem.bytes(),
        ".postgresql/postgresql.crt": stranger.cert_pem.bytes(),
        ".postgresql/postgresql.key": b"no key",
    }
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
        (tmp_path / file).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert not isinstance(probe(old_postgresql, user, ""), Accepted)
    access = old_postgresql.access(user, "right")
    for mode in (TlsMode.REQUIRE, TlsMode.VERIFY_FULL):
        protected = with_tls(access, mode, old_postgresql.tls.ca)
        assert isinstance(database.probe(protected, old_postgresql.endpoint), Accepted)


def test_options_of_the_driver_pass_but_none_that_moves_the_login(server: PostgresServer) -> None:
    user = name("user")
    server.login(user, "right")
    access = server.access(user, "right", options={"options": "-c work_mem=3MB", "nonsense": "x"})
    with closing(connect(access, server.endpoint, Certificates(), seconds=5)) as connection:
        assert connection.execute("SHOW work_mem").fetchone() == ("3MB",)
    moved = {"host": "x.invalid", "hostaddr": "192.0.2.1", "port": 1, "sslmode": "prefer", "password": "no"}
    moved |= {"user": "postgres", "dbname": "no", "service": "no", "passfile": "/no", "target_session_attrs": "standby"}
    access = server.access(user, "right", options=moved)
    assert isinstance(database.probe(access, server.endpoint), Accepted)
    with pytest.raises(LoginFailed):
        connect(server.access(user, "wrong", options=moved), server.endpoint, Certificates(), seconds=5)


# Pairing


@pytest.fixture
def shop(server: PostgresServer) -> tuple[str, Access]:
    """A login in use, with settings of every awkward kind, and a login that may administer it."""
    role, keeper = name("shop"), name("keeper")
    server.login(role, "used", "CONNECTION LIMIT 7 VALID UNTIL '2099-01-01'")
    settings = (
        """SET search_path TO "$user", 'We"ird, x', public""",
        "SET statement_timeout = '77s'",
        "SET TimeZone TO 'Europe/Athens'",
        "SET temp_tablespaces TO ''",
        "IN DATABASE postgres SET work_mem = '7MB'",
    )
    for setting in settings:
        server.execute(SQL("ALTER ROLE {} " + setting).format(Identifier(role)))
    server.execute(SQL("CREATE SCHEMA {0} AUTHORIZATION {0}").format(Identifier(role)))
    return role, server.administration(keeper, role)


def test_both_logins_of_a_pair_are_as_the_role_itself(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    before = probe(server, role, "used")
    assert isinstance(before, Accepted)
    assert before.identity["current_user"] == role
    assert 'search_path="$user", "We""ird, x", public' in before.identity["settings"]
    for suffix in ("_a", "_b"):
        database.join(administration, role, role + suffix, Secret(f"password{suffix}"), next_fence())
        assert probe(server, role + suffix, f"password{suffix}") == before
        assert isinstance(probe(server, role + suffix, "used"), Rejected)
    assert probe(server, role, "used") == before
    row = server.execute(f"SELECT rolconnlimit, rolvaliduntil = '2099-01-01' FROM pg_roles WHERE rolname = '{role}_a'")
    assert row == [(7, True)]
    with closing(connect(server.access(role + "_a", "password_a"), server.endpoint, Certificates(), seconds=5)) as link:
        link.execute("CREATE TABLE mine ()")
        link.commit()
    assert server.execute(f"SELECT tableowner FROM pg_tables WHERE schemaname = '{role}'") == [(role,)]


def test_joining_again_changes_nothing_more(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    login = role + "_a"
    database.join(administration, role, login, Secret("first"), next_fence())
    after_one = _catalog(server, role)
    database.join(administration, role, login, Secret("first"), next_fence())
    assert _catalog(server, role) == after_one
    assert isinstance(probe(server, login, "first"), Accepted)
    # By now the only statement is the one that sets the password.
    assert len([line for line in database.explain(administration, role, login) if not line.startswith("--")]) == 1


def test_a_setting_that_the_role_lost_is_taken_from_the_login(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    login = role + "_a"
    database.join(administration, role, login, Secret("first"), next_fence())
    server.execute(f"ALTER ROLE {role} RESET ALL")
    server.execute(f"ALTER ROLE {role} IN DATABASE postgres RESET ALL")
    server.execute(f"ALTER ROLE {role} CONNECTION LIMIT -1 VALID UNTIL 'infinity'")
    server.execute(f"ALTER ROLE {login} IN DATABASE postgres SET role = 'none'")
    database.join(administration, role, login, Secret("second"), next_fence())
    assert probe(server, login, "second") == probe(server, role, "used")
    stored = f"SELECT setconfig FROM pg_db_role_setting WHERE setrole = '{login}'::regrole"
    assert server.execute(stored) == [([f"role={role}"],)]
    row = server.execute(f"SELECT rolconnlimit, rolvaliduntil::text FROM pg_roles WHERE rolname = '{login}'")
    assert row == [(-1, "infinity")]


def test_a_lost_membership_shows_and_is_mended(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    login = role + "_a"
    database.join(administration, role, login, Secret("first"), next_fence())
    whole = probe(server, login, "first")
    server.execute(f"REVOKE {role} FROM {login} CASCADE")
    server.execute(
        f"DO $$ BEGIN EXECUTE 'REVOKE {role} FROM {login} GRANTED BY ' || (SELECT grantor::regrole::text"
        f" FROM pg_auth_members WHERE member = '{login}'::regrole); EXCEPTION WHEN OTHERS THEN NULL; END $$"
    )
    broken = probe(server, login, "first")
    assert isinstance(broken, Accepted)
    assert broken.identity["current_user"] == login
    database.join(administration, role, login, Secret("first"), next_fence())
    assert probe(server, login, "first") == whole


def test_a_missing_role_is_created_without_login(server: PostgresServer) -> None:
    role, keeper = name("fresh"), name("keeper")
    administration = server.administration(keeper)
    database.join(administration, role, role + "_a", Secret("first"), next_fence())
    database.join(administration, role, role + "_b", Secret("second"), next_fence())
    assert server.execute(f"SELECT rolcanlogin FROM pg_roles WHERE rolname = '{role}'") == [(False,)]
    for login, password in ((role + "_a", "first"), (role + "_b", "second")):
        outcome = probe(server, login, password)
        assert isinstance(outcome, Accepted)
        assert outcome.identity["current_user"] == role
    # Whoever created the roles can change their passwords, on every version.
    database.set_password(administration, role + "_a", Secret("third"), next_fence())
    assert isinstance(probe(server, role + "_a", "third"), Accepted)
    assert database.lacks(administration, role + "_b") == ()


def test_the_administration_login_keeps_no_membership(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    keeper = administration.account.username
    question = f"SELECT count(*) FROM pg_auth_members WHERE member = '{keeper}'::regrole AND roleid = '{role}'::regrole"
    before = server.execute(question)
    database.join(administration, role, role + "_a", Secret("first"), next_fence())
    assert server.execute(question) == before


def test_what_is_explained_is_what_a_person_can_run(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    login = role + "_a"
    lines = database.explain(administration, role, login)
    assert server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{login}'") == []
    assert "PASSWORD '<verifier of the new password>'" in "\n".join(lines)
    assert lines[-1] == f'-- once nobody logs in as {role} itself any more: ALTER ROLE "{role}" NOLOGIN;'
    with server.connect() as connection:
        verifier = connection.pgconn.encrypt_password(b"by hand", login.encode(), b"scram-sha-256").decode()
    for line in lines[:-1]:
        server.execute(line.replace("<verifier of the new password>", verifier))
    assert probe(server, login, "by hand") == probe(server, role, "used")
    server.execute(lines[-1].rpartition("any more: ")[2])
    assert isinstance(probe(server, role, "used"), NotPermitted)
    assert isinstance(probe(server, login, "by hand"), Accepted)
    server.administers(administration.account.username, login)
    assert "NOLOGIN" not in "".join(database.explain(administration, role, login))


def test_an_expired_role_is_not_copied(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    server.execute(f"ALTER ROLE {role} VALID UNTIL '2001-01-01'")
    with pytest.raises(ChangeNotPermitted, match="expired"):
        database.join(administration, role, role + "_a", Secret("first"), next_fence())


def test_a_setting_that_only_a_superuser_may_copy_is_named(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    server.execute(f"ALTER ROLE {role} SET shop.tenant = 'hidden-value'")
    with pytest.raises(ChangeNotPermitted, match="tenant") as caught:
        database.join(administration, role, role + "_a", Secret("first"), next_fence())
    assert "hidden-value" not in caught.value.message
    assert server.execute(f"SELECT 1 FROM pg_roles WHERE rolname = '{role}_a'") == []
    database.join(server.superuser(), role, role + "_a", Secret("first"), next_fence())
    server.administers(administration.account.username, role + "_a")
    database.join(administration, role, role + "_a", Secret("second"), next_fence())
    assert probe(server, role + "_a", "second") == probe(server, role, "used")


def test_who_may_not_pair_is_told_what_is_missing(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    weak = name("weak")
    server.login(weak, "weak")
    with pytest.raises(ChangeNotPermitted, match="CREATEROLE"):
        database.join(server.access(weak, "weak"), role, role + "_a", Secret("first"), next_fence())
    with pytest.raises(ChangeNotPermitted, match="itself"):
        database.join(administration, role, role, Secret("first"), next_fence())
    if server.major >= 16:
        other = server.administration(name("other"))
        with pytest.raises(ChangeNotPermitted, match=r"ADMIN OPTION.*GRANT"):
            database.join(other, role, role + "_a", Secret("first"), next_fence())
        sentence = database.lacks(other, role)[0]
        server.execute(sentence.partition("run: ")[2])
        assert database.lacks(other, role) == ()
        database.set_password(other, role, Secret("changed"), next_fence())


def test_no_password_of_a_pair_is_logged(server: PostgresServer, shop: tuple[str, Access]) -> None:
    role, administration = shop
    database.join(administration, role, role + "_a", Secret("sesame-pair"), next_fence())
    assert "SCRAM-SHA-256$" in server.log_text()
    assert "sesame-pair" not in server.log_text()


def test_a_superuser_is_out_of_reach(server: PostgresServer) -> None:
    administration = server.administration(name("keeper"))
    assert "superuser" in database.lacks(administration, "postgres")[0]
    with pytest.raises(ChangeNotPermitted, match="superuser"):
        database.set_password(administration, "postgres", Secret("new"), next_fence())


# Sessions


def test_sessions_are_seen_with_addresses_and_ages_where_that_is_allowed(server: PostgresServer) -> None:
    user, keeper = name("user"), name("keeper")
    server.login(user, "right")
    administration = server.administration(keeper, user)
    server.execute(f"ALTER ROLE {keeper} SET DateStyle = 'German'")
    server.execute(f"ALTER ROLE {keeper} SET TimeZone = 'Asia/Tokyo'")
    with logged_in(server, user) as first, logged_in(server, user) as second:
        pids = [connection.info.backend_pid for connection in (first, second)]
        assert database.sessions(administration, user) == tuple(
            Session(user, "", "keywright", pid) for pid in sorted(pids)
        )
        server.execute(f"GRANT pg_monitor TO {keeper}")
        found = database.sessions(administration, user)
        assert not isinstance(found, NotPermitted | Unreached)
        assert [(it.address, it.id) for it in found] == [("127.0.0.1", pid) for pid in pids]  # the longest first
        begun = [
            server.execute(f"SELECT extract(epoch FROM backend_start)::text FROM pg_stat_activity WHERE pid = {pid}")
            for pid in pids
        ]
        since = [it.since for it in found]
        assert [f"{it.timestamp():.6f}" for it in since if it] == [rows[0][0] for rows in begun]
        assert {it.tzinfo for it in since if it} == {UTC}
    wrong = server.access(keeper, "not-it")
    assert isinstance(database.sessions(wrong, user), NotPermitted)


@pytest.fixture
def ending(server: PostgresServer) -> tuple[str, Access]:
    """A login to be connected as, and an administration login that sees when sessions began."""
    user, keeper = name("user"), name("keeper")
    server.login(user, "right")
    administration = server.administration(keeper, user)
    server.execute(f"GRANT pg_monitor TO {keeper}")
    return user, administration


def test_sessions_are_ended_by_who_may_end_them(server: PostgresServer, ending: tuple[str, Access]) -> None:
    user, administration = ending
    with logged_in(server, user) as mine, logged_in(server, user):
        found = database.sessions(administration, user)
        assert isinstance(found, tuple)
        with pytest.raises(ChangeNotPermitted, match="run: GRANT") as caught:
            database.end_sessions(administration, found)
        assert database.sessions(administration, user) == found
        server.execute(caught.value.message.partition("run: ")[2])
        assert database.end_sessions(administration, found[:1]) == 1
        with pytest.raises(psycopg.OperationalError):
            mine.execute("SELECT 1")
        left = database.sessions(administration, user)
        assert left == found[1:]
        # Who is gone already is not counted.
        assert database.end_sessions(administration, found) == 1
    assert database.end_sessions(administration, ()) == 0


def test_nobody_is_ended_in_place_of_another(server: PostgresServer, ending: tuple[str, Access]) -> None:
    user, administration = ending
    keeper = administration.account.username
    server.execute(f"GRANT pg_signal_backend TO {keeper}")
    with logged_in(server, user) as connection:
        found = database.sessions(administration, user)
        assert isinstance(found, tuple)
        (one,) = found
        assert one.since
        others = (replace(one, since=one.since + timedelta(microseconds=1)), replace(one, username="postgres"))
        assert database.end_sessions(administration, others) == 0
        with pytest.raises(ChangeNotPermitted, match=r"GRANT .*pg_monitor"):
            database.end_sessions(administration, (replace(one, since=None),))
        server.execute(f"REVOKE pg_monitor FROM {keeper}")
        with pytest.raises(ChangeNotPermitted, match=r"GRANT .*pg_monitor"):
            database.end_sessions(administration, found)
        assert connection.execute("SELECT 1").fetchone() == (1,)


@contextmanager
def logged_in(server: PostgresServer, user: str) -> Iterator[psycopg.Connection[Any]]:
    """A session of an application."""
    with closing(connect(server.access(user, "right"), server.endpoint, Certificates(), seconds=5)) as connection:
        yield connection


def _catalog(server: PostgresServer, role: str) -> list[tuple[object, ...]]:
    """Everything about a role and its logins but the salted verifier."""
    rows = server.execute(f"SELECT to_jsonb(r)::text FROM pg_roles r WHERE rolname LIKE '{role}%' ORDER BY rolname")
    rows += server.execute(
        f"SELECT setrole, setdatabase, setconfig FROM pg_db_role_setting WHERE setrole IN"
        f" (SELECT oid FROM pg_roles WHERE rolname LIKE '{role}%') ORDER BY 1, 2"
    )
    rows += server.execute(
        f"SELECT to_jsonb(m)::text FROM pg_auth_members m WHERE roleid = '{role}'::regrole ORDER BY 1"
    )
    return rows


def test_a_sentence_without_a_code_names_none() -> None:
    """libpq itself noticed that the connection broke."""
    access = Access(
        Target(Engine.POSTGRESQL, (Endpoint("db.test", 5432),), "shop", Tls(TlsMode.DISABLE)),
        Account("admin", Secret("hush")),
    )
    said = failure(psycopg.OperationalError("the connection is closed"), access)
    assert isinstance(said, ChangeUnreachable)
    assert "None" not in said.message
    assert said.message.endswith("so it was rolled back")
