"""How long applications endure: so many rotations of every strategy at full load, and the server away for a while.

An application has one changed line (`attach`). Beside its requests it opens logins all the time: its pool keeps no
connection for longer than a second.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
from keywright import Client

from tests.applications import uses
from tests.applications.away import Line, line
from tests.applications.load import Load
from tests.applications.shops import ENVIRONMENT, QUICK, Shop, registered
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

URLS = {"postgresql": "postgresql+psycopg://", "mariadb": "mariadb+pymysql://"}
LOOKS_EVERY = 0.5
CATCHES_UP_WITHIN = 60.0


@dataclass
class Result:
    """What came of one strategy. `wrong` are sentences; without any it held."""

    name: str
    strategy: str
    rotations: int
    requests: int
    failed: int
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        """For machines."""
        return (
            f"applications: connection={self.name} strategy={self.strategy} rotations={self.rotations} "
            f"requests={self.requests} failed={self.failed}"
        )


@dataclass
class Site:
    """The real servers, and a Keywright: its administrator speaks to it directly, applications over `line`."""

    administrator: httpx2.Client
    token: str
    line: Line
    shops: list[Shop]

    def client(self) -> Client:
        """An application's."""
        return Client(self.line.url, self.token, ENVIRONMENT, timeout=5)


@contextmanager
def site(
    url: str,
    token: str,
    client: httpx2.Client,
    servers: dict[str, PostgresServer | MariaDBServer],
    tag: str,
    policy: dict[str, str],
) -> Iterator[Site]:
    """Connections of every strategy, with this policy; `tag` tells them from others."""
    if client.get(f"/environments/{ENVIRONMENT}").status_code == 404:
        client.post("/environments", json={"name": ENVIRONMENT}).raise_for_status()
    shops = [
        registered(client, servers[kind], strategy, f"{tag}-{kind}-{strategy}", policy)
        for kind, strategies in (("postgresql", ("alternating", "single")), ("mariadb", ("overlapping", "single")))
        for strategy in strategies
    ]
    with line(url) as way:
        yield Site(client, token, way, shops)


def rotations(it: Site, wanted: int, threads: int, say: Callable[[str], None], patience: float) -> list[Result]:
    """Turn every connection so often under load, each with a client of its own."""
    began = {shop.name: shop.generation(it.administrator) for shop in it.shops}
    clients = [it.client() for _ in it.shops]
    loads = [_load(shop, client, threads) for shop, client in zip(it.shops, clients, strict=True)]
    for load in loads:
        load.start()
    until, turned = time.monotonic() + patience, dict.fromkeys(began, 0)
    while min(turned.values()) < wanted and time.monotonic() < until:
        time.sleep(LOOKS_EVERY)
        before = min(turned.values())
        turned = {shop.name: shop.generation(it.administrator) - began[shop.name] for shop in it.shops}
        if min(turned.values()) > before:
            say(f"turned {min(turned.values())} times, failed {sum(len(load.count.failed) for load in loads)}")
    for load in loads:
        load.stop()
    results = []
    for shop, load, client in zip(it.shops, loads, clients, strict=True):
        client.close()
        count = load.count
        result = Result(shop.name, shop.strategy, turned[shop.name], count.served, len(count.failed), count.failed[:5])
        result.wrong += shop.stuck(it.administrator)
        if result.rotations < wanted:
            result.wrong.append(f"only {result.rotations} rotations")
        if not count.served:
            result.wrong.append("nothing was served")
        results.append(result)
    return results


@dataclass
class Outage:
    """What was seen while the server was away: how often it was asked, and how often at most within one second."""

    seconds: float
    requests: int
    failed: list[str]
    asked: int
    at_most: int
    caught_up: bool

    def line(self) -> str:
        """For machines."""
        return (
            f"applications: outage={self.seconds:g} requests={self.requests} failed={len(self.failed)} "
            f"asked={self.asked} asked_in_a_second={self.at_most} caught_up={str(self.caught_up).lower()}"
        )


def outage(it: Site, seconds: float, threads: int) -> Outage:
    """Let the server go away for so long in the middle of load, with every connection watched; then turn some."""
    clients = [it.client() for _ in it.shops]
    watchers = [client.watch(shop.name) for shop, client in zip(it.shops, clients, strict=True)]
    loads = [_load(shop, client, threads) for shop, client in zip(it.shops, clients, strict=True)]
    for load in loads:
        load.start()
    while any(client.known(shop.name) is None for shop, client in zip(it.shops, clients, strict=True)):
        time.sleep(0.1)
    it.line.go()
    before = sum(load.count.served for load in loads)
    time.sleep(seconds)
    requests = sum(load.count.served for load in loads) - before
    it.line.come_back()
    # Under `single` the announcement alone takes a whole drain minimum, which is longer than the outage.
    turning = [(shop, client) for shop, client in zip(it.shops, clients, strict=True) if shop.strategy != "single"]
    wanted = {}
    for shop, _ in turning:
        wanted[shop.name] = shop.generation(it.administrator) + 1
        it.administrator.post(
            f"/environments/{ENVIRONMENT}/rotations", json={"connection": shop.name}
        ).raise_for_status()
    until = time.monotonic() + CATCHES_UP_WITHIN

    def caught_up() -> bool:
        known = {shop.name: client.known(shop.name) for shop, client in turning}
        return all(found is not None and found.generation >= wanted[name] for name, found in known.items())

    while not caught_up() and time.monotonic() < until:
        time.sleep(0.1)
    failed = []
    for load in loads:
        load.stop()
        failed += load.count.failed
    done = caught_up()
    for watcher in watchers:
        watcher.close()
    for client in clients:
        client.close()
    return Outage(seconds, requests, failed, len(it.line.asked), it.line.busiest(1.0), done)


def patient(seconds: float) -> dict[str, str]:
    """A policy whose promises outlast an outage of so many seconds."""
    whole = int(seconds * 2) + 20
    return {"drain_minimum": f"{whole}s", "drain_limit": f"{whole}s"}


def quick() -> dict[str, str]:
    """A policy that turns without a pause."""
    return dict(QUICK)


def _load(shop: Shop, client: Client, threads: int) -> Load:
    return Load(shop.name, lambda: uses.sqlalchemy(client, shop.name, URLS[shop.engine]), threads)
