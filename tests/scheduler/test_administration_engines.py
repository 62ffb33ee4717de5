"""The administration login turns itself on real servers, while what it administers is turned as well.

PostgreSQL 15 and 18 with logins that are no superusers, MariaDB with one that is not root.
"""

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from providers.escrow import EscrowFile
from providers.keys.file import FileKey
from service.core.connection import Accepted, Access, Account, Endpoint, Rejected, Tls, TlsMode
from service.core.rotation import ENDED, Rotation, Stage
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.settings import read
from service.ways_out import Databases
from service.wiring import Service, build
from tests.rigs.cutting import cutting
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition

PATIENCE = 60.0
OFTEN = {"every": "2s", "drain_minimum": "1s", "drain_limit": "2s"}
LEASE = timedelta(seconds=30)


@dataclass
class Turned:
    """An administration connection that was turned by its schedule.

    `first` is how it got in before, `live` what the ledger has at the end, `kept` what the escrow has then.
    """

    first: Access
    live: Account
    kept: list[Account]
    ended: list[dict[str, Any]]
    ordinary: list[dict[str, Any]]


def put(it: Keywright, name: str, body: dict[str, Any]) -> None:
    """Register a connection."""
    answer = it.client().put(f"/environments/production/connections/{name}", json=body)
    assert answer.status_code == 201, answer.text


