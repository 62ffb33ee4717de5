"""Two rotations of one login at once: a thousand asks from many threads, and never two open ones."""

import threading
from datetime import timedelta

from sqlalchemy import func, select

from service.core.connection import Engine
from service.core.errors import KeywrightError
from service.core.rotation import Stage
from service.core.secret import Secret
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.ledger.tables import rotations
from service.wiring import Service
from tests.ledger.homes import Home, environment
from tests.rigs.fake_database import FakeDatabase

ASKS, THREADS = 1000, 8
LEASE = timedelta(seconds=60)
NAME = "shop/db"


def register(service: Service, fake: FakeDatabase) -> None:
    """`shop/db`, strategy `single`, and its administration connection."""
    fake.administration()
    fake.create("shop", "first-password")
    environment(service)
    target = {
        "engine": fake.engine.value,
        "endpoints": [{"host": e.host, "port": e.port} for e in fake.endpoints],
        "database": "shop",
        "tls": {"mode": "disable"},
    }
    admin = registration(target | {"login": {"username": "admin"}}, Secret("admin-password"))
    service.keeper.connections.put(SYSTEM, "production", "admin", admin, if_match=None)
    rotation = {"strategy": "single", "drain_minimum": "1s", "drain_limit": "1s"}
    data = target | {"administered_by": "admin", "rotation": rotation, "login": {"username": "shop"}}
    connection = registration(data, Secret("first-password"))
    service.keeper.connections.put(SYSTEM, "production", NAME, connection, if_match=None)


def test_a_thousand_asks_never_open_two(home: Home) -> None:
    """Each joins the open one or begins one; workers turn meanwhile; in the end ledger and database agree."""
    fake = FakeDatabase(Engine.POSTGRESQL)
    home.databases = {Engine.POSTGRESQL: fake}
    services = [home.service() for _ in range(1 if home.engine == "sqlite" else 3)]
    register(services[0], fake)
    asks, asking = iter(range(ASKS)), threading.Lock()
    joined: list[tuple[str, bool]] = []
    wrong: list[object] = []
    over = threading.Event()

    def ask(service: Service) -> None:
        while True:
            with asking:
                if next(asks, None) is None:
                    return
            try:
                story, new = service.keeper.rotations.ask(SYSTEM, "production", NAME, "", emergency=True)
                joined.append((story.rotation.id, new))
            except KeywrightError as error:
                wrong.append(error)

    def work(service: Service) -> None:
        while not over.is_set():
            for held in service.keeper.rotations.claim("worker", LEASE, 4):
                service.rotator.advance(held)
            open_ones = select(func.count()).where(rotations.c.ended_at.is_(None))
            with service.ledger.read() as tx:
                if tx.sql.execute(open_ones).scalar_one() > 1:
                    wrong.append("two are open")

    workers = [threading.Thread(target=work, args=(service,)) for service in services]
    askers = [threading.Thread(target=ask, args=(services[n % len(services)],)) for n in range(THREADS)]
    for thread in workers + askers:
        thread.start()
    for thread in askers:
        thread.join(120)
    over.set()
    for thread in workers:
        thread.join(60)
    while held := services[0].keeper.rotations.claim("last", LEASE, 4):
        services[0].rotator.advance(held[0])

    assert wrong == []
    assert len(joined) == ASKS
    begun = [rotation for rotation, new in joined if new]
    assert len(begun) == len(set(begun)) > 1
    assert {rotation for rotation, _ in joined} == set(begun)
    with services[0].ledger.read() as tx:
        stages = list(tx.sql.execute(select(rotations.c.stage)).scalars())
    assert stages == [Stage.RETIRED.value] * len(begun)
    answer = services[0].keeper.credentials.one(SYSTEM, "production", NAME)
    (entry,) = answer.entries
    assert fake.valid(entry.account.username, entry.account.password.reveal())
    assert answer.generation == 1 + len(begun)
