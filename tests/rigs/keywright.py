"""Keywright itself for tests: in this process behind a real port, or as the command `keywrightd serve`.

    running_keywright   built by wiring, served in a thread, on a data folder that is gone afterwards
    keywrightd          `keywrightd serve` as a process of its own, which may be killed and started again

    with running_keywright(environments=("production",)) as it:
        it.client().post("/environments", json={"name": "production"})

Settings are the fields of `service.settings.Settings`; nothing of the process's environment gets in.
"""

import contextlib
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from providers.keys.file import create as create_key
from service import settings as settings_
from service.core.connection import Engine
from service.core.database import Database
from service.core.reference import Store
from service.http.listener import Listener
from service.ledger import schema
from service.ledger.ledger import Ledger
from service.ledger.tables import metadata
from service.serving import server_of
from service.wiring import Service, build, utc_now
from tests.rigs.ports import free_port
from tests.rigs.snapshots import compare

PATIENCE = 30.0
"""Seconds that a server may take to start or to stop."""
FAST = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
_TOKEN = re.compile(r"kw_[0-9a-f]{16}_[A-Za-z0-9_-]{43}")


def client_of(url: str, token: str | None) -> httpx2.Client:
    """A client of the native door; without a token it sends none. Proxies of the surroundings are not used."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx2.Client(base_url=f"{url}/api/v1", headers=headers, timeout=90, trust_env=False)


@dataclass
class Keywright:
    """A service that is served. `owner` is the text of the first owner's token."""

    service: Service
    data: Path
    owner: str
    url: str = ""
    port: int = 0
    _server: Listener | None = None
    _thread: threading.Thread | None = None
    _clients: list[httpx2.Client] = field(default_factory=list)

    def client(self, token: str | None = None) -> httpx2.Client:
        """The owner's client, or that of another token. It is closed with the service."""
        made = client_of(self.url, token or self.owner)
        self._clients.append(made)
        return made

    def nobody(self) -> httpx2.Client:
        """A client without a token."""
        made = client_of(self.url, None)
        self._clients.append(made)
        return made

    def token(self, name: str, *grants: Mapping[str, Any], **more: Any) -> str:
        """The text of a new token with these grants, as `POST /tokens` takes them."""
        answer = self.client().post("/tokens", json={"name": name, "grants": list(grants), **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["token"])

    def start(self) -> None:
        """Begin to serve, on a port that the system chooses if none was given."""
        self._server = server_of(self.service, "127.0.0.1", self.port)
        self._server.bind()
        self._thread = threading.Thread(target=self._server.run, name="keywright", daemon=True)
        self._thread.start()
        assert self._server.started.wait(PATIENCE), "the server did not start"
        self.url = f"http://127.0.0.1:{self._server.address[1]}"

    def stop(self) -> None:
        """Serve no more and close the ledger; the data folder stays. Doing it twice does nothing."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        if self._server and self._thread:
            self._server.stop()
            self._thread.join(PATIENCE)
            self._server = self._thread = None
            try:
                compare(self.service)
            finally:
                self.service.close()


@cache
def _migrated() -> bytes:
    """The file of a ledger that was migrated, and nothing more: making one takes as long as all else of a start."""
    with tempfile.TemporaryDirectory(dir=FAST) as folder:
        file = Path(folder) / "ledger.sqlite"
        with closing(Ledger(f"sqlite:///{file}", now=utc_now, randomness=secrets.token_bytes)) as ledger:
            schema.ready(ledger)
        return file.read_bytes()


@contextmanager
def running_keywright(
    *,
    ledger_url: str = "",
    data: Path | None = None,
    clock: bool = False,
    now: Callable[[], datetime] = utc_now,
    owner: str = "",
    databases: Mapping[Engine, Database] | None = None,
    stores: Mapping[str, Store] | None = None,
    port: int = 0,
    **settings: Any,
) -> Iterator[Keywright]:
    """A served service. With `ledger_url` its ledger is in PostgreSQL; with `clock` it rotates.

    `data` is a folder that stays; without it a new one is made and removed. `owner` is the owner's token of a
    ledger that is not new (each of several replicas needs it). `databases` and `stores` stand in for real
    ones. `port` is for who must know it before.
    """
    folder = data or Path(tempfile.mkdtemp(prefix="keywright-", dir=FAST))
    if data is None and not ledger_url:
        (folder / "ledger.sqlite").write_bytes(_migrated())
        create_key(folder / "master.key", secrets.token_bytes)
    # Tests of refusals ask faster than somebody who mistook a token.
    given = {
        "data": folder,
        "ledger": ledger_url,
        "clock": clock,
        "listen": "127.0.0.1:0",
        "refused_rate": 0,
    } | settings
    try:
        service = build(settings_.read({}, **given), now=now, with_databases=databases, with_stores=stores)
        first = service.keeper.tokens.first()
        it = Keywright(service, folder, first.reveal() if first else owner, port=port)
        try:
            if clock:
                service.clock.start()
            it.start()
            yield it
        finally:
            it.stop()
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Keywrightd:
    """The command `keywrightd serve`. `stdout` and `stderr` are files that survive a restart."""

    folder: Path
    url: str
    environ: dict[str, str]
    owner: str = ""
    verify: ssl.SSLContext | bool = True
    _process: subprocess.Popen[bytes] | None = None

    @property
    def stdout(self) -> str:
        """Everything it ever wrote there."""
        return (self.folder / "stdout").read_text(errors="replace")

    @property
    def stderr(self) -> str:
        """Everything it ever wrote there: its log."""
        return (self.folder / "stderr").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Was it started, and neither killed nor stopped since?"""
        return self._process is not None

    def client(self, token: str | None = None) -> httpx2.Client:
        """The owner's client, or that of another token. Close it, or use it with `with`."""
        return client_of(self.url, token or self.owner)

    def start(self, patience: float = PATIENCE) -> None:
        """Start it and wait until it is ready, for so many seconds."""
        command = [str(Path(sys.executable).with_name("keywrightd")), "serve"]
        with (self.folder / "stdout").open("ab") as out, (self.folder / "stderr").open("ab") as err:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=self.environ, cwd=self.folder
            )
        wait_until(self._ready, lambda: f"keywrightd did not start:\n{self.stderr[-2000:]}", patience)
        if not self.owner and (shown := _TOKEN.search(self.stdout)):
            self.owner = shown[0]

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it (SIGKILL): nothing is finished."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """Stop it in order (SIGTERM), and its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        self._process.send_signal(how)
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(PATIENCE)
            pytest.fail(f"keywrightd did not stop:\n{self.stderr[-2000:]}")
        self._process = None
        return code

    def _ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            pytest.fail(f"keywrightd ended with {self._process.returncode}:\n{self.stderr[-2000:]}")
        if self.url.startswith("http:"):
            return ready(self.url)
        try:
            answer = httpx2.get(f"{self.url}/readyz", timeout=5, trust_env=False, verify=self.verify)
        except httpx2.TransportError:
            return False
        return answer.status_code == 200


