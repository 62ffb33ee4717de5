"""A Keywright whose clock stands still until it is moved, on databases in memory: rotations in milliseconds.

A `Stand` has one connection `shop/db` in `production` with an administration connection, applications that
remember every credential they were ever given, and a way to die: `die_at(n)` raises `Died` at the n-th
point, a point being before each operation on the database, and before and after each commit of the ledger.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from service.core.access import Caller
from service.core.connection import Engine
from service.core.reference import Store
from service.core.rotation import Stage, Strategy
from service.core.secret import Secret
from service.keeper.credentials import Credential, Entry
from service.keeper.granting import WantedGrant
from service.keeper.registration import registration
from service.keeper.rotations import Story
from service.keeper.tokens import SYSTEM
from service.settings import read
from service.wiring import Service, build
from tests.rigs.fake_database import FakeDatabase

LEASE = timedelta(seconds=30)
BEGINNING = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FAST = Path("/dev/shm") if Path("/dev/shm").is_dir() else None
ENGINES = {
    Strategy.ALTERNATING: Engine.POSTGRESQL,
    Strategy.SINGLE: Engine.POSTGRESQL,
    Strategy.OVERLAPPING: Engine.MARIADB,
}
DRAIN = timedelta(seconds=10)


class Died(BaseException):
    """The process is gone: nothing in it may catch this."""


@dataclass
class Held:
    """A whole answer that some application holds."""

    answer: Credential
    at: datetime


@dataclass
class Stand:
    """See the module."""

    strategy: Strategy
    folder: Path
    fake: FakeDatabase
    stores: Mapping[str, Store] | None = None
    now: datetime = BEGINNING
    points: int = 0
    fatal: int = 0
    turned: str = "shop/db"
    """The connection whose rotations are asked for, and whose credential is fetched."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Those of the process, beside its folder."""
    held: list[Held] = field(default_factory=list)
    service: Service = field(init=False)

    def open(self, *environments: str) -> None:
        """Start a process on the ledger, pinned to environments if any are named."""
        settings = read({}, data=self.folder, environments=environments, **self.settings)
        self.service = build(
            settings, now=lambda: self.now, with_databases={self.fake.engine: self.fake}, with_stores=self.stores
        )
        self.fake.before = lambda _: self._point()
        change = self.service.ledger.change

        @contextmanager
        def counted() -> Iterator[Any]:
            with change() as tx:
                yield tx
                self._point()
            self._point()

        self.service.ledger.change = counted  # type: ignore[method-assign]

    def reopen(self) -> None:
        """The process died; another one starts once the lease is over."""
        self.fatal = 0
        self.service.ledger.close()
        self.now += LEASE + timedelta(seconds=1)
        self.open()

    def _point(self) -> None:
        self.points += 1
        if self.fatal and self.points == self.fatal:
            raise Died

    def die_at(self, point: int) -> None:
        """Die at that point, counted from now."""
        self.points, self.fatal = 0, point

    def register(self, *, itself: bool = False, **policy: Any) -> None:
        """The environment, the administration connection and `shop/db`.

        `itself`: the administration connection administers itself too, and is the one that is turned.
        """
        keeper, target = self.service.keeper, self._target()
        self.fake.administration()
        self.fake.create("shop", "first-password")
        keeper.environments.add(SYSTEM, "production", {"vault": ["*"]}, ())
        target |= {"login": {"username": "admin"}}
        if itself:
            target |= {"administered_by": "admin", "rotation": self._rotation(policy)}
            self.turned = "admin"
        admin = registration(target, Secret("admin-password"))
        keeper.connections.put(SYSTEM, "production", "admin", admin, if_match=None)
        self.put(**policy)

    def put(self, password: str | None = "first-password", *, login: bool = True, **policy: Any) -> None:
        """Put `shop/db` with this policy; with its login and password, its login alone, or neither."""
        data = self._target() | {"administered_by": "admin", "rotation": self._rotation(policy)}
        data |= {"login": {"username": "shop"}} if login else {}
        secret = None if password is None else Secret(password)
        self.service.keeper.connections.put(SYSTEM, "production", "shop/db", registration(data, secret), if_match=None)

    def _rotation(self, policy: dict[str, Any]) -> dict[str, Any]:
        return {"strategy": self.strategy.value, "drain_minimum": "10s", "drain_limit": "60s"} | policy

    def _target(self) -> dict[str, Any]:
        return {
            "engine": self.fake.engine.value,
            "endpoints": [
                {"host": e.host, "port": e.port, "part": e.part.value, "required": e.required}
                for e in self.fake.endpoints
            ],
            "database": "shop",
            "tls": {"mode": "disable"},
        }

    def ask(self) -> Story:
        """Ask for a rotation, a moment after whatever was before."""
        self.now += timedelta(milliseconds=1)
        return self.service.keeper.rotations.ask(SYSTEM, "production", self.turned, "")[0]

    def work(self) -> None:
        """Claim what is due and move it on, as one tick of the clock would."""
        for held in self.service.keeper.rotations.claim("worker", LEASE, 10):
            self.service.rotator.advance(held)

    def fetch(self) -> Credential:
        """What an application gets; it never forgets it."""
        answer = self.service.keeper.credentials.one(SYSTEM, "production", self.turned)
        self.held.append(Held(answer, self.now))
        return answer

    def machine(self, name: str, level: str = "use", path: str = "shop/db") -> Caller:
        """A caller with a token of its own and one grant, at an address of its own."""
        grant = WantedGrant(level, "connection", "production", path)
        text = self.service.keeper.tokens.add(SYSTEM, name, (grant,), None, ())[2]
        return self.service.keeper.tokens.authenticate(text.reveal(), f"address-of-{name}", "")

    def latest(self) -> Story:
        """The youngest rotation, with its story."""
        keeper = self.service.keeper
        found = keeper.rotations.listed(SYSTEM, "production", self.turned, None, "", 1)[0]
        return keeper.rotations.get(SYSTEM, found.rotation.id)

    def run(self, *, seconds: float = 200, step: float = 1.0) -> Story:
        """Work and let time pass, applications fetching and logging in, until the rotation has ended or is stuck."""
        until = self.now + timedelta(seconds=seconds)
        while self.now < until:
            self.work()
            self.fetch()
            self.check()
            story = self.latest()
            if story.rotation.ended_at or story.rotation.stage is Stage.STUCK:
                return story
            self.now += timedelta(seconds=step)
        return self.latest()

    def broken(self) -> list[str]:
        """Who was promised to get in now, and would not."""
        wrong = []
        for held in self.held:
            promised = [e for e in held.answer.entries if self.now < e.good_until]
            if self.strategy is Strategy.SINGLE:
                # The set as a whole is what is promised: whoever tries its entries in turn gets in.
                if promised and not any(map(self._works, held.answer.entries)):
                    wrong.append(f"nobody of the set of {held.at} gets in at {self.now}")
            else:
                failing = [e.account.username for e in promised if not self._works(e)]
                wrong += [f"{username} of {held.at} does not get in at {self.now}" for username in failing]
        return wrong

    def _works(self, entry: Entry) -> bool:
        return self.fake.valid(entry.account.username, entry.account.password.reveal())

    def check(self) -> None:
        """Everybody who was promised can log in, and the first entry of an answer just given works."""
        assert self.broken() == []

    def close(self) -> None:
        """Let go."""
        self.service.close()


@contextmanager
def stand(
    strategy: Strategy,
    *,
    stores: Mapping[str, Store] | None = None,
    registered: bool = True,
    itself: bool = False,
    settings: Mapping[str, Any] | None = None,
    **policy: Any,
) -> Iterator[Stand]:
    """A stand of its own. With `escrow` among the settings, the name of a file in its folder."""
    folder = Path(tempfile.mkdtemp(dir=FAST))
    made = Stand(strategy, folder, FakeDatabase(ENGINES[strategy]), stores)
    made.settings = dict(settings or {})
    if "escrow" in made.settings:
        made.settings["escrow"] = folder / made.settings["escrow"]
    try:
        made.open()
        if registered:
            made.register(itself=itself, **policy)
        yield made
    finally:
        made.close()
        shutil.rmtree(folder)
