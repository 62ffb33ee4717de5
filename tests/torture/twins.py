"""Twins: two ask for a rotation of one connection at the same moment, many times, and one of them joins the other's.

On a ledger in PostgreSQL they are two processes. One in SQLite has a single process, which serves both: two threads.
What is asked for is not carried out but closed in the ledger, for the next two, so the database is a stand-in.
"""

import multiprocessing
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, update

from providers.keys.file import create
from service.core.connection import Engine
from service.core.rotation import Stage
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.ledger.tables import rotations
from service.settings import Settings, read
from service.wiring import Service, build
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.postgresql import PostgresServer

COUNT = 250
"""How often two ask on each kind of ledger."""
PATIENCE = 60.0
PLACE = "production"
Heard = list[tuple[str, bool]]
"""For each time: which rotation, and whether it is new."""


@dataclass
class Twins:
    """What came of it."""

    asks: int = 0
    joined: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        asked = f"two asks at once, {self.asks // 2} times: {self.joined} times the second joined the first"
        return f"{asked}; two rotations at once: {len(self.wrong)} of {self.asks}"

    def heard(self, kind: str, first: Heard, second: Heard, begun: int) -> None:
        """Compare what both were told, and how many the ledger has."""
        if not len(first) == len(second) == begun == COUNT:
            self.wrong.append(f"asked {len(first)} and {len(second)} times on {kind}, the ledger has {begun}")
        for (one, new), (other, newer) in zip(first, second, strict=False):
            self.asks += 2
            if one == other and new != newer:
                self.joined += 1
            else:
                self.wrong.append(f"two rotations at once, on {kind}")


def twins(ledgers: PostgresServer, folder: Path) -> Twins:
    """A thousand asks, on both kinds of ledgers."""
    found = Twins()
    embedded = _settings(folder / "sqlite")
    service = _service(embedded, register=True)
    barrier = threading.Barrier(2)
    answers: list[Heard] = [[], []]
    threads = [threading.Thread(target=_ask, args=(service, barrier, heard, n)) for n, heard in enumerate(answers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    found.heard("sqlite", *answers, _begun(service))
    service.close()

    ledgers.execute("CREATE DATABASE twins")
    try:
        url = f"postgresql://postgres:{ledgers.password}@{ledgers.host}:{ledgers.port}/twins"
        shared = _settings(folder / "postgresql", url)
        _service(shared, register=True).close()
        forked = multiprocessing.get_context("fork")
        both, told = forked.Barrier(2), forked.SimpleQueue()
        processes = [forked.Process(target=_process, args=(shared, both, told, n), daemon=True) for n in range(2)]
        for process in processes:
            process.start()
        heard = [told.get() for _ in processes]
        for process in processes:
            process.join(PATIENCE)
        service = _service(shared)
        found.heard("postgresql", *heard, _begun(service))
        service.close()
    finally:
        ledgers.execute("DROP DATABASE twins WITH (FORCE)")
    return found


def _settings(folder: Path, url: str = "") -> Settings:
    return read({}, data=folder, key=f"file:{folder / 'key'}" if url else "", ledger=url)


def _service(settings: Settings, *, register: bool = False) -> Service:
    fake = FakeDatabase(Engine.POSTGRESQL)
    if register:
        fake.administration()
    if register and not settings.embedded_file:
        settings.data.mkdir(mode=0o700, parents=True)
        create(settings.data / "key", os.urandom)
    service = build(settings, with_databases={fake.engine: fake})
    if register:
        _register(service, fake)
    return service


def _register(service: Service, fake: FakeDatabase) -> None:
    service.keeper.environments.add(SYSTEM, PLACE, {}, ())
    target: dict[str, Any] = {
        "engine": fake.engine.value,
        "endpoints": [{"host": e.host, "port": e.port} for e in fake.endpoints],
        "database": "shop",
        "tls": {"mode": "disable"},
    }
    admin = registration(target | {"login": {"username": "admin"}}, Secret("admin-password"))
    service.keeper.connections.put(SYSTEM, PLACE, "admin", admin, if_match=None)
    policy = {"strategy": "single", "drain_minimum": "1s", "drain_limit": "1s"}
    fake.create("shop", "first-password")
    data = target | {"login": {"username": "shop"}, "administered_by": "admin", "rotation": policy}
    wanted = registration(data, Secret("first-password"))
    service.keeper.connections.put(SYSTEM, PLACE, "shop/db", wanted, if_match=None)


def _process(settings: Settings, barrier: Any, told: Any, number: int) -> None:
    heard: Heard = []
    try:
        service = _service(settings)
        _ask(service, barrier, heard, number)
        service.close()
    finally:
        told.put(heard)


def _ask(service: Service, barrier: Any, heard: Heard, number: int) -> None:
    for _ in range(COUNT):
        barrier.wait(PATIENCE)
        story, new = service.keeper.rotations.ask(SYSTEM, PLACE, "shop/db", "")
        heard.append((story.rotation.id, new))
        barrier.wait(PATIENCE)
        if number == 0:
            with service.ledger.change() as tx:
                close = update(rotations).where(rotations.c.ended_at.is_(None))
                tx.sql.execute(close.values(stage=Stage.ABANDONED.value, ended_at=tx.now, open_key=rotations.c.id))


def _begun(service: Service) -> int:
    """How many rotations there ever were."""
    with service.ledger.read() as tx:
        return int(tx.sql.execute(select(func.count()).select_from(rotations)).scalar_one())
