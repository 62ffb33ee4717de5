"""A shop under rotation: two databases, a Keywright, and applications that are run by `keywright run` and `agent`.

run-restart     keywright run --on-change restart: DATABASE_URL                                        PostgreSQL
run-signal      keywright run --on-change signal --pass-as file: SIGHUP                                MariaDB
run-fd          keywright run --on-change restart --pass-as fd                                         MariaDB
agent-exec      keywright agent with [exec]: restarted                                                 PostgreSQL
agent-each      the other agent, one process for two files: read for every request                     PostgreSQL
agent-command   the same agent: SIGHUP by its command                                                  MariaDB
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.core.connection import Access
from tests.agent.absence import absence, most
from tests.agent.application import fingerprint
from tests.agent.load import Load
from tests.rigs.keywright import Keywrightd, running_keywrightd, wait_until
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

APPLICATION = str(Path(__file__).with_name("application.py"))
PROGRAM = str(Path(sys.executable).with_name("keywright"))
FIRST = "first-password-of-the-shop"
CONNECTIONS = {"shop/postgresql": "alternating", "shop/mariadb": "overlapping"}
SUBJECTS = 6
"""What all of them ask for together, counted for each process."""
PATIENCE = 180.0


@dataclass
class Shop:
    """See the module."""

    keywright: Keywrightd
    folder: Path
    environ: dict[str, str]
    drain: int
    loads: dict[str, Load] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    came: int = 0
    """Connections to the server while it was away."""
    allowed: int = 0

    def load(self, name: str) -> Load:
        """A client for an application, whose socket is there before it."""
        made = self.loads[name] = Load(name)
        return made

    def start(self, name: str, command: list[str], load: Load | None = None) -> None:
        """A process that is ended with the shop; its output is in the file NAME.log."""
        handed = [load.listening.fileno()] if load else []
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=self.environ,
                cwd=self.folder,
                pass_fds=handed,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def run(self, name: str, connection: str, options: list[str], way: list[str]) -> None:
        """`keywright run` with the application."""
        load = self.load(name)
        application = [sys.executable, APPLICATION, str(load.listening.fileno()), *way]
        self.start(name, [PROGRAM, "run", "--connection", connection, *options, "--", *application], load)

    def generations(self) -> dict[str, int]:
        """How often each credential was published."""
        with self.keywright.client() as client:
            return {name: self.credential(client, name)["generation"] for name in CONNECTIONS}

    @staticmethod
    def credential(client: Any, name: str) -> dict[str, Any]:
        """The newest."""
        answer = client.get(f"/environments/production/credentials/{name}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def outage(self, seconds: float) -> None:
        """Stop the server for so long."""
        assert self.keywright.terminate() == 0
        with absence(urlsplit(self.keywright.url).port or 0) as noted:
            time.sleep(seconds)
        self.came += len(noted.came)
        self.allowed += SUBJECTS * most(seconds, self.drain)
        self.keywright.start(PATIENCE)

    def behind(self) -> list[str]:
        """Applications that are not on the newest password."""
        with self.keywright.client() as client:
            newest = {n: fingerprint(self.credential(client, n)["password"]) for n in CONNECTIONS}
        return [name for name, load in self.loads.items() if load.last not in newest.values()]

    def failures(self) -> dict[str, list[str]]:
        """Requests that failed, and processes that ended."""
        found = {name: load.failures for name, load in self.loads.items() if load.failures}
        ended = {name: [f"ended with {p.poll()}"] for name, p in self.processes.items() if p.poll() is not None}
        return found | ended

    def logs(self) -> str:
        """Everything that was said."""
        return "\n".join(f"--- {file.name}\n{file.read_text()}" for file in sorted(self.folder.glob("*.log")))


def agents(shop: Shop) -> None:
    """Both agents, and their applications."""
    exec_, each, command = (shop.load(name) for name in ("agent-exec", "agent-each", "agent-command"))
    program = [sys.executable, APPLICATION, str(exec_.listening.fileno()), "env"]
    (shop.folder / "exec.toml").write_text(
        f"""
status = "exec.status"
[exec]
command = {json.dumps(program)}
[exec.environment]
DATABASE_URL = "{{{{ credential('shop/postgresql').url }}}}"
"""
    )
    (shop.folder / "files.toml").write_text(
        """
