"""The site: servers to torture, ledgers to lend, and what a case is."""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg.sql import SQL, Identifier

from providers.keys.file import create
from service.core.connection import Access, Endpoint, Probe
from service.core.rotation import Strategy
from service.keeper.registration import Registration, registration
from service.keeper.tokens import SYSTEM
from service.settings import Settings, read
from service.ways_out import Databases
from service.wiring import Service, build
from tests.rigs.mariadb import GRANTS, MariaDBServer, running_mariadb
from tests.rigs.postgresql import PostgresServer, new_binaries, old_binaries, running_postgresql
from tests.torture import statements

LEASE = 2
DRAIN = "1s"
FIRST = "first-password-of-the-shop"
FAST = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
LEDGERS = ("sqlite", "postgresql")
CHEAP = "scram_iterations = 1"
"""Half of what a login costs its client is spent on guessing being dear; version 15 does not know it."""
SHARDS = 12
"""Databases that the cases with a ledger in PostgreSQL share, each case in an environment of its own."""
TargetServer = PostgresServer | MariaDBServer

COMBINATIONS = (
    ("pg15", Strategy.ALTERNATING),
    ("pg15", Strategy.SINGLE),
    ("pg18", Strategy.ALTERNATING),
    ("pg18", Strategy.SINGLE),
    ("mariadb", Strategy.OVERLAPPING),
    ("mariadb", Strategy.SINGLE),
)
FLOWS = {
    "turn": "a rotation",
    "undo": "an operator abandons it once it was applied",
    "revert": "an operator reverts it while it drains",
    "restage": "the target refuses the first candidate",
    "lost": "the reply to the first change is lost",
    "powerless": "the administration login may change nothing",
    "itself": "the administration login turns itself",
}


@dataclass(frozen=True)
class Case:
    """One rotation, and the point at which its process is killed (0: none) or stopped."""

    number: int
    server: str
    strategy: Strategy
    ledger: str
    flow: str = "turn"
    point: int = 0
    pause: bool = False

    @property
    def environment(self) -> str:
        """Its own, since several cases share a ledger."""
        return f"case-{self.number}"

    @property
    def login(self) -> str:
        """Its own, since all cases share the servers."""
        tail = "_a" if self.strategy is Strategy.ALTERNATING else ""
        return f"shop_{self.number}{tail}"

    @property
    def row(self) -> tuple[str, str, str, bool]:
        """What it is counted under."""
        return self.server, self.strategy.value, self.flow, self.pause


@dataclass
class Site:
    """Where it happens. Made before anything forks, and holds no open connection."""

    folder: Path
    targets: dict[str, TargetServer]
    ledgers: PostgresServer | None
    shards: int = SHARDS
    administrations: dict[str, Access] = field(default_factory=dict)

    def home(self, case: Case) -> Path:
        """The case's folder."""
        return self.folder / str(case.number)

    def furnish(self, cases: list[Case]) -> None:
        """All that they start from: folders, logins in the targets, and ledgers that know their connections.

        They are of one ledger in PostgreSQL, or all in SQLite: then each gets a copy of one in which all are.
        """
        if cases[0].ledger == "sqlite":
            folder = self.folder / f"of-{cases[0].number}"
            folder.mkdir(mode=0o700)
            shutil.copy(self.folder / "ledger.sqlite", folder)
            settings = read({}, data=folder, key=f"file:{self.folder / 'master.key'}")
        else:
            settings = self.ledger_settings(cases[0].number % self.shards)
        engines = Databases()
        for database in engines.values():
            database.probe = self._seen_once(database.probe)  # type: ignore[method-assign]
        service = build(settings, with_databases=engines)
        with ExitStack() as stack:
            for server in {case.server for case in cases}:
                stack.enter_context(self.targets[server].kept())
            for case in cases:
                self.home(case).mkdir(mode=0o700)
                self._admit(case)
                self._register(service, case)
        service.close()
        if settings.embedded_file:
            for case in cases:
                shutil.copy(settings.embedded_file, self.home(case) / "ledger.sqlite")
            shutil.rmtree(settings.embedded_file.parent)

    def _seen_once(self, probe: Callable[[Access, Endpoint], Probe]) -> Callable[[Access, Endpoint], Probe]:
        """Registering looks whether a right password is accepted and a wrong one is not. All logins are made alike."""
        right = {FIRST, *(access.account.password.reveal() for access in self.administrations.values())}
        seen: dict[tuple[Endpoint, bool], Probe] = {}

        def probed(access: Access, endpoint: Endpoint) -> Probe:
            key = endpoint, access.account.password.reveal() in right
            if key not in seen:
                seen[key] = probe(access, endpoint)
            return seen[key]

        return probed

    def _admit(self, case: Case) -> None:
        """Its login in the target, with all that it needs there."""
        server, names = self.targets[case.server], [case.login]
        if case.strategy is not Strategy.ALTERNATING:
            server.login(case.login, FIRST)
        elif isinstance(server, PostgresServer):
            # A pair proper, as it is after the first turn of a login that was imported.
            names = [case.login.removesuffix("_a"), case.login]
            role, login = map(Identifier, names)
            server.execute(SQL("CREATE ROLE {} NOLOGIN").format(role))
            server.login(case.login, FIRST, f"IN ROLE {names[0]}")
            server.execute(SQL("ALTER ROLE {} SET role = {}").format(login, role))
        if case.flow == "itself":
            _empower(server, case.login)
        elif isinstance(server, PostgresServer):
            server.administers(self.administrations[case.server].account.username, *names)

    def settings(self, case: Case) -> Settings:
        """Those of a process for the case."""
        given: dict[str, Any] = {
            "data": self.home(case),
            "environments": (case.environment,),
            "lease": LEASE,
            "workers": 64,
        }
        given["key"] = f"file:{self.folder / 'master.key'}"
        if case.ledger == "postgresql":
            given["ledger"] = self.ledger_url(case.number % self.shards)
        return read({}, **given)

    def ledger_url(self, shard: int) -> str:
        """A ledger in PostgreSQL."""
        server = self.ledgers
        assert server is not None
        return f"postgresql://postgres:{server.password}@{server.host}:{server.port}/ledger_{shard}"

    def ledger_settings(self, shard: int) -> Settings:
        """Those of a process that serves every environment of such a ledger."""
        return read({}, data=self.folder, key=f"file:{self.folder / 'master.key'}", ledger=self.ledger_url(shard))

    def _register(self, service: Service, case: Case) -> None:
        """The environment, the administration connection, and `shop/db`."""
        keeper, where = service.keeper, case.environment
        keeper.environments.add(SYSTEM, where, {}, ())
        if case.flow != "itself":
            administration = self.administrations[case.server]
            if case.flow == "powerless":
                name = f"powerless_{case.number}"
                self.targets[case.server].login(name, FIRST)
                administration = self.targets[case.server].access(name, FIRST)
            keeper.connections.put(SYSTEM, where, "admin", put(administration), if_match=None)
        access = self.targets[case.server].access(case.login, FIRST)
        rotation: dict[str, Any] = {"strategy": case.strategy.value, "drain_minimum": DRAIN, "drain_limit": "2s"}
        if case.strategy is Strategy.ALTERNATING:
            role = case.login.removesuffix("_a")
            rotation |= {"role": role, "logins": [f"{role}_a", f"{role}_b"]}
        administered_by = "shop/db" if case.flow == "itself" else "admin"
        wanted = put(access, administered_by=administered_by, rotation=rotation)
        keeper.connections.put(SYSTEM, where, "shop/db", wanted, if_match=None)


