"""A PostgreSQL standby of a test's server: it streams, is cut off, and is promoted."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.rigs.keywright import wait_until
from tests.rigs.ports import free_port
from tests.rigs.postgresql import SUPERUSER, PostgresServer
from tests.rigs.servers import Ground, end


class Standby:
    """One standby, made by pg_basebackup. `execute` speaks as the superuser."""

    def __init__(self, primary: PostgresServer) -> None:
        self.host, self.port = primary.host, free_port()
        self._primary = primary
        self._ground = Ground("standby")
        binaries, folder = primary._binaries, self._ground.folder
        source = f"host={primary.host} port={primary.port} user={SUPERUSER} password={primary.password}"
        copy = [binaries / "pg_basebackup", "-d", source, "-D", folder / "data", "-R", "-X", "stream", "-c", "fast"]
        self._ground.run([*copy, "--no-sync"])
        command = [binaries / "postgres", "-D", folder / "data", "-c", f"port={self.port}"]
        command += ["-c", f"unix_socket_directories={folder}"]
        self._process: subprocess.Popen[bytes] = self._ground.start(command, self._answers)

    def caught_up(self) -> bool:
        """Has it replayed everything that the primary wrote until now?"""
        (at,) = self._primary.execute("SELECT pg_current_wal_flush_lsn()::text")[0]
        replayed = f"SELECT pg_last_wal_replay_lsn() >= '{at}'::pg_lsn"
        return bool(self.execute(replayed)[0][0])

    def cut_off(self) -> None:
        """It receives nothing any more: what the primary commits from now on is not replicated."""
        self.execute("ALTER SYSTEM SET primary_conninfo = ''")
        self.execute("SELECT pg_reload_conf()")
        wait_until(lambda: not self._primary.execute("SELECT 1 FROM pg_stat_replication"), "the standby still receives")

    def promote(self) -> None:
        """It becomes a primary, on a new timeline."""
        self.execute("SELECT pg_promote()")

    def execute(self, statement: Any) -> list[tuple[Any, ...]]:
        """Run one statement; its rows, if it has any."""
        with psycopg.connect(
            host=self.host, port=self.port, user=SUPERUSER, password=self._primary.password, autocommit=True
        ) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def clear(self) -> None:
        """Stop it and remove its files."""
        end(self._process, signal.SIGINT)
        self._ground.clear()


@contextmanager
def standby_of(primary: PostgresServer) -> Iterator[Standby]:
    """A standby that is gone afterwards."""
    standby = Standby(primary)
    try:
        yield standby
    finally:
        standby.clear()
