"""Host rules as they are told, on real servers that go by nothing else: passwords turn, applications get in.

`all` is the login and the database on one of them: a name that pg_hba.conf takes for everybody, unless it is quoted.
"""

from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from psycopg.sql import SQL, Identifier

from service.core.connection import Accepted, Access, Account, NotPermitted, Target, Tls, TlsMode
from service.core.host_rules import Parties, Party, rules
from service.core.secret import Secret
from service.ways_out import Databases
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.mariadb import DATABASE, MariaDBServer, running_mariadb
from tests.rigs.postgresql import PostgresServer, new_binaries, old_binaries, running_postgresql
from tests.scheduler.test_engines import definition

FIRST = "first-password"
HERE, ELSEWHERE = "127.0.0.1/32", "10.9.0.0/16"
STRANGER = "stranger"


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    with running_keywright(clock=True, tick=0.05) as served:
        served.client().post("/environments", json={"name": "production"}).raise_for_status()
        yield served


@pytest.fixture(scope="module", params=[15, 18])
def postgresql(request: pytest.FixtureRequest, it: Keywright) -> Iterator[tuple[PostgresServer, str]]:
    """A server of its own, and the connection to it; with TLS and hard names the old one, plain the new one."""
    old = request.param == 15
    binaries, login = (old_binaries(), "all") if old else (new_binaries(), "shop")
    with running_postgresql(binaries, tls=old) as server:
        server.execute(SQL("CREATE DATABASE {}").format(Identifier(login)))
        server.login(login, FIRST)
        server.login(STRANGER, FIRST)
        name = f"shop/on-{request.param}"
        _register(
            it, name, "alternating", server.administration("keywright", login), server.access(login, FIRST, login)
        )
        yield server, name


def _register(it: Keywright, name: str, strategy: str, admin: Access, login: Access) -> None:
    rotation = {"strategy": strategy, "drain_minimum": "1s", "drain_limit": "2s"}
    for path, body in (
        (f"{name}-admin", definition(admin)),
        (name, definition(login, administered_by=f"{name}-admin", rotation=rotation)),
    ):
        answer = it.client().put(f"/environments/production/connections/{path}", json=body)
        assert answer.status_code == 201, answer.text


