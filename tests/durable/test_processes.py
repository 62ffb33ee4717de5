"""Promises 8 and 9 with real processes: slices of what these commands run for longer (docs/durability.md).

    python -m tests.linear     no answer is stale: several replicas, changed through any of them
    python -m tests.durable    every answer has its event, whatever is killed

In this order, since those who are killed start again, which costs more than all the rest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.durable.__main__ import prepared
from tests.durable.kills import Load, kill_ledger, kill_servers, load
from tests.linear import __main__ as linear
from tests.linear.play import UNCOUNTED, Play, connections, replicas
from tests.rigs.keywright import Keywrightd, running_keywrightd
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql

CHANGES = 40
"""After so many, fetches end."""
WAIT = 3.0

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One that may be killed, with what is turned in it."""
    with running_postgresql(new_binaries(), tls=False) as it:
        linear.prepared(it)
        yield it


@pytest.fixture(scope="module")
def three(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Keywrightd]]:
    """Replicas on a ledger in it."""
    with replicas(prepared(server), Path(tmp_path_factory.mktemp("three")) / "data", 3) as found:
        yield found


@pytest.fixture(scope="module")
def alone() -> Iterator[Keywrightd]:
    """On SQLite."""
    with running_keywrightd(**UNCOUNTED) as it:
        yield it


def judge(play: Play, each: int) -> None:
    verdict = play.run(each, lambda changes: changes >= CHANGES, WAIT)
    assert verdict.wrong == []
    assert verdict.unanswered == 0
    assert verdict.judgement.races > CHANGES
    assert verdict.polls > 0


@contextmanager
def audited(servers: list[Keywrightd]) -> Iterator[Load]:
    with load(servers, 1) as made:
        yield made
    assert made.audit.wrong == []
    assert made.audit.counts["answers"] >= made.audit.counts["kills"] > 0


def test_no_replica_gives_a_stale_answer(three: list[Keywrightd], server: PostgresServer) -> None:
    judge(Play(three, 1, 2, connections(server)), 1)


def test_one_process_gives_no_stale_answer(alone: Keywrightd) -> None:
    judge(Play([alone], 1, 2), 3)


def test_every_answer_has_its_event_when_the_ledger_is_killed(three: list[Keywrightd], server: PostgresServer) -> None:
    with audited(three) as made:
        kill_ledger(made, server, 3, print)


def test_every_answer_has_its_event_when_a_replica_is_killed(three: list[Keywrightd]) -> None:
    with audited(three) as made:
        kill_servers(made, three[1:], 1, print)


def test_every_answer_has_its_event_when_the_only_process_is_killed(alone: Keywrightd) -> None:
    with audited([alone]) as made:
        kill_servers(made, [alone], 1, print)