def ready(url: str) -> bool:
    """Does a server without TLS say so? Asked often while one starts, so with nothing to be set up first."""
    place = urlsplit(url)
    with closing(HTTPConnection(str(place.hostname), place.port, timeout=10)) as way:
        try:
            way.request("GET", "/readyz")
            return way.getresponse().status == 200
        except (OSError, HTTPException):
            return False


@contextmanager
def running_keywrightd(*, verify: ssl.SSLContext | None = None, **environ: str) -> Iterator[Keywrightd]:
    """`keywrightd serve` with these environment variables beside its data folder and address.

    `verify` is how a client sees whether it is the right one, for a server with TLS.
    """
    folder = Path(tempfile.mkdtemp(prefix="keywrightd-"))
    port = free_port()
    all_ = {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "KEYWRIGHT_DATA": str(folder / "data"),
        "KEYWRIGHT_LISTEN": f"127.0.0.1:{port}",
        "KEYWRIGHT_LOG_FORMAT": "json",
    } | environ
    scheme = "https" if verify else "http"
    it = Keywrightd(folder, f"{scheme}://{all_['KEYWRIGHT_LISTEN']}", all_, verify=verify or True)
    try:
        it.start()
        yield it
    finally:
        with contextlib.suppress(ProcessLookupError):
            it.kill()
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(seen: Callable[[], bool], otherwise: str | Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait until something is so, or fail the test with a sentence."""
    deadline = time.monotonic() + patience
    while not seen():
        if time.monotonic() > deadline:
            pytest.fail(otherwise if isinstance(otherwise, str) else otherwise())
        time.sleep(0.02)


_LOG = ("head", "changes", "batches", "entries", "touched", "fetches", "signals", "outbox")


def dump(service: Service) -> dict[str, list[str]]:
    """Every row but the event log and the notes of what changed, as text: equal dumps mean that nothing was changed."""
    with service.ledger.read() as tx:
        return {
            table.name: sorted(repr(tuple(row)) for row in tx.sql.execute(table.select()))
            for table in metadata.sorted_tables
            if table.name not in _LOG
        }


@pytest.fixture
def keywright_service() -> Iterator[Keywright]:
    """A fresh service on SQLite."""
    with running_keywright() as it:
        yield it


@pytest.fixture
def keywrightd() -> Iterator[Keywrightd]:
    """A fresh `keywrightd serve` on SQLite, as a process of its own."""
    with running_keywrightd() as it:
        yield it
