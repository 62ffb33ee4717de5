"""The soak: replicas, databases and clocks misbehave at random, seeded, while applications keep logging in.

Three processes share a ledger in PostgreSQL and one has its own in SQLite; each ledger has connections of every
strategy on a PostgreSQL and a MariaDB. Keywright reaches databases and ledger through proxies that break;
applications fetch over REST from whichever process answers, and log in at the database itself.

A promise is counted by the clock of the service that gave it. A clock that jumps ahead by an hour ends the promises
of an embedded ledger with it, and one that goes back makes them, and the wait for them, an hour longer.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random  # noqa: TID251 - what goes wrong is to be repeatable
from typing import Any

import httpx2

from providers.keys.file import create
from service.core.connection import Accepted, Access, Account, Target
from service.core.rotation import Strategy
from service.core.secret import Secret
from service.ways_out import Databases
from tests.rigs.keywright import client_of
from tests.rigs.ports import free_port
from tests.rigs.postgresql import PostgresServer
from tests.torture.holders import Holders, Pair
from tests.torture.proxies import Proxy
from tests.torture.site import FIRST, TargetServer

LEASE = 3.0
EVERY, DRAIN = "4s", "2s"
PLACE = "/environments/production"
WAYS = (
    ("pg18", Strategy.ALTERNATING),
    ("pg18", Strategy.SINGLE),
    ("mariadb", Strategy.OVERLAPPING),
    ("mariadb", Strategy.SINGLE),
)
ROOT = Path(__file__).parents[2]
SETTLES = 120.0
"""Seconds that rotations may take to end once everything is well again."""
HOUR = 3600


class Process:
    """A `keywrightd serve` that is started again whenever it is gone."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        folder.mkdir(mode=0o700)
        port = free_port()
        self.url, self.clock, self._log = f"http://127.0.0.1:{port}", folder / "offset", folder / "log"
        self._environ = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)} | environ
        self._environ["KEYWRIGHT_LISTEN"] = f"127.0.0.1:{port}"
        self._folder = folder
        self.offset = 0
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self) -> None:
        """Start it if it is gone."""
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-m", "tests.torture.shifted", str(self.clock)]
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    command, env=self._environ, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )

    def send(self, what: signal.Signals) -> None:
        """A signal."""
        if self._process:
            self._process.send_signal(what)

    def jump(self, seconds: int) -> None:
        """Its own clock is off by so much from now on."""
        self.offset = seconds
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self.clock)

    def end(self) -> None:
        """For good."""
        if self._process:
            self._process.kill()
            self._process.wait(30)

    def log_text(self) -> str:
        """Everything that it said."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""


@dataclass
class Shop:
    """One connection with its applications: who holds what, and who could not get in."""

    name: str
    strategy: Strategy
    target: Target
    """The database itself, past the proxies."""
    processes: list[Process]
    embedded: bool
    holders: Holders
    failed: list[str] = field(default_factory=list)
    lockouts: int = 0

    def now(self) -> datetime:
        """By the clock that its promises are counted by."""
        off = self.processes[0].offset if self.embedded else 0
        return datetime.now(UTC) + timedelta(seconds=off)


@dataclass
class Tally:
    """What is counted."""

    kills: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)


class Soak:
    """Everything that runs meanwhile."""

    def __init__(self, folder: Path, targets: dict[str, TargetServer], ledgers: PostgresServer, seed: int) -> None:
        self._random = Random(seed)
        self._targets, self._ledgers, self._folder = targets, ledgers, folder
        self.tally, self._over, self._engines = Tally(), threading.Event(), Databases()
        self.proxies = {name: Proxy(targets[name].port) for name in {server for server, _ in WAYS}}
        self.ledger_proxy = Proxy(ledgers.port)
        key = folder / "key"
        create(key, os.urandom)
        ledgers.execute("CREATE DATABASE soak")
        url = f"postgresql://postgres:{ledgers.password}@127.0.0.1:{self.ledger_proxy.port}/soak"
        common = {"KEYWRIGHT_KEY": f"file:{key}", "KEYWRIGHT_LEASE": str(LEASE), "KEYWRIGHT_TICK": "0.2"}
        self.replicas = [Process(folder / f"replica-{n}", common | {"KEYWRIGHT_LEDGER": url}) for n in range(3)]
        self.disk = folder / "disk"
        self.alone = Process(folder / "alone", common | {"KEYWRIGHT_DATA": str(self.disk / "data")})
        self.mounted = self._mount()
        self.shops: list[Shop] = []
        self._tokens: dict[str, str] = {}

    @property
    def processes(self) -> list[Process]:
        """All."""
        return [*self.replicas, self.alone]

    def _mount(self) -> bool:
        self.disk.mkdir(mode=0o700)
        command = ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", str(self.disk)]
        return os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0

    def close(self) -> None:
        """Leave nothing behind."""
        self._over.set()
        for process in self.processes:
            process.end()
        for proxy in (*self.proxies.values(), self.ledger_proxy):
            proxy.close()
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)
        self._ledgers.execute("DROP DATABASE IF EXISTS soak WITH (FORCE)")

    # Beginning.

    def begin(self) -> None:
        """Start every process, and register every connection on both ledgers."""
        for first, more in ((self.replicas[0], self.replicas[1:]), (self.alone, [])):
            first.watch()
            self._ready(first)
            token = next(w for line in first.log_text().splitlines() for w in line.split() if w.startswith("kw_"))
            for process in more:
                process.watch()
            for process in (first, *more):
                self._ready(process)
                self._tokens[process.url] = token
            self._register([first, *more], "alone" if first is self.alone else "replicas")

    def _ready(self, process: Process) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx2.TransportError):
                if httpx2.get(f"{process.url}/readyz", timeout=5, trust_env=False).status_code == 200:
                    return
            time.sleep(0.1)
        self.tally.wrong.append(f"a process was not ready: {process.log_text()[-500:]}")

    def _register(self, processes: list[Process], tag: str) -> None:
        client = self._client(processes[0])
        client.post("/environments", json={"name": "production"}).raise_for_status()
        for number, (server_name, strategy) in enumerate(WAYS):
            server, name, login = self._targets[server_name], f"shop/{number}", f"{tag}_{number}"
            admin_name = f"keywright_{tag}_{number}"
            server.login(login, FIRST)
            admin = server.administration(admin_name)
            if isinstance(server, PostgresServer):
                server.administers(admin_name, login)
            rotation = {"strategy": strategy.value, "every": EVERY, "drain_minimum": DRAIN, "drain_limit": "3s"}
            for path, access, more in (
                (f"admin/{number}", admin, {}),
                (name, server.access(login, FIRST), {"administered_by": f"admin/{number}", "rotation": rotation}),
            ):
                body = self._body(server_name, access) | more
                answer = client.put(f"{PLACE}/connections/{path}", json=body)
                answer.raise_for_status()
            target = server.access(login, FIRST).target
            holders = Holders(strategy)
            self.shops.append(Shop(name, strategy, target, processes, tag == "alone", holders))

    def _body(self, server: str, access: Access) -> dict[str, Any]:
        target, account = access.target, access.account
        return {
            "engine": target.engine.value,
            "endpoints": [{"host": "127.0.0.1", "port": self.proxies[server].port}],
            "database": target.database,
            "tls": {"mode": target.tls.mode.value} | ({"ca": target.tls.ca} if target.tls.ca else {}),
            "login": {"username": account.username, "password": account.password.reveal()},
        }

    def _client(self, process: Process, seconds: float = 60) -> httpx2.Client:
        client = client_of(process.url, self._tokens[process.url])
        client.timeout = seconds
        return client

    # Meanwhile.

    def run(self, seconds: float, show: Callable[[str], None]) -> None:
        """Applications, a supervisor, and one misfortune after another."""
        threads = [threading.Thread(target=self._apply, args=(shop,), daemon=True) for shop in self.shops]
        threads.append(threading.Thread(target=self._supervise, daemon=True))
        for thread in threads:
            thread.start()
        end, told = time.monotonic() + seconds, time.monotonic()
        while time.monotonic() < end:
            self._misfortune()
            time.sleep(self._random.uniform(0.2, 1.5))
            if time.monotonic() - told > 15:
                told = time.monotonic()
                logins = sum(shop.holders.logins for shop in self.shops)
                show(
                    f"soak: {logins} logins, {sum(len(s.failed) for s in self.shops)} failed, {self.tally.kills} kills"
                )
        self._heal()
        show(f"soak: all is well again; {dict(self.tally.faults)}")
        self._settle()
        self._over.set()
        for thread in threads:
            thread.join(30)
        self._conclude()

    def _supervise(self) -> None:
        while not self._over.is_set():
            for process in self.processes:
                process.watch()
            time.sleep(0.2)

    def _apply(self, shop: Shop) -> None:
        clients = {process.url: self._client(process, 4) for process in shop.processes}
        draw = Random(self._random.random())
        database = self._engines[shop.target.engine]

        def accepts(pair: Pair) -> bool:
            access = Access(shop.target, Account(pair[0], Secret(pair[1])))
            return isinstance(database.probe(access, shop.target.primary), Accepted)

        while not self._over.is_set():
            self._fetch(shop, clients[draw.choice(shop.processes).url])
            if broken := shop.holders.broken(accepts, shop.now):
                shop.failed += [f"{shop.name} {'alone' if shop.embedded else 'replicas'}: {text}" for text in broken]
                known = {pair for answer in shop.holders.answers for pair, _ in answer}
                shop.lockouts += not any(map(accepts, known))
            time.sleep(0.15)

    def _fetch(self, shop: Shop, client: httpx2.Client) -> bool:
        try:
            answer = client.get(f"{PLACE}/credentials/{shop.name}")
        except httpx2.HTTPError:
            return False  # no answer is no wrong answer
        if answer.status_code != 200:
            return False
        entries = answer.json()["credentials"]
        shop.holders.given(
            tuple(((e["username"], e["password"]), datetime.fromisoformat(e["good_until"])) for e in entries)
        )
        return True

    # Misfortunes.

    def _misfortune(self) -> None:
        what = self._random.choice(
            (self._kill, self._kill, self._stand_still, self._cut, self._lose, self._hang, self._ledger, self._jump)
            + ((self._full,) if self.mounted else ())
        )
        self.tally.faults[what.__name__.strip("_")] += 1
        what()

    def _kill(self) -> None:
        self._random.choice(self.processes).send(signal.SIGKILL)
        self.tally.kills += 1

    def _stand_still(self) -> None:
        process = self._random.choice(self.replicas)
        process.send(signal.SIGSTOP)
        self._later(LEASE + self._random.uniform(0.5, 3), lambda: process.send(signal.SIGCONT))

    def _cut(self) -> None:
        self._random.choice(list(self.proxies.values())).cut()

    def _lose(self) -> None:
        self._random.choice(list(self.proxies.values())).lose(self._random.randint(1, 3))

    def _hang(self) -> None:
        self._random.choice(list(self.proxies.values())).hang(self._random.uniform(1, 6))

    def _ledger(self) -> None:
        how = self._random.randrange(4)
        if how == 0:
            self.ledger_proxy.cut()
        elif how == 1:
            self.ledger_proxy.lose(self._random.randint(1, 3))
        elif how == 2:
            self.ledger_proxy.hang(self._random.uniform(1, 5))
        else:
            self._ledgers.stop()
            time.sleep(self._random.uniform(0, 2))
            self._ledgers.start()

    def _jump(self) -> None:
        process = self._random.choice(self.processes)
        process.jump(self._random.choice((-HOUR, HOUR, HOUR)) if not process.offset else 0)
        if process is self.alone and process.offset < self._furthest:
            # An hour's wait, were it left so.
            self._later(self._random.uniform(2, 6), lambda: process.jump(self._furthest))
        elif process is self.alone:
            self._furthest = process.offset

    _furthest = 0

    def _full(self) -> None:
        ballast = self.disk / "ballast"

        def fill() -> None:
            with suppress(OSError), ballast.open("ab", buffering=0) as file:
                while True:
                    file.write(bytes(65536))

        fill()
        self._later(self._random.uniform(1, 3), lambda: ballast.unlink(missing_ok=True))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, act)
        timer.daemon = True
        timer.start()

    # The end.

    def _heal(self) -> None:
        time.sleep(LEASE + 4)  # what was to be undone later has been
        for proxy in (*self.proxies.values(), self.ledger_proxy):
            proxy.heal()
        for process in self.processes:
            process.send(signal.SIGCONT)
        self.alone.jump(self._furthest)
        for process in self.processes:
            self._ready(process)

    def _rotations(self, process: Process) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with self._client(process) as client:
            cursor: str | None = ""
            while cursor is not None:
                answer = client.get(f"{PLACE}/rotations", params={"limit": "200", "cursor": cursor}).raise_for_status()
                found, cursor = found + answer.json()["items"], answer.json()["next"]
        return found

    def _settle(self) -> None:
        """Whatever is open now must end."""
        for process in (self.replicas[0], self.alone):
            wanted = {r["id"] for r in self._rotations(process) if r["ended_at"] is None}
            deadline = time.monotonic() + SETTLES
            still: list[dict[str, Any]] = []
            while time.monotonic() < deadline:
                still = [r for r in self._rotations(process) if r["id"] in wanted and r["ended_at"] is None]
                if not still:
                    break
                time.sleep(0.5)
            for rotation in still:
                with self._client(process) as client:
                    story = client.get(f"/rotations/{rotation['id']}").json()["steps"]
                last = story[-1]["sentence"]
                self.tally.wrong.append(f"{rotation['connection']} is {rotation['stage']} and does not end: {last}")

    def _conclude(self) -> None:
        for process in (self.replicas[0], self.alone):
            self.tally.stages.update(r["stage"] for r in self._rotations(process) if r["ended_at"])
            with self._client(process) as client:
                if client.get("/events/verify").json()["whole"] is not True:
                    self.tally.wrong.append("the chain of events is broken")
        for shop in self.shops:
            database, target = self._engines[shop.target.engine], shop.target
            with self._client(shop.processes[0]) as client:
                if not self._fetch(shop, client):
                    self.tally.wrong.append(f"{shop.name}: no answer at the end")
            pairs = [pair for pair, _ in shop.holders.answers[-1]]
            ways = [Access(target, Account(user, Secret(password))) for user, password in pairs]
            if not any(isinstance(database.probe(way, target.primary), Accepted) for way in ways):
                shop.lockouts += 1


@contextmanager
def soak(targets: dict[str, TargetServer], ledgers: PostgresServer, seed: int) -> Iterator[Soak]:
    """Ready to run; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="keywright-soak-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        made = Soak(folder, targets, ledgers, seed)
        stack.callback(made.close)
        made.begin()
        yield made
