"""SQLAlchemy engines with Keywright's credentials: `pip install keywright[sqlalchemy]` and a driver.

engine = attach(create_engine("postgresql+psycopg://"), client, "shop/db")          # one line changed
engine = attach(create_async_engine("postgresql+asyncpg://"), async_client, "shop/db")

Every login asks the client, tries the entries of the set in their order, and leaves the engine's arguments as they
are. What the URL names stays (host and port, database, TLS); user and password are Keywright's. A pooled connection
whose login was replaced goes when it is next checked out, spread over the promise; one that is in use is left alone.

    psycopg, sync and async       SQLSTATE, which `keywright.sqlstates` has libpq tell
    asyncpg                       SQLSTATE
    pymysql                       number
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import Engine, event, exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import greenlet_spawn

from keywright import parameters, retirement
from keywright.async_client import AsyncClient
from keywright.attempts import log_in, log_in_async
from keywright.client import Client
from keywright.credential import Credential, Entry
from keywright.errors import Invalid
from keywright.parameters import Parameters, merged
from keywright.refusals import by_number, by_sqlstate

try:
    from sqlalchemy.util import await_
except ImportError:  # its name in SQLAlchemy 2.0
    from sqlalchemy.util import await_only as await_

_MARK = "keywright"
_DRIVERS: dict[str, tuple[Parameters, Callable[[BaseException], bool]]] = {
    "psycopg": (parameters.libpq, by_sqlstate),
    "asyncpg": (parameters.asyncpg, by_sqlstate),
    "pymysql": (parameters.pymysql, by_number),
}
AnyEngine = TypeVar("AnyEngine", Engine, AsyncEngine)


def attach(engine: AnyEngine, client: "Client | AsyncClient", connection: str) -> AnyEngine:
    """Have an engine log in to a connection with what Keywright offers; gives the engine back.

    A `Client` for an Engine, an `AsyncClient` for an AsyncEngine. Raises Invalid for another pair, or another driver.
    """
    core = cast("Engine", getattr(engine, "sync_engine", engine))
    if core.driver not in _DRIVERS:
        known = ", ".join(_DRIVERS)
        raise Invalid(f"the driver {core.driver} is not one that Keywright logs in with: {known}", field="engine")
    if isinstance(client, AsyncClient) is not isinstance(engine, AsyncEngine):
        raise Invalid("an Engine takes a Client, an AsyncEngine an AsyncClient", field="client")
    ours, refused = _DRIVERS[core.driver]
    if isinstance(client, AsyncClient):
        event.listen(core, "do_connect", _async_login(client, connection, ours, refused))
    else:
        event.listen(core, "do_connect", _login(client, connection, ours, refused))
    event.listen(core, "checkout", _leave(client, connection))
    return engine


def _login(client: Client, connection: str, ours: Parameters, refused: Callable[[BaseException], bool]) -> Any:
    def log_in_(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> Any:
        connect = _telling(dialect) or dialect.connect

        def attempt(credential: Credential, entry: Entry) -> Any:
            made = connect(*cargs, **merged(cparams, ours(credential, entry)))
            _marked(record, credential, entry)
            return made

        return log_in(client, connection, attempt, refused)

    return log_in_


def _async_login(
    client: AsyncClient, connection: str, ours: Parameters, refused: Callable[[BaseException], bool]
) -> Any:
    def log_in_(dialect: Any, record: Any, cargs: Any, cparams: dict[str, Any]) -> Any:
        given = _telling_async(dialect) | cparams

        async def attempt(credential: Credential, entry: Entry) -> Any:
            made = await greenlet_spawn(dialect.connect, *cargs, **merged(given, ours(credential, entry)))
            _marked(record, credential, entry)
            return made

        return await_(log_in_async(client, connection, attempt, refused))

    return log_in_


def _leave(client: "Client | AsyncClient", connection: str) -> Any:
    def asked() -> Credential:
        if isinstance(client, AsyncClient):
            return await_(client.credential(connection))
        return client.credential(connection)

    def checkout(dbapi_connection: Any, record: Any, proxy: Any) -> None:  # noqa: ARG001
        if retirement.retired(record.info.get(_MARK), asked):
            # The pool closes it, opens another one, and gives that out instead.
            raise exc.DisconnectionError(f"{connection} has another login now")

    return checkout


def _marked(record: Any, credential: Credential, entry: Entry) -> None:
    if record is not None:
        record.info[_MARK] = retirement.mark(credential, entry)


def _telling(dialect: Any) -> Callable[..., Any] | None:
    """How psycopg is made to tell codes; None for another driver."""
    if dialect.driver != "psycopg":
        return None
    from keywright.sqlstates import TellingConnection

    return TellingConnection.connect


def _telling_async(dialect: Any) -> dict[str, Any]:
    if dialect.driver != "psycopg":
        return {}
    from keywright.sqlstates import TellingAsyncConnection

    return {"async_creator_fn": TellingAsyncConnection.connect}
