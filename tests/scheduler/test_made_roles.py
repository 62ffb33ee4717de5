"""What Keywright makes on a server by an administration login is no drift of that login; what others do to it is."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from service.core.connection import Access
from service.core.secret import Secret
from service.keeper.health import told
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_administration_engines import OFTEN, Alone
from tests.scheduler.test_engines import definition


def _put(alone: Alone, name: str, access: Access, **more: Any) -> None:
    data = definition(access, **more)
    password = Secret(data["login"].pop("password"))
    alone.service.keeper.connections.put(SYSTEM, "production", name, registration(data, password), if_match=None)


def _drift(alone: Alone, name: str) -> list[str]:
    alone.service.keeper.checks.check(alone.service.keeper.connections.get(SYSTEM, "production", name).stored.id)
    stored = alone.service.keeper.connections.get(SYSTEM, "production", name).stored
    return [sentence.partition(": ")[2] for sentence in told(stored.health | {"registered": []})[1]]


def test_roles_that_were_made_are_no_drift(new_postgresql: PostgresServer, tmp_path: Path) -> None:
    """From PostgreSQL 16 on, whoever makes a role administers it."""
    server = new_postgresql
    server.login("made_shop", "app-password")
    own = server.administration("made_admin", "made_shop")
    alone = Alone(tmp_path)
    try:
        _put(alone, "admin", own)
        policy = {"strategy": "alternating", **OFTEN, "every": "1h"}
        login = server.access("made_shop", "app-password")
        _put(alone, "shop", login, administered_by="admin", rotation=policy)
        assert _drift(alone, "admin") == []
        asked = alone.service.keeper.rotations.ask(SYSTEM, "production", "shop", "")[0]
        while not alone.service.keeper.rotations.get(SYSTEM, asked.rotation.id).rotation.ended_at:
            for held in alone.service.keeper.rotations.claim("worker", timedelta(seconds=30), 10):
                alone.service.rotator.advance(held)
            alone.now += timedelta(seconds=5)
        assert server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'made_shop_a'")
        assert _drift(alone, "admin") == []
        server.execute("GRANT pg_monitor TO made_admin")
        server.execute("CREATE ROLE made_else")
        server.execute("GRANT made_else TO made_admin WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
        server.execute("GRANT made_shop_a TO made_admin WITH SET TRUE")
        assert _drift(alone, "admin") == [
            "administration gained: made_else",
            "administration lost: made_shop_a",
            "membership gained: made_shop_a",
            "membership gained: pg_monitor",
        ]
        server.execute("REVOKE pg_monitor, made_else, made_shop_a FROM made_admin")
        server.execute("REVOKE made_shop_a FROM made_admin CASCADE")
        assert "membership gained: pg_monitor" not in _drift(alone, "admin")
    finally:
        alone.service.close()
