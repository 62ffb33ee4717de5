"""`python -m tests.durable --kills 200 --seed 1`: does every answer have its event, whatever is killed under load?

So many SIGKILLs of `keywrightd serve`, half of them on a ledger in SQLite and half, of two in their turn, on one in
PostgreSQL; then as many of that PostgreSQL with all its backends. The last line is for machines.
See docs/durability.md. The exit status is 1 if an answer's event was missing or there twice, an event was nobody's, or
a chain was broken.
"""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.durable.audit import WRONG
from tests.durable.kills import Load, kill_ledger, kill_servers, load
from tests.linear.play import replicas
from tests.rigs.keywright import running_keywrightd
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.durable", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of our processes, and of the ledger's PostgreSQL")
    parser.add_argument("--seed", type=int, default=1, help="of what is asked, and when something is killed")
    given = parser.parse_args()
    told = Told()
    with running_keywrightd() as alone, load([alone], given.seed) as made:
        kill_servers(made, [alone], given.kills - given.kills // 2, say)
        told.add(made, servers=given.kills - given.kills // 2)
    with (
        running_postgresql(new_binaries(), tls=False) as server,
        tempfile.TemporaryDirectory() as folder,
        replicas(prepared(server), Path(folder) / "data", 2) as pair,
        load(pair, given.seed) as made,
    ):
        kill_servers(made, pair, given.kills // 2, say)
        kill_ledger(made, server, given.kills, say)
        told.add(made, servers=given.kills // 2, ledgers=given.kills)
    for text in told.wrong:
        print(f"wrong: {text}")
    print(told.line(), flush=True)
    return 1 if told.wrong else 0


class Told:
    """What several audits found."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def add(self, made: Load, servers: int = 0, ledgers: int = 0) -> None:
        """One more."""
        self.counts += made.audit.counts
        self.counts += Counter(kills_keywright=servers, kills_ledger=ledgers)
        self.wrong += made.audit.wrong

    def line(self) -> str:
        """For machines."""
        names = ("kills_keywright", "kills_ledger", "requests", "answers", *WRONG)
        names += ("lost", "aborted", "orphans", "refused", "doubtful", "polls")
        return "durable: " + " ".join(f"{name}={self.counts[name]}" for name in names)


def prepared(server: PostgresServer) -> str:
    """The address of a ledger in it. The server writes to disk what it says it wrote."""
    talk = ("log_statement = 'none'", "log_min_duration_statement = -1", "log_connections = ''")
    for setting in (*talk, "fsync = on", "full_page_writes = on", "recovery_init_sync_method = 'syncfs'"):
        server.execute(f"ALTER SYSTEM SET {setting}")
    server.execute("SELECT pg_reload_conf()")
    server.login("durable_ledger", "ledger-password")
    server.execute("CREATE DATABASE durable OWNER durable_ledger")
    return f"postgresql://durable_ledger:ledger-password@{server.host}:{server.port}/durable"


def say(sentence: str) -> None:
    """While it lasts."""
    print(sentence, flush=True)


if __name__ == "__main__":
    sys.exit(main())
