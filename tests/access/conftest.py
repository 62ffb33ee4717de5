"""One service, with things to ask for and callers to ask for them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from service.core.connection import Engine
from tests.access.callers import Callers, of_all
from tests.access.things import Things
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.ports import free_port


@dataclass(frozen=True)
class World:
    """A service, what is in it, and a token that was of use."""

    it: Keywright
    nobody: httpx2.Client
    """Of the whole server; shows nothing by itself."""
    things: Things
    expired: str
    database: FakeDatabase

    def callers(self) -> Callers:
        """New ones: what one test does to them is not met by another."""
        return Callers(self.it, self.things, self.expired)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    moment = datetime.now(UTC)
    database = FakeDatabase()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        running_keywright(databases={Engine.POSTGRESQL: database}, now=lambda: moment, port=port, url=url) as it,
        httpx2.Client(base_url=it.url, trust_env=False, timeout=90) as nobody,
    ):
        expired = it.token("brief", of_all("own"), expires_in="60s")
        moment += timedelta(seconds=61)
        things = Things(it.client(), database, lambda *held: makers.person(*held).session)
        makers = Callers(it, things, expired)
        yield World(it, nobody, things, expired, database)


@pytest.fixture
def callers(world: World) -> Callers:
    return world.callers()
