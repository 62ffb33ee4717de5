"""Promise 5 with real processes: three replicas on one ledger, of which one is killed and one stands still at work.

Both are caught in the middle of a change: a transaction of the test's own holds the role that they want to alter.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from psycopg.sql import SQL, Identifier

from tests.rigs.keywright import Keywrightd, running_keywright, running_keywrightd, wait_until
from tests.rigs.postgresql import PostgresServer
from tests.rigs.sockets import process_at
from tests.scheduler.test_engines import definition

STRATEGIES = ("alternating", "single", "alternating", "single")
NAMES = [f"shop/{number}" for number in range(len(STRATEGIES))]
PLACE = "/environments/production"
FIRST = "first-password"
LEDGER, ADMIN = "replicas_ledger", "keywright_replicas"
TURNS = 1
"""Rotations of every connection that are waited for after a replica was lost."""


@dataclass
class Trio:
    """Three replicas, the target that they rotate, and somebody who only watches the ledger."""

    replicas: list[Keywrightd]
    target: PostgresServer
    watch: httpx2.Client

    def items(self, place: str, **query: str) -> list[dict[str, Any]]:
        """Everything of a list, the oldest first."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            answer = self.watch.get(place, params={"limit": "200", "cursor": cursor} | query)
            assert answer.is_success, answer.text
            found, cursor = found + answer.json()["items"], answer.json()["next"]
        return found[::-1]

    def rotations(self, name: str) -> list[dict[str, Any]]:
        """All of a connection."""
        return self.items(f"{PLACE}/rotations", connection=name)

    def turns(self) -> None:
        """Wait until every connection has turned some more."""

        def retired(name: str) -> int:
            return sum(r["stage"] == "retired" for r in self.rotations(name))

        goals = {name: retired(name) + TURNS for name in NAMES}
        wait_until(lambda: all(retired(n) >= goal for n, goal in goals.items()), "no rotation went on", 60)

    def stopped_at_work_on(self, number: int) -> int:
        """Wait for a replica to be in the middle of changing that login, and stop it there; its index."""
        waiting = (
            "SELECT client_port FROM pg_stat_activity WHERE application_name = 'keywright'"
            f" AND wait_event_type = 'Lock' AND usename = '{ADMIN}'"
        )
        pids = [replica.pid for replica in self.replicas if replica.alive]
        found: list[int] = []

        def caught() -> bool:
            found.extend(pid for (port,) in self.target.execute(waiting) if (pid := process_at(port, pids)))
            return bool(found)

        with self._holding(f"shop_{number}"):
            wait_until(caught, f"nobody changed shop_{number}", 60)
            os.kill(found[0], signal.SIGSTOP)
        return next(index for index, r in enumerate(self.replicas) if r.alive and r.pid == found[0])

    @contextmanager
    def _holding(self, login: str) -> Iterator[None]:
        """Nobody else alters this login, or the pair's, meanwhile."""
        with self.target.connect() as connection, connection.transaction(force_rollback=True):
            query = "SELECT rolname FROM pg_roles WHERE rolname = ANY(%s)"
            for (role,) in connection.execute(query, ([login, f"{login}_a", f"{login}_b"],)).fetchall():
                connection.execute(SQL("ALTER ROLE {} CONNECTION LIMIT -1").format(Identifier(role)))
            yield


@pytest.fixture
def trio(new_postgresql: PostgresServer, ledger_server: PostgresServer, tmp_path: Path) -> Iterator[Trio]:
    """Short schedules and a short lease, so that little has to be waited for."""
    ledger_server.execute(f"CREATE DATABASE {LEDGER}")
    url = f"postgresql://postgres:{ledger_server.password}@{ledger_server.host}:{ledger_server.port}/{LEDGER}"
    with ExitStack() as stack:
        stack.callback(ledger_server.execute, f"DROP DATABASE {LEDGER} WITH (FORCE)")
        data = tmp_path / "data"
        data.mkdir(mode=0o700)
        watcher = stack.enter_context(running_keywright(ledger_url=url, data=data))
        client = watcher.client()
        client.post("/environments", json={"name": "production"}).raise_for_status()
        client.put(f"{PLACE}/connections/admin", json=definition(new_postgresql.administration(ADMIN)))
        for number, (name, strategy) in enumerate(zip(NAMES, STRATEGIES, strict=True)):
            login = f"shop_{number}"
            new_postgresql.login(login, FIRST)
            new_postgresql.administers(ADMIN, login)
            rotation = {"strategy": strategy, "every": "2s", "drain_minimum": "1s", "drain_limit": "1s"}
            body = definition(new_postgresql.access(login, FIRST), administered_by="admin", rotation=rotation)
            client.put(f"{PLACE}/connections/{name}", json=body).raise_for_status()
        common = {"LEDGER": url, "KEY": f"file:{data / 'master.key'}", "LEASE": "2", "TICK": "0.2"}
        environ = {f"KEYWRIGHT_{name}": value for name, value in common.items()}
        replicas = [stack.enter_context(running_keywrightd(**environ)) for _ in range(3)]
        yield Trio(replicas, new_postgresql, client)


@pytest.mark.timeout(300)
def test_one_is_killed_and_one_stands_still_at_work(trio: Trio) -> None:
    """Nothing is run twice, nothing is skipped, and what they held is taken over."""
    killed = trio.stopped_at_work_on(1)
    lost = [trio.rotations(NAMES[1])[-1]["id"]]
    trio.replicas[killed].kill()
    trio.turns()
    still = trio.stopped_at_work_on(0)
    lost.append(trio.rotations(NAMES[0])[-1]["id"])
    trio.turns()
    os.kill(trio.replicas[still].pid, signal.SIGCONT)
    trio.turns()
    for rotation in lost:
        assert trio.watch.get(f"/rotations/{rotation}").json()["stage"] == "retired"
    for name in NAMES:
        _one_after_the_other(trio, name)
    assert trio.watch.get("/events/verify").json()["whole"] is True


def _one_after_the_other(trio: Trio, name: str) -> None:
    found = trio.rotations(name)
    for former, following in pairwise(found):
        assert former["ended_at"] <= following["created_at"], name
    generations = [r["generation"] for r in found if r["generation"]]
    assert generations == list(range(2, 2 + len(generations)))
    ended = [r["id"] for r in found if r["stage"] == "retired"]
    for stage in ("staged", "applied", "verified", "published", "draining", "retired"):
        events = trio.items("/events", resource=name, action=f"rotation.{stage}")
        times = Counter(event["detail"]["rotation"] for event in events)
        assert [times[rotation] for rotation in ended] == [1] * len(ended), f"{name} {stage}"
    planned = Counter(e["detail"].get("rotation") for e in trio.items("/events", resource=name, action="rotation.plan"))
    assert all(planned[r["id"]] == 1 for r in found if r["requested_by"] == "schedule")
