"""Rehearsals on PostgreSQL: the whole change is tried, nothing of it stays, and what would differ is found."""

from dataclasses import replace
from itertools import count

import pytest
from psycopg.sql import SQL, Identifier

from providers.databases.postgresql import PostgreSQL
from service.core.connection import Accepted, Access, Endpoint, TlsMode
from service.core.database import Fence, Trial
from service.core.errors import ChangeUnreachable
from service.core.secret import Secret
from tests.rigs.fences import next_fence
from tests.rigs.ports import free_port
from tests.rigs.postgresql import PostgresServer

_numbers = count(1)
database = PostgreSQL()


@pytest.fixture(params=["old_postgresql", "new_postgresql"])
def server(request: pytest.FixtureRequest) -> PostgresServer:
    found: PostgresServer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def role(server: PostgresServer) -> str:
    name = f"shop_rehearsed_{next(_numbers)}"
    server.login(name, "first")
    return name


@pytest.fixture
def keeper(server: PostgresServer, role: str) -> Access:
    return server.administration(f"keeper_of_{role}", role)


@pytest.fixture
def fence(role: str) -> Fence:
    return next_fence(role)


def trial(role: str) -> Trial:
    """The first turn of an adopted login."""
    return Trial(f"{role}_a", role, role, "postgres", Secret("nobody-has-it"))


def state(server: PostgresServer) -> list[tuple[object, ...]]:
    """Everything about roles."""
    return server.execute(
        "SELECT to_jsonb(a), (SELECT jsonb_agg(m ORDER BY m) FROM pg_auth_members m WHERE m.member = a.oid),"
        " (SELECT jsonb_agg(s ORDER BY s) FROM pg_db_role_setting s WHERE s.setrole = a.oid),"
        " shobj_description(a.oid, 'pg_authid') FROM pg_authid a ORDER BY rolname"
    )


def told(sentences: tuple[str, ...], *words: str) -> bool:
    return any(all(word in sentence for word in words) for sentence in sentences)


def test_all_is_tried_and_nothing_stays(server: PostgresServer, keeper: Access, role: str, fence: Fence) -> None:
    server.execute(SQL("ALTER ROLE {} SET work_mem = '8MB'").format(Identifier(role)))
    server.execute(SQL("ALTER ROLE {} CONNECTION LIMIT 7 VALID UNTIL '2099-01-01'").format(Identifier(role)))
    before = state(server)
    found = database.rehearse(keeper, trial(role), fence)
    assert found.problems == ()
    assert told(found.warnings, "7 connections", "twice")
    assert told(found.warnings, "expires at 2099")
    assert told(found.warnings, "pg_hba.conf", "unknown")
    assert told(found.warnings, "GRANT", "pg_monitor")
    assert state(server) == before
    assert database.fence_number(keeper, fence.key) is None
    assert "nobody-has-it" not in server.log_text()


def test_a_login_that_cannot_be_changed_is_a_problem_with_its_cure(
    server: PostgresServer, role: str, fence: Fence
) -> None:
    server.login(f"weak_for_{role}", "weak")
    weak = server.access(f"weak_for_{role}", "weak")
    single = replace(trial(role), username=role, role="")
    for tried in (single, trial(role)):
        found = database.rehearse(weak, tried, fence)
        assert told(found.problems, "CREATEROLE")
    assert isinstance(database.probe(weak, server.endpoint), Accepted)


def test_a_setting_that_may_not_be_given_is_found_by_trying(
    server: PostgresServer, keeper: Access, role: str, fence: Fence
) -> None:
    server.execute(SQL("ALTER ROLE {} SET log_min_duration_statement = 5").format(Identifier(role)))
    found = database.rehearse(keeper, trial(role), fence)
    assert told(found.problems, "42501")


