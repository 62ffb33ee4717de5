"""What applications do with each integration: opened once, then one request after the other, each one short.

Pools are made to open connections all the time: they keep none for longer than a second.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import keywright.psycopg as psycopg_
import keywright.pymysql as pymysql_
from keywright import AsyncClient, Client
from keywright.sqlalchemy import attach
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.applications.load import AsyncRequest, Request

WHO = "SELECT current_user"
LIVES = 1
"""Seconds that a pooled connection is used for."""


@contextmanager
def sqlalchemy(client: Client, name: str, url: str) -> Iterator[Request]:
    """An engine; the line that changed is the one with `attach`."""
    engine = attach(create_engine(url, pool_size=2, max_overflow=4, pool_recycle=LIVES), client, name)

    def request() -> str:
        with engine.begin() as connection:
            return str(connection.execute(text(WHO)).scalar_one())

    try:
        yield request
    finally:
        engine.dispose()


@asynccontextmanager
async def sqlalchemy_async(client: Callable[[], AsyncClient], name: str, url: str) -> AsyncIterator[AsyncRequest]:
    """An AsyncEngine."""
    async with client() as asked:
        engine = attach(create_async_engine(url, pool_size=2, max_overflow=4, pool_recycle=LIVES), asked, name)

        async def request() -> str:
            async with engine.begin() as connection:
                return str((await connection.execute(text(WHO))).scalar_one())

        try:
            yield request
        finally:
            await engine.dispose()


@contextmanager
def psycopg(client: Client, name: str) -> Iterator[Request]:
    """A login for each request."""

    def request() -> str:
        with psycopg_.connect(client, name) as connection:
            row = connection.execute(WHO).fetchone()
            assert row is not None
            return str(row[0])

    yield request


@contextmanager
def psycopg_pool(client: Client, name: str) -> Iterator[Request]:
    """A pool."""
    with psycopg_.pool(client, name, min_size=2, max_size=6, max_lifetime=LIVES) as pool:

        def request() -> str:
            with pool.connection() as connection:
                row = connection.execute(WHO).fetchone()
                assert row is not None
                return str(row[0])

        yield request


@asynccontextmanager
async def psycopg_async_pool(client: Callable[[], AsyncClient], name: str) -> AsyncIterator[AsyncRequest]:
    """A pool for tasks, and every other request a login of its own."""
    async with client() as asked, psycopg_.async_pool(asked, name, min_size=2, max_lifetime=LIVES) as pool:
        turn = iter(range(1 << 60))

        async def request() -> str:
            if next(turn) % 2:
                async with await psycopg_.connect_async(asked, name) as connection:
                    return await who(connection)
            async with pool.connection() as connection:
                return await who(connection)

        async def who(connection: object) -> str:
            row = await (await connection.execute(WHO)).fetchone()  # type: ignore[attr-defined]
            return str(row[0])

        yield request


@contextmanager
def pymysql(client: Client, name: str) -> Iterator[Request]:
    """A login for each request."""

    def request() -> str:
        with pymysql_.connect(client, name) as connection, connection.cursor() as cursor:
            cursor.execute(WHO)
            row = cursor.fetchone()
            assert row is not None
            return str(row[0])

    yield request


@contextmanager
def django(alias: str) -> Iterator[Request]:
    """One of Django's databases, as a request does it: persistent connections are looked at before and after."""
    from django.db import close_old_connections, connections

    def request() -> str:
        close_old_connections()
        with connections[alias].cursor() as cursor:
            cursor.execute(WHO)
            user = str(cursor.fetchone()[0])
        close_old_connections()
        return user

    yield request