def rotations_of(it: Keywright, name: str) -> list[dict[str, Any]]:
    """Those that have ended, whatever became of them, and those that are stuck."""
    query = {"connection": name, "limit": 500}
    found = it.client().get("/environments/production/rotations", params=query).json()["items"]
    return [r for r in found if r["stage"] in {*ENDED, Stage.STUCK}]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the escrow file is."""
    return tmp_path_factory.mktemp("escrow")


@pytest.fixture(scope="module")
def turned(
    old_postgresql: PostgresServer, new_postgresql: PostgresServer, mariadb: MariaDBServer, folder: Path
) -> Iterator[dict[str, Turned]]:
    """Each administration connection turned twice at least, and a connection that it administers once."""
    ways: dict[str, tuple[str, Access, str, Access]] = {}
    for tag, server, strategy in (
        ("pg15-single", old_postgresql, "single"),
        ("pg15-alternating", old_postgresql, "alternating"),
        ("pg18-single", new_postgresql, "single"),
    ):
        user, admin = f"app_{tag}", f"own_{tag}"
        server.login(user, "app-password")
        ways[tag] = (strategy, server.administration(admin, user), "alternating", server.access(user, "app-password"))
    for strategy in ("overlapping", "single"):
        user = f"app_{strategy}"
        mariadb.login(user, "app-password")
        own = mariadb.administration(f"own_{strategy}")
        ways[f"mariadb-{strategy}"] = (strategy, own, "overlapping", mariadb.access(user, "app-password"))
    with running_keywright(clock=True, tick=0.1, workers=4, escrow=folder / "escrow") as it:
        it.client().post("/environments", json={"name": "production"}).raise_for_status()
        for tag, (strategy, own, ordinary, login) in ways.items():
            itself = {"administered_by": f"admin/{tag}", "rotation": {"strategy": strategy, **OFTEN}}
            put(it, f"admin/{tag}", definition(own, **itself))
            other = {"administered_by": f"admin/{tag}", "rotation": {"strategy": ordinary, **OFTEN}}
            put(it, f"shop/{tag}", definition(login, **other))
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and any(
            len(rotations_of(it, f"{kind}/{tag}")) < most for kind, most in (("admin", 2), ("shop", 1)) for tag in ways
        ):
            time.sleep(0.5)
        it.service.clock.stop()
        wrapper = FileKey(it.data / "master.key", secrets.token_bytes)
        entries = EscrowFile(folder / "escrow", wrapper, secrets.token_bytes).entries()
        kept = {entry.connection: [held.account for held in entry.accounts] for entry in entries}
        result = {}
        for tag, (_, own, _, _) in ways.items():
            name = f"admin/{tag}"
            answer = it.client().get(f"/environments/production/credentials/{name}").json()
            live = Account(answer["username"], Secret(answer["password"]))
            result[tag] = Turned(own, live, kept[name], rotations_of(it, name), rotations_of(it, f"shop/{tag}"))
        yield result


TAGS = ["pg15-single", "pg15-alternating", "pg18-single", "mariadb-overlapping", "mariadb-single"]


@pytest.mark.parametrize("tag", TAGS)
def test_ledger_escrow_and_database_agree(turned: dict[str, Turned], tag: str) -> None:
    """It was turned again and again, every time to its end, and so was what it administers."""
    it = turned[tag]
    assert len(it.ended) >= 2
    for several in (it.ended, it.ordinary):
        assert {r["stage"] for r in several} == {"retired"}, [r["reason"] for r in several if r["reason"]]
    database, endpoint = Databases()[it.first.target.engine], it.first.target.primary
    assert isinstance(database.probe(replace(it.first, account=it.live), endpoint), Accepted)
    assert it.live in it.kept
    if tag != "pg15-alternating":  # there the first login became the role that both act as
        assert isinstance(database.probe(it.first, endpoint), Rejected)


class Alone:
    """A Keywright without a clock: its time moves when it is told to."""

    def __init__(self, data: Path) -> None:
        self.now = datetime.now(UTC)
        self.service: Service = build(read({}, data=data, escrow=data / "escrow"), now=lambda: self.now)
        self.service.keeper.environments.add(SYSTEM, "production", {}, ())

    def register(self, access: Access, strategy: str) -> None:
        """The administration connection `admin`, which administers itself."""
        data = definition(access, administered_by="admin", rotation={"strategy": strategy, **OFTEN, "every": "1h"})
        password = Secret(data["login"].pop("password"))
        self.service.keeper.connections.put(SYSTEM, "production", "admin", registration(data, password), if_match=None)

    def turn(self) -> tuple[Rotation, list[str]]:
        """One rotation, until it has ended or is stuck; with its sentences."""
        rotations = self.service.keeper.rotations
        asked = rotations.ask(SYSTEM, "production", "admin", "")[0]
        for _ in range(60):
            for held in rotations.claim("worker", LEASE, 10):
                self.service.rotator.advance(held)
            story = rotations.get(SYSTEM, asked.rotation.id)
            if story.rotation.ended_at or story.rotation.stage is Stage.STUCK:
                break
            self.now += timedelta(seconds=5)
        return story.rotation, [line.sentence for line in story.lines]

    def live(self) -> Account:
        """What it would log in with."""
        return self.service.keeper.credentials.one(SYSTEM, "production", "admin").entries[0].account


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    """One of its own."""
    made = Alone(tmp_path)
    yield made
    made.service.close()


def plain(access: Access, port: int) -> Access:
    """The way in through a proxy on that port."""
    target = replace(access.target, endpoints=(Endpoint("127.0.0.1", port),), tls=Tls(TlsMode.DISABLE))
    return replace(access, target=target)


@pytest.mark.parametrize("delivered", [True, False])
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_a_lost_reply_is_settled_by_a_look(
    engine: str, delivered: bool, alone: Alone, new_postgresql: PostgresServer, mariadb: MariaDBServer
) -> None:
    """The database commits, or does not, and nobody is told: whichever password is in force, it is the one known."""
    server = new_postgresql if engine == "postgresql" else mariadb
    name = f"lost_{engine}_{delivered}".lower()
    own = server.administration(name)
    statement = b"COMMIT\0" if engine == "postgresql" else f"'{name}'@'%' IDENTIFIED".encode()
    with cutting(server.port, statement, delivered=delivered, times=1) as port:
        alone.register(plain(own, port), "single")
        rotation, story = alone.turn()
        assert rotation.stage is Stage.RETIRED, story
        assert any("is unknown" in sentence for sentence in story), story
        rotation, story = alone.turn()
        assert rotation.stage is Stage.RETIRED, story
        live = alone.live()
    found = Databases()[own.target.engine].probe(replace(own, account=live), own.target.primary)
    assert isinstance(found, Accepted)


def test_where_no_login_can_make_members_of_itself(alone: Alone, new_postgresql: PostgresServer) -> None:
    """From PostgreSQL 16 on: the rehearsal and the abandoned rotation say what can be done; nothing was changed."""
    own = new_postgresql.administration("own_members")
    alone.register(own, "alternating")
    problems = alone.service.keeper.rehearsals.rehearse(SYSTEM, "production", "admin").problems
    assert any("Use the strategy single" in problem for problem in problems), problems
    rotation, story = alone.turn()
    assert rotation.stage is Stage.ABANDONED, story
    assert "Use the strategy single" in rotation.reason
    assert alone.live() == own.account
    assert isinstance(Databases()[own.target.engine].probe(own, own.target.primary), Accepted)
