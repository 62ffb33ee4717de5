"""A PostgreSQL of the demo's own: SCRAM-SHA-256 for everybody, loopback only, gone afterwards."""

import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg.sql import SQL, Identifier, Literal

from service.core.errors import Unavailable
from service.core.secret import Secret
from service.demo.binaries import Owner, find, owner, surroundings
from service.demo.stopping import Stopping

HOST = "127.0.0.1"
SUPERUSER = "postgres"
STARTS_WITHIN = 60.0
"""Seconds; a loaded machine may take its time."""
PORTS_TRIED = 3
_LOOK = 0.05
_ENDINGS = ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""PostgreSQL's fast, then its immediate shutdown (manual, 18.5), then the end; each with its seconds."""
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "log_min_messages": "warning",
}


class Server:
    """The server. `start` it, `close` it, whatever happened in between. The folder must exist.

    `settings` are PostgreSQL's own, in place of those that suit a demo, which nothing needs to survive.
    """

    def __init__(self, folder: Path, stopping: Stopping, settings: Mapping[str, str] | None = None) -> None:
        self.port = 0
        self.log = folder / "server.log"
        self._folder = folder
        self._stopping = stopping
        self._settings = {**_SETTINGS, **(settings or {})}
        self._owner: Owner | None = owner()
        self._password = Secret(secrets.token_urlsafe(24))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make it and wait until it answers. Raises Unavailable, Stopped."""
        if self._owner:
            self._owner.give(self._folder)
        binaries = find(self._folder, self._owner)
        self._stopping.check()
        self._create(binaries)
        for _ in range(PORTS_TRIED):  # somebody else may take the port before the server does
            if self._answered(binaries):
                return
        raise Unavailable(f"the demo's PostgreSQL did not start; its last words: {self._last_words()}")

    def close(self) -> None:
        """Stop it. Bounded; never raises for a server that is gone."""
        process, self._process = self._process, None
        for number, seconds in _ENDINGS:
            if process is None or process.poll() is not None:
                return
            process.send_signal(number)
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue

    def execute(self, statement: LiteralString, *names: str, database: str = SUPERUSER, **literals: Secret) -> None:
        """One statement as the superuser; `{}` are names to be quoted, `{word}` secrets."""
        text = {word: Literal(value.reveal()) for word, value in literals.items()}
        with self._connect(database) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names), **text))

    @property
    def major(self) -> int:
        """The version's first number."""
        with self._connect(SUPERUSER) as connection:
            return connection.info.server_version // 10000

    def _create(self, binaries: Path) -> None:
        password = self._folder / "password"
        password.write_text(self._password.reveal())
        if self._owner:
            self._owner.give(password)
        options = ["-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C"]
        self._spawn([binaries / "initdb", "-D", self._data, *options, "--no-sync"])
        deadline = time.monotonic() + STARTS_WITHIN
        while self._running() and time.monotonic() < deadline:
            self._stopping.sleep(_LOOK)
        if self._process is None or self._process.poll() != 0:
            raise Unavailable(f"the demo's PostgreSQL could not be made: {self._last_words()}")
        password.unlink()

    def _answered(self, binaries: Path) -> bool:
        self.port = _free_port()
        settings = [f"-c{name}={value}" for name, value in {**self._settings, "port": str(self.port)}.items()]
        self._spawn([binaries / "postgres", "-D", self._data, *settings])
        deadline = time.monotonic() + STARTS_WITHIN
        while self._running() and time.monotonic() < deadline:
            try:
                self._connect(SUPERUSER).close()
            except psycopg.OperationalError:
                self._stopping.sleep(_LOOK)
            else:
                return True
        self.close()
        return False

    def _spawn(self, command: list[Any]) -> None:
        with self.log.open("ab") as log:
            try:
                self._process = subprocess.Popen(  # noqa: S603 - as in `binaries.py`
                    command, **surroundings(self._folder, self._owner), stdout=log, stderr=log
                )
            except OSError as error:
                raise Unavailable(f"{command[0]} cannot be started: {error.strerror}") from None

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _connect(self, database: str) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host=HOST,
            port=self.port,
            user=SUPERUSER,
            password=self._password.reveal(),
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        )

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        return " / ".join(line.strip() for line in lines[-5:] if line.strip()) or "none"

    @property
    def _data(self) -> Path:
        return self._folder / "data"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
