"""Scheduled rotations on real servers, while applications keep logging in.

PostgreSQL 15 and 18 with administration logins that are no superusers, MariaDB with one that is not root; every
strategy; all of them at once under one clock. Passwords are on, and a wrong one was seen to be refused.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from service.core.connection import Access, Rejected
from service.ways_out import Databases
from tests.rigs.applications import Application
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

FIRST = 'first-pässword \'and "more"'
PATIENCE = 60.0


@dataclass
class Turned:
    """A connection that was rotated by its schedule, and what its applications saw."""

    name: str
    strategy: str
    rotations: list[dict[str, Any]]
    credential: dict[str, Any]
    applications: list[Application]
    first: Access


def definition(access: Access, **more: Any) -> dict[str, Any]:
    """A connection's definition, as REST takes it."""
    target = access.target
    return {
        "engine": target.engine.value,
        "endpoints": [{"host": e.host, "port": e.port} for e in target.endpoints],
        "database": target.database,
        "tls": {"mode": target.tls.mode.value} | ({"ca": target.tls.ca} if target.tls.ca else {}),
        "login": {"username": access.account.username, "password": access.account.password.reveal()},
    } | more


def register(it: Keywright, tag: str, strategy: str, admin: Access, login: Access) -> str:
    """Administration connection and application connection; every two seconds from now on."""
    client = it.client()
    rotation = {"strategy": strategy, "every": "2s", "drain_minimum": "1s", "drain_limit": "2s"}
    for name, body in (
        (f"admin/{tag}", definition(admin)),
        (f"shop/{tag}", definition(login, administered_by=f"admin/{tag}", rotation=rotation)),
    ):
        answer = client.put(f"/environments/production/connections/{name}", json=body)
        assert answer.status_code == 201, answer.text
        assert answer.json()["health"]["findings"] in ([], [TLS_OFF]), answer.text
    return f"shop/{tag}"


TLS_OFF = "TLS is off: whoever can listen on the way to the database sees what is sent"


@pytest.fixture(scope="module")
def turned(
    old_postgresql: PostgresServer, new_postgresql: PostgresServer, mariadb: MariaDBServer
) -> Iterator[dict[str, Turned]]:
    """Six connections, each turned at least twice by its schedule."""
    with running_keywright(clock=True, tick=0.1, workers=4) as it:
        it.client().post("/environments", json={"name": "production"}).raise_for_status()
        ways: dict[str, tuple[str, Access]] = {}
        for tag, server in (("15", old_postgresql), ("18", new_postgresql)):
            for strategy in ("alternating", "single"):
                user = f"shop_{strategy}"
                server.login(user, FIRST)
                admin = server.administration(f"keywright_{strategy}", user)
                login = server.access(user, FIRST)
                ways[register(it, f"pg{tag}-{strategy}", strategy, admin, login)] = (strategy, login)
        for strategy in ("overlapping", "single"):
            mariadb.login(f"shop_{strategy}", FIRST)
            admin = mariadb.administration(f"keywright_{strategy}")
            login = mariadb.access(f"shop_{strategy}", FIRST)
            ways[register(it, f"mariadb-{strategy}", strategy, admin, login)] = (strategy, login)
        yield _watched(it, ways)


def _watched(it: Keywright, ways: dict[str, tuple[str, Access]]) -> dict[str, Turned]:
    client, engines = it.client(), Databases()
    applications: dict[str, list[Application]] = {}
    for name, (strategy, login) in ways.items():
        place = f"/environments/production/credentials/{name}"
        database = engines[login.target.engine]
        applications[name] = [Application("newest", _fetcher(it, place), database, login.target, oldest=False)]
        if strategy != "single":
            applications[name].append(Application("oldest", _fetcher(it, place), database, login.target, oldest=True))
    for running in applications.values():
        for application in running:
            application.start()

    def retired(name: str) -> list[dict[str, Any]]:
        query = {"connection": name, "stage": "retired"}
        found = client.get("/environments/production/rotations", params=query).json()["items"]
        return [client.get(f"/rotations/{r['id']}").json() for r in found]

    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and any(len(retired(name)) < 2 for name in ways):
        time.sleep(0.5)
    for running in applications.values():
        for application in running:
            application.over.set()
            application.join(10)
    it.service.clock.stop()
    result = {}
    for name, (strategy, login) in ways.items():
        credential = client.get(f"/environments/production/credentials/{name}").json()
        result[name] = Turned(name, strategy, retired(name), credential, applications[name], login)
    return result


def _fetcher(it: Keywright, place: str) -> Callable[[], dict[str, Any]]:
    client = it.client()
    return lambda: client.get(place).raise_for_status().json()


NAMES = [
    "shop/pg15-alternating",
    "shop/pg15-single",
    "shop/pg18-alternating",
    "shop/pg18-single",
    "shop/mariadb-overlapping",
    "shop/mariadb-single",
]


@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_turned_it_and_proved_the_old_password_dead(turned: dict[str, Turned], name: str) -> None:
    """The new password was accepted and then the old one rejected, on the same endpoint."""
    it = turned[name]
    assert len(it.rotations) >= 2
    assert all(r["requested_by"] == "schedule" for r in it.rotations)
    sentences = [r["steps"][-1]["sentence"] for r in it.rotations]
    primary = str(it.first.target.primary)
    proven = [
        s for s in sentences if s.startswith(f"at {primary} the new password was accepted and then the old one of")
    ]
    # The first turn of an imported login under `alternating` ends with the shared role, which keeps its password.
    assert len(proven) >= len(sentences) - (it.strategy == "alternating")


@pytest.mark.parametrize("name", NAMES)
def test_applications_kept_logging_in(turned: dict[str, Turned], name: str) -> None:
    """None of them failed once: neither who always fetches nor who holds the oldest promise."""
    for application in turned[name].applications:
        assert application.failures == []
        assert application.logins > 20


@pytest.mark.parametrize("name", NAMES)
def test_what_is_offered_at_the_end(turned: dict[str, Turned], name: str) -> None:
    """It is not the first password any more, and under `single` and `overlapping` that one is dead."""
    it = turned[name]
    assert it.credential["password"] != FIRST
    assert it.credential["generation"] >= 3
    if it.strategy != "alternating":
        database = Databases()[it.first.target.engine]
        assert isinstance(database.probe(it.first, it.first.target.primary), Rejected)
