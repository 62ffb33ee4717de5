"""Settings of the role that a pair shares, changed between rotations, on PostgreSQL."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from psycopg.sql import SQL, Identifier

from service.keeper.tokens import SYSTEM
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

PLACE = "/environments/production"
LEASE = timedelta(seconds=30)


class Pair:
    """A connection that was turned twice: both of its logins exist, and nobody has looked at it since."""

    def __init__(self, it: Keywright, server: PostgresServer, role: str) -> None:
        self.it, self.server, self.role = it, server, role
        self.client = it.client()

    def alter(self, login: str, setting: str) -> None:
        """As a DBA does."""
        self.server.execute(SQL("ALTER ROLE {} " + setting).format(Identifier(login)))  # type: ignore[arg-type]

    def turn(self) -> dict[str, Any]:
        """Rotate, until it is published or abandoned."""
        self.client.post(f"{PLACE}/rotations", json={"connection": "shop", "emergency": True}).raise_for_status()
        for held in self.it.service.keeper.rotations.claim("worker", LEASE, 10):
            self.it.service.rotator.advance(held)
        return self.last()

    def last(self) -> dict[str, Any]:
        """The rotation that was asked for last."""
        found = self.client.get(f"{PLACE}/rotations", params={"connection": "shop"}).json()["items"][0]
        return dict(self.client.get(f"/rotations/{found['id']}").json())

    def findings(self) -> list[str]:
        """What the sentinel has to say."""
        shown = self.it.service.keeper.connections.get(SYSTEM, "production", "shop")
        self.it.service.keeper.checks.check(shown.stored.id)
        health = self.client.get(f"{PLACE}/connections/shop").json()["health"]
        return [finding for finding in health["findings"] if "TLS" not in finding and "fence" not in finding]


@pytest.fixture
def pair(new_postgresql: PostgresServer) -> Iterator[Pair]:
    new_postgresql.login("settled", "first-password")
    admin = new_postgresql.administration("settler", "settled")
    with running_keywright() as it:
        client = it.client()
        client.post("/environments", json={"name": "production"}).raise_for_status()
        client.put(f"{PLACE}/connections/admin", json=definition(admin)).raise_for_status()
        login = new_postgresql.access("settled", "first-password")
        rotation = {"strategy": "alternating", "drain_minimum": "1s"}
        body = definition(login, administered_by="admin", rotation=rotation)
        client.put(f"{PLACE}/connections/shop", json=body).raise_for_status()
        made = Pair(it, new_postgresql, "settled")
        assert [made.turn()["stage"] for _ in range(2)] == ["retired", "retired"]
        yield made
    for name in ("settled_a", "settled_b", "settled", "settler"):
        new_postgresql.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        new_postgresql.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def test_a_setting_of_the_role_goes_with_the_next_login(pair: Pair) -> None:
    """It is told, is what drift is judged by from then on, and the next rotation has nothing to tell."""
    pair.alter("settled", "SET work_mem = '7MB'")
    pair.alter("settled", "SET statement_timeout = '5h'")
    story = pair.turn()
    assert story["stage"] == "retired", story["reason"]
    assert "as its role has it since: setting statement_timeout, setting work_mem" in str(story["steps"])
    assert pair.findings() == []
    again = pair.turn()
    assert again["stage"] == "retired"
    assert "as its role has it" not in str(again["steps"])


def test_a_setting_of_the_live_login_alone_is_not_lost(pair: Pair) -> None:
    """Even where the role has the setting too; and the sentence says what ends it."""
    pair.alter("settled", "SET work_mem = '7MB'")
    assert pair.turn()["stage"] == "retired"
    pair.alter("settled_a", "SET work_mem = '9MB'")
    story = pair.turn()
    assert story["stage"] == "abandoned"
    assert "setting work_mem: '9216' -> '7168'" in story["reason"]
    assert "ALTER ROLE settled SET work_mem TO …" in story["reason"]
    assert "ALTER ROLE settled_a RESET work_mem" in story["reason"]
    pair.alter("settled_a", "SET work_mem = '7MB'")
    assert pair.turn()["stage"] == "retired"


def test_a_setting_that_the_role_has_no_more_is_named_with_its_cure(pair: Pair) -> None:
    pair.alter("settled", "SET work_mem = '7MB'")
    assert pair.turn()["stage"] == "retired"
    pair.alter("settled", "RESET work_mem")
    story = pair.turn()
    assert story["stage"] == "abandoned"
    assert "ALTER ROLE settled_a RESET work_mem. Then rotate again" in story["reason"]
    pair.alter("settled_a", "RESET work_mem")
    assert pair.turn()["stage"] == "retired"


def test_the_connection_tells_what_its_fence_is_called(pair: Pair) -> None:
    shown = pair.client.get(f"{PLACE}/connections/shop").json()
    name = f"keywright_fence_{shown['id']}"
    assert pair.server.execute(SQL("SELECT 1 FROM pg_roles WHERE rolname = {}").format(name)) == [(1,)]