status = "files.status"
[[template]]
template = "{{ credential('shop/postgresql').url }}"
destination = "postgresql.url"
[[template]]
template = "{{ credential('shop/mariadb').url }}"
destination = "mariadb.url"
command = ["sh", "-c", "! test -e command.pid || kill -HUP $(cat command.pid)"]
[cache]
file = "cache"
key_file = "key"
"""
    )
    key = shop.folder / "key"
    key.touch(mode=0o600)
    key.write_bytes(subprocess.run("head -c 32 /dev/urandom | base64", shell=True, check=True, stdout=-1).stdout)
    shop.start("exec", [PROGRAM, "agent", "--config", "exec.toml"], exec_)
    once = [PROGRAM, "agent", "--config", "files.toml", "--once"]
    subprocess.run(once, env=shop.environ, cwd=shop.folder, check=True, timeout=60)
    shop.start("each", [sys.executable, APPLICATION, str(each.listening.fileno()), "each", "postgresql.url"], each)
    way = ["file", "mariadb.url"]
    shop.start("command", [sys.executable, APPLICATION, str(command.listening.fileno()), *way], command)
    shop.start("files", [PROGRAM, "agent", "--config", "files.toml"])
    command.ask()  # then it is ready for signals
    (shop.folder / "command.pid").write_text(str(shop.processes["command"].pid))
    shop.processes["command"].send_signal(signal.SIGHUP)


def register(it: Keywrightd, name: str, admin: Access, login: Access, drain: int) -> None:
    """Administration connection and application connection, rotated all the time."""
    rotation = {
        "strategy": CONNECTIONS[name],
        "every": f"{drain + 1}s",
        "drain_minimum": f"{drain}s",
        "drain_limit": f"{drain + 1}s",
    }
    with it.client() as client:
        for place, body in (
            (f"admin/{name}", definition(admin)),
            (name, definition(login, administered_by=f"admin/{name}", rotation=rotation)),
        ):
            answer = client.put(f"/environments/production/connections/{place}", json=body)
            assert answer.status_code == 201, answer.text


@contextmanager
def shop(postgresql: PostgresServer, mariadb: MariaDBServer, drain: int) -> Iterator[Shop]:
    """Open, with everything running and under load. `drain` is the drain minimum in seconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="keywright-shop-")))
        it = stack.enter_context(running_keywrightd(KEYWRIGHT_TICK="0.1"))
        with it.client() as client:
            client.post("/environments", json={"name": "production"}).raise_for_status()
            grant = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
            token = client.post("/tokens", json={"name": "shop", "grants": [grant]}).json()["token"]
        postgresql.login("shop_pg", FIRST)
        mariadb.login("shop_maria", FIRST)
        for name, server, login in (
            ("shop/postgresql", postgresql, "shop_pg"),
            ("shop/mariadb", mariadb, "shop_maria"),
        ):
            admin = server.administration("keywright_shop", *([login] if server is postgresql else []))
            register(it, name, admin, server.access(login, FIRST), drain)
        made = Shop(
            it,
            folder,
            {
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "HOME": str(folder),
                "KEYWRIGHT_ADDR": it.url,
                "KEYWRIGHT_TOKEN": token,
                "KEYWRIGHT_ENVIRONMENT": "production",
            },
            drain,
        )
        stack.callback(_close, made)
        made.run("run-restart", "shop/postgresql", ["--on-change", "restart"], ["env"])
        signalled = ["--on-change", "signal", "--pass-as", "file"]
        made.run("run-signal", "shop/mariadb", signalled, ["file", "$KEYWRIGHT_FILES/DATABASE_URL"])
        made.run("run-fd", "shop/mariadb", ["--on-change", "restart", "--pass-as", "fd"], ["descriptor"])
        agents(made)
        for load in made.loads.values():
            load.start()
        yield made


def turn(it: Shop, rotations: int, outage: float, say: Callable[[str], None]) -> None:
    """Wait until every credential was turned so often, with an outage in the middle; then until all have caught up."""
    first = it.generations()
    begun, away = time.monotonic(), outage <= 0
    done = 0
    while done < rotations:
        now = it.generations()
        done = min(now[name] - first[name] for name in CONNECTIONS)
        if not away and done >= rotations / 2:
            away = True
            say(f"{now} after {time.monotonic() - begun:.1f} s: the server is away for {outage:g} seconds")
            it.outage(outage)
            begun = time.monotonic()
        if it.failures() or time.monotonic() - begun > PATIENCE * max(1, rotations / 10):
            break
        time.sleep(0.5)
    wait_until(lambda: not it.behind() or bool(it.failures()), lambda: f"behind: {it.behind()}\n{it.logs()}", PATIENCE)


def _close(it: Shop) -> None:
    for load in it.loads.values():
        load.end()
    for process in it.processes.values():
        process.terminate()
    for process in it.processes.values():
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
