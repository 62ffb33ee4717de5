"""Pooled connections whose login was replaced go between two uses, never in one; those of a login that stays, stay."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any

import pytest
from keywright import AsyncClient, Client
from keywright.psycopg import async_pool, pool
from keywright.sqlalchemy import attach
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.client.server import TOKEN, Server, credential, entry, problem
from tests.rigs.keywright import wait_until
from tests.rigs.postgresql import PostgresServer

PASSWORD = "of-both"
WHO = "SELECT current_user, pg_backend_pid()"
Session = Callable[[], tuple[str, int]]
"""Asks, in the session that is checked out, who it is and which backend serves it."""


class Shop:
    """What the stub offers: one of two logins, promised for less than a second."""

    def __init__(self, it: Server, postgresql: PostgresServer) -> None:
        self._server, self._postgresql, self._etags = it, postgresql, count()
        for user in ("pool_a", "pool_b"):
            postgresql.login(user, PASSWORD)
        self.offer("pool_a")

    def offer(self, user: str, good_for: float = 0.4) -> None:
        """From now on."""
        there = {"endpoints": [{"host": self._postgresql.host, "port": self._postgresql.port, "part": "primary"}]}
        there |= {"database": "postgres", "tls": {"mode": "require", "ca": None}}  # type: ignore[dict-item]
        told = credential(entry(password=PASSWORD, username=user, good_for=good_for), generation=next(self._etags))
        self._server.credentials["shop/db"] = (f'"{user}{good_for}"', told | there)


@pytest.fixture
def shop(server: Server, old_postgresql: PostgresServer) -> Shop:
    return Shop(server, old_postgresql)


@contextmanager
def engine(client: Client) -> Iterator[Callable[[], AbstractContextManager[Session]]]:
    """SQLAlchemy's pool, with one connection."""
    made = attach(create_engine("postgresql+psycopg://", pool_size=1, max_overflow=0), client, "shop/db")

    @contextmanager
    def use() -> Iterator[Session]:
        with made.connect() as connection:
            yield lambda: tuple(connection.execute(text(WHO)).one())  # type: ignore[return-value]

    yield use
    made.dispose()


@contextmanager
def psycopg_pool(client: Client) -> Iterator[Callable[[], AbstractContextManager[Session]]]:
    """psycopg's pool, with one connection. What it took back is looked at when it is given back."""
    with pool(client, "shop/db", min_size=1, max_size=1) as connections:

        @contextmanager
        def use() -> Iterator[Session]:
            with connections.connection() as connection:
                yield lambda: connection.execute(WHO).fetchone()  # type: ignore[return-value]

        yield use


@pytest.mark.parametrize("pooled", [engine, psycopg_pool])
def test_a_connection_goes_between_two_uses(server: Server, shop: Shop, pooled: Any) -> None:
    with Client(server.address, TOKEN, "development", max_age=0) as client, pooled(client) as use:
        with use() as session:
            first = session()
            assert first[0] == "pool_a"
            shop.offer("pool_b", good_for=3600)
            # Its promise passes, in the middle of a transaction: it goes on.
            wait_until(lambda: session() == first and client.credential("shop/db").best.username == "pool_b", "")
            for _ in range(30):
                assert session() == first

        def now() -> str:
            with use() as session:
                return session()[0]

        wait_until(lambda: now() == "pool_b", "the pool keeps the former login")


@pytest.mark.parametrize("pooled", [engine, psycopg_pool])
def test_a_connection_of_a_login_that_stays_is_kept(server: Server, shop: Shop, pooled: Any) -> None:
    with Client(server.address, TOKEN, "development", max_age=0) as client, pooled(client) as use:
        with use() as session:
            first = session()
        shop.offer("pool_a", good_for=0.5)
        served = set()

        def again() -> bool:
            with use() as session:
                served.add(session())
            return server.count("GET", "/environments/development/credentials/shop/db") > 4

        wait_until(again, "nobody looked")
        assert served == {first}


@pytest.mark.parametrize("pooled", [engine, psycopg_pool])
def test_a_connection_is_kept_while_the_server_is_away(server: Server, shop: Shop, pooled: Any) -> None:
    with Client(server.address, TOKEN, "development", max_age=0, retries=0) as client, pooled(client) as use:
        with use() as session:
            first = session()
        server.down = problem("unavailable", 503)
        served = set()

        def again() -> bool:
            with use() as session:
                served.add(session())
            return server.count("GET", "/environments/development/credentials/shop/db") > 4

        wait_until(again, "nobody looked")
        assert served == {first}


def test_tasks_see_the_same(server: Server, shop: Shop) -> None:
    async def ask() -> None:
        async with AsyncClient(server.address, TOKEN, "development", max_age=0) as client:
            made = attach(create_async_engine("postgresql+psycopg://", pool_size=1), client, "shop/db")

            async def of_engine() -> str:
                async with made.connect() as connection:
                    return str((await connection.execute(text(WHO))).one()[0])

            async with async_pool(client, "shop/db", min_size=1, max_size=1) as connections:

                async def of_pool() -> str:
                    async with connections.connection() as connection:
                        row = await (await connection.execute(WHO)).fetchone()
                        assert row is not None
                        return str(row[0])

                for use in (of_engine, of_pool):
                    assert await use() == "pool_a"
                shop.offer("pool_b", good_for=3600)
                for use in (of_engine, of_pool):
                    async with asyncio.timeout(30):
                        while await use() == "pool_a":
                            await asyncio.sleep(0.02)
            await made.dispose()

    asyncio.run(ask())