def _empower(server: TargetServer, login: str) -> None:
    """Make it an administration login."""
    if isinstance(server, PostgresServer):
        server.execute(SQL("ALTER ROLE {} CREATEROLE").format(Identifier(login)))
    else:
        for grant in GRANTS:
            server.execute(grant, login)


def put(access: Access, **more: Any) -> Registration:
    """What REST would be sent for this way in."""
    target = access.target
    data = {
        "engine": target.engine.value,
        "endpoints": [{"host": e.host, "port": e.port} for e in target.endpoints],
        "database": target.database,
        "tls": {"mode": target.tls.mode.value} | ({"ca": target.tls.ca} if target.tls.ca else {}),
        "login": {"username": access.account.username},
    }
    return registration(data | more, access.account.password)


@contextmanager
def site(
    targets: dict[str, TargetServer], ledgers: PostgresServer | None, tag: str = "torture", shards: int = SHARDS
) -> Iterator[Site]:
    """On servers that run."""
    folder = Path(tempfile.mkdtemp(prefix="keywright-torture-", dir=FAST))
    made = Site(folder, targets, ledgers, shards)
    try:
        statements.share()
        create(folder / "master.key", secrets.token_bytes)
        key = {"data": folder, "key": f"file:{folder / 'master.key'}"}
        build(read({}, **key)).close()
        if ledgers:
            ledgers.execute("CREATE DATABASE ledger_template")
            template = made.ledger_url(0).replace("ledger_0", "ledger_template")
            build(read({}, ledger=template, **key)).close()
            for shard in range(shards):
                ledgers.execute(f"CREATE DATABASE ledger_{shard} TEMPLATE ledger_template")
        for name, server in targets.items():
            made.administrations[name] = server.administration(f"keywright_{tag}")
        yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if ledgers:
            for name in ("ledger_template", *(f"ledger_{shard}" for shard in range(shards))):
                ledgers.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def servers() -> Iterator[tuple[dict[str, TargetServer], PostgresServer]]:
    """All of them, started for this alone: targets by name, and the ledgers' own."""
    with ExitStack() as stack:
        ledgers = stack.enter_context(running_postgresql(new_binaries(), tls=False))
        for setting in (CHEAP, "log_statement = 'none'", "log_min_duration_statement = -1", "max_connections = 300"):
            ledgers.execute(f"ALTER SYSTEM SET {setting}")
        ledgers.restart()
        targets: dict[str, TargetServer] = {
            "pg15": stack.enter_context(running_postgresql(old_binaries(), tls=True)),
            "pg18": stack.enter_context(running_postgresql(new_binaries(), tls=False)),
            "mariadb": stack.enter_context(running_mariadb()),
        }
        new = targets["pg18"]
        assert isinstance(new, PostgresServer)
        new.execute(f"ALTER SYSTEM SET {CHEAP}")
        new.restart()
        yield targets, ledgers
