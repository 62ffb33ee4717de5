"""Kills in the middle of load: of our processes, of the ledger's PostgreSQL; after each one the audit."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random  # noqa: TID251 - when something is killed is to be repeatable

from tests.durable.audit import Audit
from tests.durable.client import DIGITS, PLACE, Asked, Client, numbers
from tests.rigs.keywright import Keywrightd, ready, wait_until
from tests.rigs.line import Line
from tests.rigs.postgresql import PostgresServer

CLIENTS = 6
ABORTS = 0.05
LONGEST = 0.5
"""Seconds of load before a kill, at the most."""


class Load:
    """Clients of servers that share one ledger."""

    def __init__(self, servers: Sequence[Keywrightd], seed: int) -> None:
        self._random, self._servers = Random(seed), servers
        owner = servers[0].owner
        self.line = Line(servers[0].url, owner)
        for path, data in [("/environments", {"name": "production"}), *((n, {"value": n}) for n in DIGITS)]:
            method, path = ("POST", path) if path.startswith("/") else ("PUT", f"{PLACE}/variables/{path}")
            reply = self.line.ask(method, path, data)
            assert reply.status in (200, 201, 409), reply.body  # somebody was here before
        self.audit, shared = Audit(self.line), numbers()
        self._clients = [
            Client(servers[n % len(servers)].url, owner, shared, Random(self._random.getrandbits(64)), ABORTS)
            for n in range(CLIENTS)
        ]
        self.audit.begin()

    def close(self) -> None:
        """Gone."""
        for client in self._clients:
            client.close()
        self.line.close()

    def interrupted(self, kill: Callable[[], None], start: Callable[[], None]) -> None:
        """Ask, be interrupted, and look at what is left. Every other kill comes right after an answer."""
        self.ask()
        aimed = self._random.choice(self._clients)
        aimed.answered.clear()
        aimed.answered.wait(30)
        time.sleep(self._random.random() * LONGEST)
        if self._random.random() < 0.5:
            aimed.answered.clear()
            aimed.answered.wait(30)
        elif not any(client.under_way for client in self._clients):
            self.audit.counts["idle"] += 1
        kill()
        self.audit.counts["kills"] += 1
        time.sleep(self._random.choice((0, 0.1)))
        self.rest()
        start()
        for server in self._servers:
            wait_until(lambda url=server.url: ready(url), f"{server.url} is not ready again:\n{server.stderr[-2000:]}")  # type: ignore[misc]
        self.line.close()
        self.audit.check(self.taken())

    def ask(self) -> None:
        """Everybody, from now on."""
        for client in self._clients:
            client.go()

    def rest(self) -> None:
        """Nobody asks any more."""
        for client in self._clients:
            client.hold()
        for client in self._clients:
            assert client.idle.wait(90), "a request did not end"

    def taken(self) -> list[Asked]:
        """What was asked since the last time."""
        found: list[Asked] = []
        for client in self._clients:
            found, client.asked = found + client.asked, []
        return found


@contextmanager
def load(servers: Sequence[Keywrightd], seed: int) -> Iterator[Load]:
    """Clients that are gone afterwards."""
    made = Load(servers, seed)
    try:
        yield made
    finally:
        made.close()


def kill_servers(made: Load, servers: Sequence[Keywrightd], kills: int, say: Callable[[str], None]) -> None:
    """Each one in its turn."""
    for n in range(kills):
        victim = servers[n % len(servers)]
        made.interrupted(victim.kill, victim.start)
        if n % 20 == 19:
            say(f"{n + 1} kills of keywrightd: {dict(made.audit.counts)}")


def kill_ledger(made: Load, ledger: PostgresServer, kills: int, say: Callable[[str], None]) -> None:
    """The PostgreSQL, again and again, while our processes stay."""
    for n in range(kills):
        made.interrupted(ledger.kill, ledger.start)
        if n % 20 == 19:
            say(f"{n + 1} kills of the ledger: {dict(made.audit.counts)}")