def test_settings_of_the_login_alone_would_not_follow(
    server: PostgresServer, keeper: Access, role: str, fence: Fence
) -> None:
    database.join(keeper, role, f"{role}_a", Secret("second"), fence)
    server.execute(SQL("ALTER ROLE {} SET work_mem = '9MB'").format(Identifier(f"{role}_a")))
    server.execute(SQL("ALTER ROLE {} IN DATABASE template1 SET jit = off").format(Identifier(f"{role}_a")))
    found = database.rehearse(keeper, replace(trial(role), live=f"{role}_a", username=f"{role}_b"), fence)
    assert told(found.problems, "settings of its own", "work_mem")
    assert not told(found.problems, "jit")
    assert told(found.warnings, "jit in template1")


def test_rules_for_one_of_the_logins_are_named(server: PostgresServer, keeper: Access, role: str, fence: Fence) -> None:
    group, other = f"group_of_{role}", f"other_than_{role}"
    server.execute(SQL("CREATE ROLE {}").format(Identifier(group)))
    server.execute(SQL("GRANT {} TO {}").format(Identifier(group), Identifier(role)))
    server.host_rule(f"host postgres {role} 10.1.1.1/32 scram-sha-256")
    server.host_rule(f"host all {role}_a 10.1.1.2/32 reject")
    server.host_rule(f"host all +{group} 10.1.1.3/32 scram-sha-256")  # both are members
    server.host_rule(f"host all {other} 10.1.1.4/32 scram-sha-256")
    server.host_rule(f"host elsewhere {role} 10.1.1.5/32 scram-sha-256")
    server.host_rule(f"host all +{role} 10.1.1.7/32 scram-sha-256")  # as everybody, it counts as a member of itself
    if server.major >= 16:
        server.host_rule(f'host all "/^{role}$" 10.1.1.6/32 scram-sha-256')
    me = Identifier(keeper.account.username)
    server.execute(SQL("GRANT SELECT ON pg_catalog.pg_hba_file_rules TO {}").format(me))
    server.execute(SQL("GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO {}").format(me))
    found = database.rehearse(keeper, trial(role), fence)
    assert told(found.warnings, f"is for {role} and not for {role}_a", "10.1.1.1")
    assert told(found.warnings, f"is for {role}_a and not for {role}", "10.1.1.2")
    assert told(found.warnings, "10.1.1.6") == (server.major >= 16)
    for address in ("10.1.1.3", "10.1.1.4", "10.1.1.5", "10.1.1.7"):
        assert not told(found.warnings, address)
    assert not told(found.warnings, "unknown")


def test_ending_sessions_takes_a_privilege(server: PostgresServer, keeper: Access, role: str, fence: Fence) -> None:
    ending = replace(trial(role), ends_sessions=True)
    assert told(database.rehearse(keeper, ending, fence).problems, "GRANT", "pg_signal_backend")
    server.execute(SQL("GRANT pg_signal_backend, pg_monitor TO {}").format(Identifier(keeper.account.username)))
    found = database.rehearse(keeper, ending, fence)
    assert found.problems == ()
    assert not told(found.warnings, "pg_monitor")


def test_a_login_may_change_its_own_password(server: PostgresServer, keeper: Access, fence: Fence) -> None:
    me = keeper.account.username
    own = Trial(me, "", me, "postgres", Secret("nobody-has-it"))
    assert database.rehearse(keeper, own, fence).problems == ()
    assert isinstance(database.probe(keeper, server.endpoint), Accepted)


def test_nobody_to_try_it_with_is_an_error(keeper: Access, role: str, fence: Fence) -> None:
    away = replace(keeper, target=replace(keeper.target, endpoints=(Endpoint("127.0.0.1", free_port()),)))
    with pytest.raises(ChangeUnreachable):
        database.rehearse(away, trial(role), fence)


def test_the_protocol_is_told(server: PostgresServer, role: str) -> None:
    way = server.access(role, "first")
    encrypted = way.target.tls.mode is not TlsMode.DISABLE
    assert (database.protocol(way, server.endpoint) or "").startswith("TLSv1.") == encrypted
    assert database.protocol(server.access(role, "wrong"), server.endpoint) is None
