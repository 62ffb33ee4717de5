"""`python -m tests.linear --seconds 120 --seed 1`: is every answer one that could have been given in some order?

Three `keywrightd serve` share a PostgreSQL, a fourth has its own SQLite; see docs/durability.md. The last line is for
machines. The exit status is 1 if any answer was stale, early, or otherwise of no state that it may be of.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.linear.play import UNCOUNTED, Play, Verdict, connections, replicas
from tests.rigs.keywright import running_keywrightd
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql

WAIT = 6.0


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.linear", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long, three quarters of it on PostgreSQL")
    parser.add_argument("--seed", type=int, default=1, help="of what is changed, asked, and when")
    parser.add_argument("--worlds", type=int, default=3, help="environments, each with its own administrator")
    given = parser.parse_args()
    whole = Verdict()
    with running_postgresql(new_binaries(), tls=False) as server, tempfile.TemporaryDirectory() as folder:
        url = prepared(server)
        with replicas(url, Path(folder) / "data", 3) as servers:
            play = Play(servers, given.seed, given.worlds, connections(server))
            _add(whole, play.run(2, _after(given.seconds * 3 / 4), WAIT))
        with running_keywrightd(**UNCOUNTED) as alone:
            play = Play([alone], given.seed, given.worlds)
            _add(whole, play.run(4, _after(given.seconds / 4), WAIT))
    for text in whole.wrong:
        print(f"wrong: {text}")
    print(whole.line(), flush=True)
    return 1 if whole.wrong or not whole.judgement.races else 0


def prepared(server: PostgresServer) -> str:
    """The address of a ledger in it, for a login with a password; and the logins that are turned."""
    for setting in ("log_statement = 'none'", "log_min_duration_statement = -1"):
        server.execute(f"ALTER SYSTEM SET {setting}")
    server.execute("SELECT pg_reload_conf()")
    for name in ("linear_turned", "linear_edited"):
        server.login(name, "first-password")
    server.login("linear_ledger", "ledger-password")
    server.execute("CREATE DATABASE linear OWNER linear_ledger")
    return f"postgresql://linear_ledger:ledger-password@{server.host}:{server.port}/linear"


def _after(seconds: float) -> Callable[[int], bool]:
    deadline = time.monotonic() + seconds
    return lambda _: time.monotonic() > deadline


def _add(whole: Verdict, part: Verdict) -> None:
    print(part.line(), flush=True)
    whole.changes += part.changes
    whole.fetches += part.fetches
    whole.polls += part.polls
    whole.unanswered += part.unanswered
    whole.judgement.add(part.judgement)
    whole.odd += part.odd


if __name__ == "__main__":
    sys.exit(main())
