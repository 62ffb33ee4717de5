"""Keywright on PostgreSQL, with one process and with three that are asked all at once, beside OpenBao by turns.

PostgreSQL is one of the bench's own, on the same machine, and waits for its disk at every commit.
"""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import keep
from bench.bao import Bao
from bench.contender import Contender, by_turns, errors, ratios
from bench.process import Process
from bench.run import Run
from service.core.secret import Secret
from service.demo.server import HOST, Server
from service.demo.stopping import Stopping

CONNECTIONS = (16, 64)
COUNTS = {"one": 1, "three": 3}
_DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "shared_buffers": "128MB",
    "max_connections": "200",
}
_NAME = "keywright"


def measure(run: Run) -> dict[str, Any]:
    """For each number of replicas what the fetches are, and beside them OpenBao's of the same minutes."""
    with ExitStack() as stack:
        url = started(run, stack)
        data = run.new_folder("replicated")
        _, token = keep.made(data, run.log, {"ledger": url})
        bao = Bao(run.new_folder("bao") / "bao")
        stack.callback(bao.stop)
        found = {word: _measured(run, data, url, token, bao, count) for word, count in COUNTS.items()}
    return found | {"errors": errors(*(each[who] for each in found.values() for who in ("keywright", "openbao")))}


def started(run: Run, stack: ExitStack) -> str:
    """A PostgreSQL until the stack is left; the URL of a database for the ledger."""
    folder = run.new_folder("postgresql")
    server = Server(folder, Stopping(), _DURABLE)
    stack.callback(server.close)
    run.tell("making a PostgreSQL")
    server.start()
    password = Secret(secrets.token_urlsafe(24))
    server.execute("CREATE ROLE {} LOGIN PASSWORD {password}", _NAME, password=password)
    server.execute("CREATE DATABASE {} OWNER {}", _NAME, _NAME)
    return f"postgresql://{_NAME}:{password.reveal()}@{HOST}:{server.port}/{_NAME}"


def _measured(run: Run, data: Path, url: str, token: Secret, bao: Bao, count: int) -> dict[str, Any]:
    run.tell(f"fetching from {count} on PostgreSQL, and from OpenBao by turns")
    processes: list[Process] = []
    try:
        for _ in range(count):
            processes.append(Process(data, run.log, settings={"ledger": url}))  # noqa: PERF401 - each is noted as soon as it is there
        ours = Contender(keep.target(token, *processes), lambda: _cpu_seconds(processes))
        theirs = Contender(bao.target, lambda: bao.child.cpu_seconds)
        by_turns([ours, theirs], CONNECTIONS, run.pace.rounds, run.pace.seconds)
        peak = sum(process.child.peak_megabytes for process in processes)
    finally:
        for process in processes:
            process.stop()
    mine, its = ours.figures(), theirs.figures()
    ratios(mine, its)
    return {"keywright": mine, "openbao": its, "replicas": count, "peak_mb": peak}


def _cpu_seconds(processes: Sequence[Process]) -> float:
    return sum(process.child.cpu_seconds for process in processes)
