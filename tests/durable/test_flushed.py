"""Promise 8 on a ledger in PostgreSQL that would rather write later: what is answered was flushed before.

The server's own setting is `synchronous_commit = off`, and nothing but a commit that insists flushes its log within
ten seconds. So its log is flushed past where it stood before a fetch only if that fetch's commit saw to it.
"""

from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.rigs.keywright import running_keywright
from tests.rigs.line import Line
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql

LAZY = ("fsync = on", "synchronous_commit = off", "wal_writer_delay = 10000", "wal_writer_flush_after = '1GB'")
PLACE = "/environments/production"
ENDS = "SELECT pg_current_wal_insert_lsn() - '0/0', pg_current_wal_flush_lsn() - '0/0'"


@pytest.fixture
def lazy() -> Iterator[PostgresServer]:
    with running_postgresql(new_binaries(), tls=False) as server:
        for setting in LAZY:
            server.execute(f"ALTER SYSTEM SET {setting}")
        server.restart()
        server.execute("CREATE DATABASE lazy")
        yield server


def test_what_is_answered_was_flushed(lazy: PostgresServer) -> None:
    url = f"postgresql://postgres:{lazy.password}@{lazy.host}:{lazy.port}/lazy"
    with running_keywright(ledger_url=url) as it, closing(Line(it.url, it.owner)) as line, lazy.connect() as watch:
        assert line.ask("POST", "/environments", {"name": "production"}).status == 201
        assert line.ask("PUT", f"{PLACE}/variables/A", {"value": "one"}).status == 201
        for path, status in [(f"{PLACE}/values/A", 200), (f"{PLACE}/values/absent", 404)] * 3:
            [(before, _)] = watch.execute(ENDS).fetchall()
            reply = line.ask("GET", path)
            [(_, flushed)] = watch.execute(ENDS).fetchall()
            assert reply.status == status
            assert flushed > before, f"{path}: answered before it was flushed"
