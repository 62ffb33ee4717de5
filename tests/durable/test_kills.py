"""Promise 8 with real processes: a slice of what `python -m tests.durable` runs for longer (docs/durability.md)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.durable.__main__ import prepared
from tests.durable.kills import kill_ledger, kill_servers, load
from tests.linear.play import replicas
from tests.rigs.keywright import Keywrightd
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running_postgresql(new_binaries(), tls=False) as it:
        yield it


@pytest.mark.timeout(300)
def test_every_answer_has_its_event_when_the_process_is_killed(keywrightd: Keywrightd) -> None:
    with load([keywrightd], 1) as made:
        kill_servers(made, [keywrightd], 2, print)
    assert made.audit.wrong == []
    assert made.audit.counts["answers"] >= 2


@pytest.mark.timeout(300)
def test_every_answer_has_its_event_when_the_ledger_is_killed(server: PostgresServer, tmp_path: Path) -> None:
    with replicas(prepared(server), tmp_path / "data", 1) as servers, load(servers, 1) as made:
        kill_ledger(made, server, 3, print)
    assert made.audit.wrong == []
    assert made.audit.counts["answers"] >= 3
