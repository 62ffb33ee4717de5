"""Ledgers for tests, on both engines: a fresh one for each test, copied from one that was migrated once.

home        parametrized: `sqlite`, `postgresql` (SCRAM passwords, a login that is no superuser)
pg_home     PostgreSQL only: for what needs several processes
sqlite_home SQLite only
"""

import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from providers.keys.file import create
from service.core.access import Caller
from service.core.connection import Engine
from service.core.database import Database
from service.core.reference import Store
from service.core.secret import Secret
from service.keeper.granting import WantedGrant
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.keeper.variables import Definition, NewValue, ValueKind
from service.ledger import schema
from service.ledger.ledger import Ledger
from service.ledger.tables import metadata
from service.settings import read
from service.wiring import Service, build
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.fake_store import FakeStore
from tests.rigs.keywright import FAST
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql
from tests.rigs.snapshots import compare

OWNER = "keywright_ledger"
PASSWORD = "ledger-" + secrets.token_hex(8)
TEMPLATE = "keywright_template"
ROWS = ("head", "indexed")
"""Tables of one row, which the migration made."""


def wall_clock() -> datetime:
    """Now."""
    return datetime.now(UTC)


@dataclass
class Home:
    """One ledger, and the services that a test opens on it."""

    engine: str
    url: str
    folder: Path
    key: str
    stores: dict[str, Store] = field(default_factory=lambda: {"vault": FakeStore()})
    databases: dict[Engine, Database] = field(default_factory=lambda: {Engine.POSTGRESQL: FakeDatabase()})
    now: Callable[[], datetime] = wall_clock
    opened: list[Any] = field(default_factory=list)
    by_hand: bool = False
    """The test writes rows itself, past everything that notes what was changed."""

    @property
    def store(self) -> FakeStore:
        """The fake behind `vault:`."""
        store = self.stores["vault"]
        assert isinstance(store, FakeStore)
        return store

    @property
    def database(self) -> FakeDatabase:
        """The fake PostgreSQL target."""
        fake = self.databases[Engine.POSTGRESQL]
        assert isinstance(fake, FakeDatabase)
        return fake

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return Path(self.url.removeprefix("sqlite:///"))

    def settings_map(self, **more: str) -> dict[str, str]:
        """The variables of a process on this ledger."""
        common = {"KEYWRIGHT_DATA": str(self.folder), "KEYWRIGHT_KEY": self.key}
        return common | ({} if self.engine == "sqlite" else {"KEYWRIGHT_LEDGER": self.url}) | more

    def service(self, **more: str) -> Service:
        """One more process on this ledger."""
        built = build(
            read(self.settings_map(**more)), now=self.now, with_databases=self.databases, with_stores=self.stores
        )
        self.opened.append(built)
        built.keeper.recorder.look()  # from here on it follows what is changed: see `compare`
        return built

    def ledger(self) -> Ledger:
        """The bare ledger, with a chain key."""
        opened = Ledger(self.url, now=self.now, randomness=secrets.token_bytes, pool_size=4)
        opened.use_chain_key(bytes(32))
        self.opened.append(opened)
        return opened

    def close(self) -> None:
        """Close everything that was opened."""
        services = [opened for opened in self.opened if isinstance(opened, Service)]
        try:
            for service in () if self.by_hand else services:
                compare(service)
        finally:
            while self.opened:
                self.opened.pop().close()


@dataclass(frozen=True)
class Templates:
    """What is copied for each test."""

    sqlite: Path
    server: PostgresServer
    free: list[str] = field(default_factory=list)
    """Databases that a test has given back, emptied: making one takes a third of a second."""

    def lend(self) -> str:
        """A database with empty tables."""
        if self.free:
            return self.free.pop()
        name = f"ledger_{secrets.token_hex(6)}"
        self.server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}")
        return name

    def take_back(self, name: str) -> None:
        """Empty it, as the migration left it."""
        deletes = [f"DELETE FROM {table.name}" for table in reversed(metadata.sorted_tables) if table.name not in ROWS]
        deletes.insert(0, "UPDATE connections SET administered_by = NULL")
        fresh = "UPDATE head SET epoch = 0, seq = 0, hash = decode(repeat('00', 32), 'hex')"
        index = "UPDATE indexed SET seq = 0, at = 0"
        version = f"UPDATE alembic_version SET version_num = '{schema.REVISION}'"
        self.server.execute("; ".join([*deletes, fresh, index, version]), name)
        self.free.append(name)

    def postgresql_url(self, database: str) -> str:
        """The URL of a database on the server."""
        return f"postgresql://{OWNER}:{PASSWORD}@{self.server.host}:{self.server.port}/{database}"


