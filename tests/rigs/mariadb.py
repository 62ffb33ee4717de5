"""A MariaDB server for tests: Debian's package mariadb-server, with TLS, passwords on, every statement in a log.

The administration login is neither root nor SUPER. It has what Keywright needs and no more:

    GRANT CREATE USER ON *.*                                     to change passwords
    GRANT SELECT (User, Host, plugin, is_role) ON mysql.user     to find the host rows of a login
    GRANT SELECT (max_questions, max_updates) ON mysql.user      to read the number that stops a late worker
    GRANT PROCESS ON *.*                                         to see who is connected
    GRANT CONNECTION ADMIN ON *.*                                to end their sessions
"""

import hashlib
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pymysql
import pytest

from service.core.connection import Access, Account, Endpoint, Engine, Option, Target, Tls, TlsMode
from service.core.secret import Secret
from tests.rigs.debian import need
from tests.rigs.ports import free_port
from tests.rigs.servers import Ground, end

SUPERUSER = "root"
DATABASE = "shop"
GRANTS = (
    "GRANT CREATE USER ON *.* TO %s@'%%'",
    "GRANT SELECT (User, Host, plugin, is_role) ON mysql.user TO %s@'%%'",
    "GRANT SELECT (max_questions, max_updates) ON mysql.user TO %s@'%%'",
    "GRANT PROCESS ON *.* TO %s@'%%'",
    "GRANT CONNECTION ADMIN ON *.* TO %s@'%%'",
)


class MariaDBServer:
    """One server of its own. `execute` speaks as root."""

    _kept: "pymysql.Connection[Any] | None" = None

    def __init__(self, *, tls: bool = True) -> None:
        self.host, self.port, self.password = "127.0.0.1", free_port(), "super-" + "x" * 20
        self._ground = Ground("maria")
        self._daemon = need("mariadbd", "mariadb-server", "/usr/sbin/mariadbd")
        self._process: subprocess.Popen[bytes] | None = None
        folder = self._ground.folder
        self._data = folder / "data"
        installer = need("mariadb-install-db", "mariadb-server", "/usr/bin/mariadb-install-db")
        install = [installer, "--no-defaults", f"--datadir={self._data}", "--auth-root-authentication-method=normal"]
        self._ground.run([*install, "--skip-test-db", "--innodb-log-file-size=8M"])
        first = (
            f"CREATE OR REPLACE USER root@127.0.0.1 IDENTIFIED BY '{self.password}';",
            "GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION;",
            f"CREATE DATABASE IF NOT EXISTS {DATABASE};",
        )
        self._first = self._ground.write("first.sql", "\n".join(first) + "\n")
        self.tls = Tls(TlsMode.DISABLE)
        self._tls_arguments: list[str] = []
        if tls:
            certificate = self._ground.certificate()
            self.tls = Tls(TlsMode.VERIFY_FULL, certificate.ca)
            self._tls_arguments = [f"--ssl-cert={certificate.chain}", f"--ssl-key={certificate.key}"]
        self.general_log = folder / "general.log"
        self.start()

    def start(self) -> None:
        """Start it, on the port it always had."""
        folder = self._ground.folder
        command = [self._daemon, "--no-defaults", f"--datadir={self._data}", f"--socket={folder / 's'}"]
        command += [f"--port={self.port}", f"--bind-address={self.host}", f"--init-file={self._first}"]
        command += ["--skip-name-resolve", "--general-log=1", f"--general-log-file={self.general_log}"]
        command += ["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"]
        command += ["--character-set-server=utf8mb4", "--performance-schema=0", f"--pid-file={folder / 'pid'}"]
        self._process = self._ground.start([*command, *self._tls_arguments], self._answers)

    def stop(self) -> None:
        """Stop it; sessions are cut."""
        if self._process:
            end(self._process, signal.SIGTERM)
            self._process = None

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def clear(self) -> None:
        """Stop it and remove its files."""
        if self._process:
            end(self._process, signal.SIGKILL)
        self._ground.clear()

    def connect(self) -> "pymysql.Connection[Any]":
        """Root's connection."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            connect_timeout=10,
            charset="utf8mb4",
            autocommit=True,
        )

    def execute(self, statement: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Run one statement as root; its rows."""
        with nullcontext(self._kept) if self._kept else self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement, arguments or None)
            return list(cursor.fetchall())

    @contextmanager
    def kept(self) -> Iterator[None]:
        """In here `execute` uses one connection instead of one for each statement."""
        with self.connect() as self._kept:
            try:
                yield
            finally:
                self._kept = None

    def log_text(self) -> str:
        """Every statement, and everything that the server wrote."""
        general = self.general_log.read_text(errors="replace") if self.general_log.exists() else ""
        return general + self._ground.log.read_text(errors="replace")

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens."""
        return Endpoint(self.host, self.port)

    def access(
        self, username: str, password: str, database: str = DATABASE, options: dict[str, Option] | None = None
    ) -> Access:
        """The way in for a login."""
        target = Target(Engine.MARIADB, (self.endpoint,), database, self.tls, options or {})
        return Access(target, Account(username, Secret(password)))

    def superuser(self) -> Access:
        """Root's way in."""
        return self.access(SUPERUSER, self.password)

    def login(self, name: str, password: str, host: str = "%", more: str = "") -> None:
        """Create a login on one host, anew, with rights on the one database; its password is not logged."""
        made = native_hash(password)
        self.execute(f"CREATE OR REPLACE USER %s@%s IDENTIFIED BY PASSWORD %s {more}", name, host, made)
        self.execute(f"GRANT SELECT, INSERT ON {DATABASE}.* TO %s@%s", name, host)

    def administration(self, name: str, *grants: str) -> Access:
        """A login that may administer: with GRANTS, or with others."""
        password = f"admin-{name}"
        self.login(name, password)
        for grant in grants or GRANTS:
            self.execute(grant, name)
        return self.access(name, password)

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except pymysql.OperationalError:
            return False
        return True


def native_hash(password: str) -> str:
    """What mysql_native_password stores."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()


@contextmanager
def running_mariadb(*, tls: bool = True) -> Iterator[MariaDBServer]:
    """A server that is gone afterwards."""
    server = MariaDBServer(tls=tls)
    try:
        yield server
    finally:
        server.clear()


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDBServer]:
    """MariaDB, with TLS."""
    with running_mariadb() as server:
        yield server
