"""`python -m tests.durable.traced --seconds 10`: every system call of a server under load, in its order.

`keywrightd serve` runs under strace(1), first on a ledger in SQLite, then on one in PostgreSQL whose processes are
traced as well. For each answer: its event was on disk, synced, before the first byte was sent. The last lines are for
machines; the exit status is 1 if one answer was not in order. See docs/durability.md.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.durable.__main__ import prepared
from tests.durable.calls import CALLS, COMMAND, Call, calls
from tests.durable.kills import load
from tests.durable.order import Order, on_postgresql, on_sqlite
from tests.linear.play import replicas
from tests.rigs.keywright import Keywrightd, running_keywrightd, wait_until
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.durable.traced", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of load on each ledger")
    parser.add_argument("--seed", type=int, default=1, help="of what is asked")
    given = parser.parse_args()
    if shutil.which(COMMAND[0]) is None:
        print("strace is not installed: this command needs it, and `make test` does not")
        return 2
    found: dict[str, Order] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with running_keywrightd() as alone:
            with traced([alone.pid], folder / "sqlite"):
                loaded([alone], given.seed, given.seconds)
            found["sqlite"] = on_sqlite(read(folder / "sqlite"))
        with (
            running_postgresql(new_binaries(), tls=False) as server,
            replicas(prepared(server), folder / "data", 1) as one,
        ):
            with traced([one[0].pid], folder / "keywright"), traced(processes(server), folder / "postgresql"):
                loaded(one, given.seed, given.seconds)
            found["postgresql"] = on_postgresql(read(folder / "keywright"), read(folder / "postgresql"))
    for order in found.values():
        print("\n".join(f"wrong: {text}" for text in order.wrong[:20]))
    for ledger, order in found.items():
        print(f"traced: ledger={ledger} {order.line()}", flush=True)
    return 1 if any(order.wrong or not order.answers for order in found.values()) else 0


def loaded(servers: list[Keywrightd], seed: int, seconds: float) -> None:
    """Clients ask for so long."""
    with load(servers, seed) as made:
        made.ask()
        time.sleep(seconds)
        made.rest()


@contextmanager
def traced(pids: list[int], file: Path) -> Iterator[None]:
    """All threads of these processes, and what they start, into a file."""
    command = [*COMMAND, "-e", CALLS, "-o", str(file), *(f"--attach={pid}" for pid in pids)]
    with file.with_suffix(".said").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        wait_until(lambda: all(map(attached, pids)), lambda: f"strace: {file.with_suffix('.said').read_text()}")
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def attached(pid: int) -> bool:
    """Is every thread of a process traced (proc(5), `status`)?"""
    threads = Path(f"/proc/{pid}/task").glob("*/status")
    return all("TracerPid:\t0\n" not in thread.read_text() for thread in threads)


def processes(server: PostgresServer) -> list[int]:
    """All of a PostgreSQL."""
    pid = server.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def read(file: Path) -> list[Call]:
    """The calls in a trace."""
    with file.open(encoding="latin-1", newline="\n") as lines:
        return list(calls(lines))


if __name__ == "__main__":
    os.nice(5)
    sys.exit(main())