@pytest.fixture(scope="session")
def ledger_server() -> Iterator[PostgresServer]:
    """A server of the ledgers' own: tests stop it."""
    with running_postgresql(new_binaries(), tls=False) as server:
        server.execute("ALTER SYSTEM SET log_statement = 'none'")
        server.execute("ALTER SYSTEM SET log_min_duration_statement = -1")
        server.execute("SELECT pg_reload_conf()")
        server.login(OWNER, PASSWORD)
        yield server


@pytest.fixture(scope="session")
def templates(ledger_server: PostgresServer) -> Iterator[Templates]:
    """Both engines, migrated once."""
    folder = Path(tempfile.mkdtemp(prefix="keywright-ledgers-", dir=FAST))
    found = Templates(folder / "template.sqlite", ledger_server)
    ledger_server.execute(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER}")
    for url in (f"sqlite:///{found.sqlite}", found.postgresql_url(TEMPLATE)):
        ledger = Ledger(url, now=wall_clock, randomness=secrets.token_bytes)
        schema.ready(ledger)
        ledger.close()
    yield found
    shutil.rmtree(folder)


@contextmanager
def _sqlite(templates: Templates) -> Iterator[Home]:
    with _folder() as folder:
        file = shutil.copy(templates.sqlite, folder / "ledger.sqlite")
        with closing(Home("sqlite", f"sqlite:///{file}", folder, f"file:{folder / 'key'}")) as home:
            yield home


@contextmanager
def _postgresql(templates: Templates) -> Iterator[Home]:
    name = templates.lend()
    with _folder() as folder:
        url = templates.postgresql_url(name)
        with closing(Home("postgresql", url, folder, f"file:{folder / 'key'}")) as home:
            yield home
    templates.take_back(name)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="keywright-home-", dir=FAST))
    create(folder / "key", secrets.token_bytes)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request: pytest.FixtureRequest, templates: Templates) -> Iterator[Home]:
    """A fresh ledger, on each engine."""
    with {"sqlite": _sqlite, "postgresql": _postgresql}[request.param](templates) as lent:
        yield lent


@pytest.fixture
def pg_home(templates: Templates) -> Iterator[Home]:
    """A fresh ledger on PostgreSQL."""
    with _postgresql(templates) as lent:
        yield lent


@pytest.fixture
def sqlite_home(templates: Templates) -> Iterator[Home]:
    """A fresh ledger in a file."""
    with _sqlite(templates) as lent:
        yield lent


# Short ways to what most tests begin with.


def owner(service: Service, address: str = "127.0.0.1") -> Caller:
    """The first owner."""
    text = service.keeper.tokens.first()
    assert text is not None
    return service.keeper.tokens.authenticate(text.reveal(), address, "request")


def environment(service: Service, name: str = "production", stores: Mapping[str, Sequence[str]] | None = None) -> None:
    """An environment; its references may read everything in the fake vault."""
    rules = {store: list(locations) for store, locations in (stores or {"vault": ["*"]}).items()}
    service.keeper.environments.add(SYSTEM, name, rules, ())


def token(service: Service, name: str, *grants: tuple[str, str, str | None, str]) -> Secret:
    """The text of a new token with grants of (level, kind, environment, path)."""
    wanted = tuple(WantedGrant(*grant) for grant in grants)
    return service.keeper.tokens.add(SYSTEM, name, wanted, None, ())[2]


def machine(service: Service, name: str, *grants: tuple[str, str, str | None, str], address: str = "") -> Caller:
    """A new token's caller."""
    return service.keeper.tokens.authenticate(token(service, name, *grants).reveal(), address, "request")


def tag(service: Service, caller: Caller, where: str, wanted: Wanted) -> str:
    """What a poll of values is told of what it knows already."""
    asked = service.keeper.values.asked(lambda _: caller, where, wanted, lambda _: True)
    return str(service.keeper.recorder.fetch(asked).tag)


def credential_tag(service: Service, caller: Caller, where: str, name: str) -> str:
    """What a poll of credentials is told of what it knows already."""
    asked = service.keeper.credentials.asked(lambda _: caller, where, name, lambda _: True)
    return str(service.keeper.recorder.fetch(asked).tag)


def put(
    service: Service,
    name: str,
    content: str | dict[str, object],
    *,
    caller: Caller = SYSTEM,
    kind: ValueKind = ValueKind.LITERAL,
    secret: bool | None = None,
    activate: bool = True,
    where: str = "production",
) -> Definition:
    """A variable's new version."""
    return service.keeper.variables.put(
        caller, where, name, NewValue(kind, content), secret=secret, activate=activate, if_match=None
    )[0]
