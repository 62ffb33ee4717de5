"""Processes of their own on one PostgreSQL ledger: `keywrightd serve` that only serves, and `keywrightd scheduler`."""

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from service.ledger.changes import Kind
from service.ledger.tables import connections
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywrightd, running_keywright, running_keywrightd, wait_until
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

PATIENCE = 30.0


@pytest.fixture
def ledger(new_postgresql: PostgresServer) -> Iterator[str]:
    """A PostgreSQL database for a ledger, owned by a login that can do nothing else."""
    new_postgresql.login("ledger", "ledger-password")
    new_postgresql.execute("DROP DATABASE IF EXISTS ledger WITH (FORCE)")
    new_postgresql.execute("CREATE DATABASE ledger OWNER ledger")
    yield f"postgresql://ledger:ledger-password@{new_postgresql.host}:{new_postgresql.port}/ledger"
    new_postgresql.execute("DROP DATABASE ledger WITH (FORCE)")


def _scheduler(it: Keywrightd) -> "subprocess.Popen[bytes]":
    command = [str(Path(sys.executable).with_name("keywrightd")), "scheduler"]
    return subprocess.Popen(command, env=it.environ, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def test_one_serves_and_the_other_rotates(ledger: str, new_postgresql: PostgresServer) -> None:
    """The server alone rotates nothing; a scheduler beside it does, and stops in order."""
    new_postgresql.login("apart", "first-password")
    admin = new_postgresql.administration("apart_admin", "apart")
    login = new_postgresql.access("apart", "first-password")
    rotation = {"strategy": "single", "drain_minimum": "1s"}
    environ = {"KEYWRIGHT_LEDGER": ledger, "KEYWRIGHT_CLOCK": "false", "KEYWRIGHT_TICK": "0.1"}
    with running_keywrightd(**environ) as it, it.client() as client:
        client.post("/environments", json={"name": "production"}).raise_for_status()
        client.put("/environments/production/connections/admin", json=definition(admin)).raise_for_status()
        body = definition(login, administered_by="admin", rotation=rotation)
        client.put("/environments/production/connections/shop/db", json=body).raise_for_status()
        asked = client.post("/environments/production/rotations", json={"connection": "shop/db"}).json()
        time.sleep(1)
        assert client.get(f"/rotations/{asked['id']}").json()["stage"] == "planned"
        scheduler = _scheduler(it)
        try:
            wait_until(
                lambda: client.get(f"/rotations/{asked['id']}").json()["stage"] == "retired",
                "the scheduler did not rotate",
                PATIENCE,
            )
        finally:
            scheduler.terminate()
            _, log = scheduler.communicate(timeout=PATIENCE)
        assert scheduler.returncode == 0
        assert b"retired" in log
        proof = client.get("/events/verify").json()
        assert proof["whole"], proof


def test_a_server_alone_tells_what_is_overdue(tmp_path: Path) -> None:
    """Nobody rotates, and a connection's time is over since ten minutes: it is told wherever one may look."""
    fake, data = FakeDatabase(), tmp_path / "data"
    fake.create("shop", "first-password")
    login, place = fake.access("shop", "first-password"), "/environments/production/connections/shop/db"
    with running_keywright(data=data, databases={fake.engine: fake}) as before, before.client() as client:
        client.post("/environments", json={"name": "production"}).raise_for_status()
        admin = definition(fake.administration())
        client.put("/environments/production/connections/admin", json=admin).raise_for_status()
        body = definition(login, administered_by="admin", rotation={"strategy": "single", "every": "1d"})
        client.put(place, json=body).raise_for_status()
        assert client.get(place).json()["health"]["state"] == "warned"  # of TLS, which is off
        with before.service.ledger.change() as tx:
            late = update(connections).values(next_due_at=tx.now - timedelta(minutes=10))
            changed = tx.sql.execute(late.where(connections.c.name == "shop/db").returning(connections.c.id))
            tx.touch(Kind.CONNECTION, *changed.scalars())
    with running_keywrightd(KEYWRIGHT_CLOCK="false", KEYWRIGHT_DATA=str(data)) as it, it.client(before.owner) as client:

        def ready() -> dict[str, Any]:
            return dict(httpx2.get(f"{it.url}/readyz", trust_env=False).json())

        wait_until(lambda: ready()["overdue"] == 1, "nobody noticed", PATIENCE)
        assert ready()["ready"]
        figures = httpx2.get(f"{it.url}/metrics", trust_env=False).text.splitlines()
        assert {"keywright_overdue 1.0", 'keywright_connections_health{state="failing"} 1.0'} <= {*figures}
        health = client.get(place).json()["health"]
        assert health["state"] == "failing"
        assert "was not begun by anybody" in health["findings"][0]
        (event,) = client.get("/events", params={"action": "rotation.overdue"}).json()["items"]
        assert event["resource"] == "shop/db"
        assert "was not begun by anybody" in it.stderr


def test_a_scheduler_of_its_own_needs_postgresql(tmp_path: Path) -> None:
    """On SQLite it says so, in one line."""
    command = [str(Path(sys.executable).with_name("keywrightd")), "scheduler", "--data", str(tmp_path / "data")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "KEYWRIGHT_LEDGER" in ended.stderr
