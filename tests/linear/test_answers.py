"""Promise 9 with real processes: a slice of what `python -m tests.linear` runs for longer (docs/durability.md)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linear.__main__ import prepared
from tests.linear.play import Play, Verdict, connections, replicas
from tests.rigs.keywright import Keywrightd
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql

CHANGES = 30
"""After so many it ends."""
WAIT = 3.0


def enough(changes: int) -> bool:
    return changes >= CHANGES


def check(verdict: Verdict) -> None:
    assert verdict.wrong == []
    assert verdict.judgement.races > CHANGES
    assert verdict.unanswered == 0


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_postgresql(new_binaries(), tls=False) as it:
        yield it


@pytest.mark.timeout(300)
def test_no_replica_gives_a_stale_answer(server: PostgresServer, tmp_path: Path) -> None:
    """Three replicas on one PostgreSQL, changed through any of them, a password turning meanwhile."""
    with replicas(prepared(server), tmp_path / "data", 3) as servers:
        check(Play(servers, 1, 2, connections(server)).run(2, enough, WAIT))


@pytest.mark.timeout(300)
def test_a_process_of_its_own_gives_no_stale_answer(keywrightd: Keywrightd) -> None:
    """One process on SQLite."""
    check(Play([keywrightd], 1, 2).run(4, enough, WAIT))
