"""Every integration under load, while the passwords of its connection are turned without a pause: no request fails."""

import time
from collections.abc import Iterator

import django
import pytest
from django.conf import settings
from django.db import connections
from keywright import AsyncClient, Client
from keywright.django import logins

from tests.applications import uses
from tests.applications.load import Count, Load
from tests.applications.shops import ENVIRONMENT, QUICK, Shop, registered
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

TURNS = 2
PATIENCE = 100.0
POSTGRESQL = ("sqlalchemy", "psycopg", "asyncpg", "connect", "pool", "async pool", "django")
MARIADB = ("sqlalchemy", "connect", "django")
URLS = {"postgresql": "postgresql+psycopg://", "mariadb": "mariadb+pymysql://"}


@pytest.fixture(scope="module")
def counts(
    old_postgresql: PostgresServer, new_postgresql: PostgresServer, mariadb: MariaDBServer
) -> Iterator[dict[str, Count]]:
    """What each application saw until every connection was turned often enough."""
    with running_keywright(clock=True, tick=0.1, workers=4) as it, pytest.MonkeyPatch.context() as around:
        it.client().post("/environments", json={"name": ENVIRONMENT}).raise_for_status()
        shops = [
            registered(it.client(), new_postgresql, "alternating", "pg-alternating", QUICK),
            registered(it.client(), old_postgresql, "single", "pg-single", QUICK),
            registered(it.client(), mariadb, "overlapping", "mariadb-overlapping", QUICK),
            registered(it.client(), mariadb, "single", "mariadb-single", QUICK),
        ]
        for name, value in (("ADDR", it.url), ("TOKEN", it.owner), ("ENVIRONMENT", ENVIRONMENT)):
            around.setenv(f"KEYWRIGHT_{name}", value)
        _configure_django(shops)
        with Client() as client:
            try:
                yield _seen(it, client, shops)
            finally:
                logins.client().close()


def _configure_django(shops: list[Shop]) -> None:
    engines = {"postgresql": "keywright.django.postgresql", "mariadb": "keywright.django.mysql"}
    databases = {
        shop.name: {"ENGINE": engines[shop.engine], "CONN_MAX_AGE": 2, "OPTIONS": {"keywright": shop.name}}
        for shop in shops
    }
    settings.configure(DATABASES={"default": {}} | databases, USE_TZ=True, LOGGING_CONFIG=None)
    django.setup()


def _seen(it: Keywright, client: Client, shops: list[Shop]) -> dict[str, Count]:
    loads = [load for shop in shops for load in _loads(client, shop)]
    began = [shop.generation(it.client()) for shop in shops]
    for load in loads:
        load.start()
    until = time.monotonic() + PATIENCE
    while any(shop.generation(it.client()) < first + TURNS for shop, first in zip(shops, began, strict=True)):
        assert time.monotonic() < until, "the passwords were not turned"
        time.sleep(0.2)
    for load in loads:
        load.stop()
    it.service.clock.stop()
    assert [shop.stuck(it.client()) for shop in shops] == [[]] * len(shops)
    return {load.count.name: load.count for load in loads}


def _loads(client: Client, shop: Shop) -> list[Load]:
    name = shop.name
    loads = [Load(f"{name} sqlalchemy", lambda: uses.sqlalchemy(client, name, URLS[shop.engine]))]
    if shop.engine == "postgresql":
        loads += [
            Load(f"{name} {driver}", lambda d=driver: uses.sqlalchemy_async(AsyncClient, name, f"postgresql+{d}://"), 2)
            for driver in ("psycopg", "asyncpg")
        ]
        loads += [
            Load(f"{name} connect", lambda: uses.psycopg(client, name), 2),
            Load(f"{name} pool", lambda: uses.psycopg_pool(client, name), 2),
            Load(f"{name} async pool", lambda: uses.psycopg_async_pool(AsyncClient, name), 2),
        ]
    else:
        loads.append(Load(f"{name} connect", lambda: uses.pymysql(client, name), 2))
    loads.append(Load(f"{name} django", lambda: uses.django(name), 2, connections.close_all))
    return loads


APPLICATIONS = [
    *(f"shop/pg-{strategy} {use}" for strategy in ("alternating", "single") for use in POSTGRESQL),
    *(f"shop/mariadb-{strategy} {use}" for strategy in ("overlapping", "single") for use in MARIADB),
]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", APPLICATIONS)
def test_no_request_failed(counts: dict[str, Count], name: str) -> None:
    count = counts[name]
    assert count.failed == []
    assert count.served > 10
    # Whoever logs in acts as the shared role, whichever of the pair it is.
    assert len(count.users) == 1


def test_every_application_was_looked_at(counts: dict[str, Count]) -> None:
    assert sorted(counts) == sorted(APPLICATIONS)
