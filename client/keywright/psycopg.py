"""psycopg and psycopg_pool with Keywright's credentials: `pip install keywright[psycopg]`.

with connect(client, "shop/db") as connection: ...
with pool(client, "shop/db", min_size=2) as connections, connections.connection() as connection: ...

Arguments that libpq knows complete the credential or stand in its place (host and port, dbname, sslmode); user and
password are Keywright's. A failed login has its code (`error.sqlstate`, `keywright.sqlstates`).
"""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from keywright import retirement
from keywright.async_client import AsyncClient
from keywright.attempts import log_in, log_in_async
from keywright.client import Client
from keywright.credential import Credential, Entry
from keywright.parameters import libpq, merged
from keywright.refusals import by_sqlstate
from keywright.sqlstates import TellingAsyncConnection, TellingConnection

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

_MARK = "keywright_mark"


def connect(client: Client, connection: str, conninfo: str = "", **arguments: Any) -> psycopg.Connection[Any]:
    """A connection, as psycopg.connect makes it. Raises what that raises, and any of `keywright.errors`."""
    return _connect(TellingConnection.connect, client, connection, conninfo, arguments)


async def connect_async(
    client: AsyncClient, connection: str, conninfo: str = "", **arguments: Any
) -> psycopg.AsyncConnection[Any]:
    """A connection, as psycopg.AsyncConnection.connect makes it. Raises as `connect`."""
    return await _connect_async(TellingAsyncConnection.connect, client, connection, conninfo, arguments)


def pool(
    client: Client, connection: str, conninfo: str = "", *, kwargs: dict[str, Any] | None = None, **more: Any
) -> "ConnectionPool[psycopg.Connection[Any]]":
    """A psycopg_pool.ConnectionPool; `kwargs` are arguments of connections, `more` of the pool.

    Connections whose login was replaced go when they are next given back, spread over the promise.
    """
    from psycopg_pool import ConnectionPool

    class Ordered(TellingConnection):
        @classmethod
        def connect(cls, conninfo: str = "", **arguments: Any) -> Any:
            return _connect(super().connect, client, connection, conninfo, arguments)

    class Pool(ConnectionPool[psycopg.Connection[Any]]):
        def putconn(self, conn: psycopg.Connection[Any]) -> None:
            if retirement.retired(getattr(conn, _MARK, None), lambda: client.credential(connection)):
                conn.close()  # the pool opens another one in its place
            super().putconn(conn)

    return Pool(conninfo, connection_class=Ordered, kwargs=kwargs, **more)


def async_pool(
    client: AsyncClient, connection: str, conninfo: str = "", *, kwargs: dict[str, Any] | None = None, **more: Any
) -> "AsyncConnectionPool[psycopg.AsyncConnection[Any]]":
    """As `pool`, a psycopg_pool.AsyncConnectionPool."""
    from psycopg_pool import AsyncConnectionPool

    class Ordered(TellingAsyncConnection):
        @classmethod
        async def connect(cls, conninfo: str = "", **arguments: Any) -> Any:
            return await _connect_async(super().connect, client, connection, conninfo, arguments)

    class Pool(AsyncConnectionPool[psycopg.AsyncConnection[Any]]):
        async def putconn(self, conn: psycopg.AsyncConnection[Any]) -> None:
            if await retirement.retired_async(getattr(conn, _MARK, None), lambda: client.credential(connection)):
                await conn.close()
            await super().putconn(conn)

    return Pool(conninfo, connection_class=Ordered, kwargs=kwargs, **more)


def _connect(
    connect: Callable[..., psycopg.Connection[Any]],
    client: Client,
    connection: str,
    conninfo: str,
    arguments: dict[str, Any],
) -> psycopg.Connection[Any]:
    given = conninfo_to_dict(conninfo) | arguments

    def attempt(credential: Credential, entry: Entry) -> psycopg.Connection[Any]:
        made = connect(**merged(given, libpq(credential, entry)))
        setattr(made, _MARK, retirement.mark(credential, entry))
        return made

    return log_in(client, connection, attempt, by_sqlstate)


async def _connect_async(
    connect: Callable[..., Awaitable[psycopg.AsyncConnection[Any]]],
    client: AsyncClient,
    connection: str,
    conninfo: str,
    arguments: dict[str, Any],
) -> psycopg.AsyncConnection[Any]:
    given = conninfo_to_dict(conninfo) | arguments

    async def attempt(credential: Credential, entry: Entry) -> psycopg.AsyncConnection[Any]:
        made = await connect(**merged(given, libpq(credential, entry)))
        setattr(made, _MARK, retirement.mark(credential, entry))
        return made

    return await log_in_async(client, connection, attempt, by_sqlstate)