def _told(it: Keywright, name: str, *networks: str, keywright: tuple[str, ...] = ()) -> dict[str, Any]:
    query = {"from": ",".join(networks)} | ({"keywright_from": ",".join(keywright)} if keywright else {})
    answer = it.client().get(f"/environments/production/host-rules/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _rotate(it: Keywright, name: str) -> Access:
    """Turn it to its end. The credential that applications have then."""
    client = it.client()
    asked = client.post("/environments/production/rotations?wait=30", json={"connection": name}).raise_for_status()

    def seen() -> dict[str, Any]:
        return dict(client.get(f"/rotations/{asked.json()['id']}").raise_for_status().json())

    wait_until(lambda: seen()["stage"] in ("retired", "abandoned", "stuck"), lambda: f"it goes on: {seen()}")
    assert seen()["stage"] == "retired", seen()
    return _credential(it, name)


def _credential(it: Keywright, name: str) -> Access:
    told = it.client().get(f"/environments/production/credentials/{name}").raise_for_status().json()
    target = it.service.keeper.connections.get(
        it.service.keeper.tokens.authenticate(it.owner, "127.0.0.1", ""), "production", name
    ).target
    return Access(target, Account(told["username"], Secret(told["password"])))


def _probe(access: Access) -> object:
    return Databases()[access.target.engine].probe(access, access.target.primary)


def _without_tls(access: Access) -> Access:
    target = access.target
    return Access(Target(target.engine, target.endpoints, target.database, Tls(TlsMode.DISABLE)), access.account)


def test_postgresql_lets_in_whom_it_was_told_and_nobody_else(
    it: Keywright, postgresql: tuple[PostgresServer, str]
) -> None:
    server, name = postgresql
    told = _told(it, name, HERE)
    assert len(told["logins"]) == 3, "the login that was imported, and both of the pair"
    assert told["administration_logins"] == ["keywright"]
    before = _credential(it, name)
    with server.only_host_rules(*told["lines"]):
        assert isinstance(_probe(before), Accepted)
        turned = [_rotate(it, name) for _ in range(2)]
        assert {each.account.username for each in turned} == set(told["logins"]) - {before.account.username}
        assert isinstance(_probe(turned[-1]), Accepted)
        login = turned[-1].account
        assert isinstance(_probe(server.access(STRANGER, FIRST, turned[-1].target.database)), NotPermitted)
        assert isinstance(_probe(server.access(login.username, login.password.reveal(), "postgres")), NotPermitted)
        encrypted = turned[-1].target.tls.mode is not TlsMode.DISABLE
        assert isinstance(_probe(_without_tls(turned[-1])), NotPermitted if encrypted else Accepted)


def test_postgresql_refuses_them_from_elsewhere(it: Keywright, postgresql: tuple[PostgresServer, str]) -> None:
    """By the closing line: one below it would let everybody in."""
    server, name = postgresql
    below = f"host all all {HERE} scram-sha-256"
    now = _credential(it, name)
    with server.only_host_rules(*_told(it, name, ELSEWHERE)["lines"], below):
        assert isinstance(_probe(now), NotPermitted)
        assert isinstance(_probe(server.access("keywright", "admin-keywright")), NotPermitted)
        assert isinstance(_probe(server.access(STRANGER, FIRST)), Accepted)
    with server.only_host_rules(*_told(it, name, ELSEWHERE, keywright=(HERE,))["lines"]):
        assert isinstance(_probe(_rotate(it, name)), Accepted), "Keywright, which comes from elsewhere, goes on"


NAMES = ["plain", "Mixed", "all", "replication", "sp ace", 'q"uote', '"', "com,ma", "#hash", "+plus", "@file", "ümlaut"]


def test_postgresql_reads_every_name_as_it_is_meant(postgresql: tuple[PostgresServer, str]) -> None:
    server, _ = postgresql
    target = server.access("x", "x").target
    for name in NAMES:
        server.login(f"{name}_", FIRST)  # one that begins alike is another one
        server.login(name, FIRST)
    lines = rules(Parties(Party("shop/db", tuple(NAMES), target, (HERE,)), None))
    with server.only_host_rules(*lines):
        for name in NAMES:
            assert isinstance(_probe(server.access(name, FIRST)), Accepted), name
            assert isinstance(_probe(server.access(f"{name}_", FIRST)), NotPermitted), name


@pytest.fixture(scope="module")
def mariadb_alone() -> Iterator[MariaDBServer]:
    """Its administration accounts are renamed here."""
    with running_mariadb() as server:
        yield server


def _run(server: MariaDBServer, lines: list[str]) -> None:
    """As a person pastes them: in one session."""
    with server.kept():
        for line in lines:
            if not line.startswith("--"):
                assert line.endswith(";"), line
                server.execute(line)


def _from(server: MariaDBServer, address: str, account: Account, *, tls: bool = True) -> bool:
    """Does it get in from there?"""
    try:
        pymysql.connect(
            host=server.host,
            port=server.port,
            user=account.username,
            password=account.password.reveal(),
            database=DATABASE,
            bind_address=address,
            ssl={"check_hostname": False} if tls else None,
            ssl_disabled=not tls,
        ).close()
    except pymysql.OperationalError as error:
        if error.args[0] != 1045:  # access denied
            raise
        return False
    return True


def _hosts(server: MariaDBServer, login: str) -> list[str]:
    return [host for (host,) in server.execute("SELECT host FROM mysql.global_priv WHERE user = %s", login)]


@pytest.mark.parametrize("strategy", ["overlapping", "single"])
def test_mariadb_lets_in_whom_it_was_told_and_nobody_else(
    it: Keywright, mariadb_alone: MariaDBServer, strategy: str
) -> None:
    server, login, name = mariadb_alone, f"shop's {strategy}", f"shop/maria-{strategy}"
    admin = f"keywright_{strategy}"
    server.login(login, FIRST)
    _register(it, name, strategy, server.administration(admin), server.access(login, FIRST))
    before = _credential(it, name).account
    assert _from(server, "127.0.0.2", before)
    told = _told(it, name, HERE)
    assert (told["logins"], told["administration_logins"]) == ([login], [admin])
    _run(server, told["lines"])
    assert (_hosts(server, login), _hosts(server, admin)) == (["127.0.0.1"], ["127.0.0.1"])
    after = _rotate(it, name).account
    assert after.password.reveal() != before.password.reveal()
    assert _from(server, "127.0.0.1", after)
    assert not _from(server, "127.0.0.1", after, tls=False)
    assert not _from(server, "127.0.0.2", after)
    assert not _from(server, "127.0.0.2", Account(admin, Secret(f"admin-{admin}")))


def test_mariadb_takes_several_networks(it: Keywright, mariadb_alone: MariaDBServer) -> None:
    """Each has an account of its own, with the password of the first, then and after a rotation."""
    server, name = mariadb_alone, "shop/maria-several"
    server.login("several", FIRST)
    _register(it, name, "overlapping", server.administration("keywright_several"), server.access("several", FIRST))
    told = _told(it, name, HERE, "127.0.1.0/24", "127.0.1.128/25", "2001:db8::/32", "2001:db8::7/128")
    assert told["networks"] == [HERE, "127.0.1.0/24", "2001:db8::/32"]
    assert any("2001:db8::/32 is left out" in line for line in told["lines"])
    _run(server, told["lines"])
    for host in _hosts(server, "several"):
        server.execute(f"GRANT SELECT, INSERT ON {DATABASE}.* TO %s@%s", "several", host)
    assert sorted(_hosts(server, "several")) == ["127.0.0.1", "127.0.1.0/255.255.255.0"]
    for fetched in (_credential, _rotate):
        account = fetched(it, name).account
        assert _from(server, "127.0.0.1", account)
        assert _from(server, "127.0.1.200", account)
        assert not _from(server, "127.0.1.200", account, tls=False)
        assert not _from(server, "127.0.2.1", account)
    assert not _from(server, "127.0.1.200", Account("several", Secret(FIRST)))


NETWORKS = [
    ("127.0.0.0/30", True, False),
    ("127.0.0.0/8", True, True),
    ("0.0.0.0/0", True, True),
    ("127.0.0.9/32", False, True),
]


@pytest.mark.parametrize(("network", "first", "second"), NETWORKS, ids=str)
def test_mariadb_reads_a_network_as_it_is_meant(
    mariadb_alone: MariaDBServer, network: str, first: bool, second: bool
) -> None:
    server, login = mariadb_alone, "it's \\ of"
    server.execute("DROP USER IF EXISTS %s@%s", login, "%")
    for host in _hosts(server, login):
        server.execute("DROP USER %s@%s", login, host)
    server.login(login, FIRST)
    target = server.access(login, FIRST).target
    _run(server, list(rules(Parties(Party("shop/db", (login,), target, (network,)), None))))
    account = Account(login, Secret(FIRST))
    assert (_from(server, "127.0.0.2", account), _from(server, "127.0.0.9", account)) == (first, second)


def test_mariadb_names_what_would_lose_its_definer(mariadb_alone: MariaDBServer) -> None:
    server = mariadb_alone
    server.login("definer", FIRST)
    server.execute(f"CREATE DEFINER = definer@'%' VIEW {DATABASE}.seen AS SELECT 1 AS one")
    target = server.access("definer", FIRST).target
    lines = rules(Parties(Party("shop/db", ("definer",), target, (HERE,)), None))
    found = next(line for line in lines if line.startswith("SELECT * FROM"))
    assert server.execute(found) == [("definer@%", "view", DATABASE, "seen")]
