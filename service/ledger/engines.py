"""The database under the ledger: how its connections are made, and which of its failures mean that it is not there."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from service.core.errors import Invalid, Unavailable, Unrecorded
from service.ledger.failures import place, why_away

WAITS = 10.0
"""Seconds that a transaction waits for its turn, or for a connection."""
STANDS_STILL = 4.0
"""Seconds without a statement after which PostgreSQL ends a session that has a transaction open."""

DOUBT = ". If it broke off while committing, this may have been done all the same: look before repeating it"
"""What is true as well of a change that could not be recorded."""


def engine_for(url: str, pool_size: int) -> Engine:
    """Nothing is connected yet."""
    return _embedded(url, pool_size) if url.startswith("sqlite") else _postgresql(url, pool_size)


def _embedded(url: str, pool_size: int) -> Engine:
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=pool_size, max_overflow=0, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        # BEGIN is ours: the driver's own transaction control would take the write lock late.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={WAITS * 1000:.0f}")
        connection.execute("PRAGMA secure_delete=ON")

    return engine


def _postgresql(url: str, pool_size: int) -> Engine:
    plain = url.partition("://")[2]
    # An answer is given only after its commit is on disk. A process that stands still must not hold `head` for long:
    # all others wait for it, and would give up before their statements' limit if it were theirs too.
    session = "-c synchronous_commit=on -c statement_timeout=15000"
    session += f" -c idle_in_transaction_session_timeout={STANDS_STILL * 1000:.0f}"
    return create_engine(
        f"postgresql+psycopg://{plain}",
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=False,
        pool_timeout=WAITS,
        use_native_hstore=False,  # nobody has one here, and asking for it is a statement of its own
        # A database without an encoding (SQL_ASCII) would answer in bytes.
        connect_args={"connect_timeout": 5, "options": session, "client_encoding": "utf8"},
    )


def said_away(failure: type[Unavailable], why: str) -> str:
    """What is said of a ledger that is away."""
    return f"the ledger cannot be used: {why}" + (DOUBT if issubclass(failure, Unrecorded) else "")


@contextmanager
def told_apart(failure: type[Unavailable]) -> Iterator[None]:
    """What says that the database is not there, or full, is `failure`; a mistake in our SQL stays loud."""
    try:
        yield
    except PoolTimeout as error:
        raise failure("the ledger is busy: no connection to it came free in time, so nothing was done") from error
    except DBAPIError as error:
        away = why_away(error.orig) if error.orig else None
        if away or error.connection_invalidated:
            said = said_away(failure, away or "its connection broke")
            raise failure(said, place=place(error.orig) if error.orig else "") from error
        if isinstance(error, DataError) and getattr(error.orig, "sqlstate", "") is None:
            # The driver itself refused a text before sending it: PostgreSQL knows no NUL in texts.
            raise Invalid("a name, an id or a cursor holds a character that none of ours has") from None
        raise
