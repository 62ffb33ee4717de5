"""One change of PostgreSQL's roles: a transaction that is bounded, alone, and whose end is known or said to be unknown.

    message 1   BEGIN, limits, locks, and one look at the roles concerned
    message 2   the fence and the change (`postgresql_fence`)
    message 3   COMMIT, by itself, so that only its reply can be lost with the change in force

Each is one round trip: several statements in one simple-query message (manual, 54.2.2.1). Inside of an explicit
transaction at READ COMMITTED every statement of a message takes a snapshot of its own (manual, 13.2.1), so the
look sees whatever was committed before the locks were had.

The limits are set in the transaction itself, where neither the role's settings nor the target's options reach.
A worker that stands still, with or without its machine, loses transaction and locks well within its lease: a
statement waits for a lock at most a tenth of the lease, and the server ends a silent session after a third.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import psycopg
from psycopg.sql import SQL, Composed, Literal

from providers.databases import postgresql_roles as roles
from providers.databases.postgresql_failures import failure, not_let_in
from providers.databases.postgresql_login import Bounded, Certificates, LoginFailed, connect
from service.core.connection import Access
from service.core.errors import ChangeLost

LEASE = 30.0
"""Seconds; bounds what is done for no lease in particular."""


@contextmanager
def logged_in(access: Access, certificates: Certificates, *, seconds: float) -> Iterator[Bounded]:
    """A session at the primary. Raises ChangeNotPermitted or ChangeUnreachable when there is none."""
    try:
        connection = connect(access, access.target.primary, certificates, seconds=seconds)
    except LoginFailed as failed:
        raise not_let_in(failed, access) from None
    with closing(connection):
        connection.autocommit = True  # BEGIN travels with what follows it
        yield connection


@contextmanager
def transaction(
    connection: Bounded, access: Access, *names: str, locks: Iterable[str], lease: float = LEASE
) -> Iterator[roles.Look]:
    """One transaction, with a look at the roles of these names; committed at the end. Raises ChangeError."""
    version = connection.info.server_version
    try:
        cursor = connection.execute(beginning(names, locks, lease, version))
        while cursor.nextset():
            pass
        yield roles.seen(cursor.fetchall(), version)
    except psycopg.Error as error:
        raise failure(error, access) from None
    try:
        connection.commit()
    except psycopg.Error as error:
        if connection.broken or connection.closed or error.sqlstate is None:
            raise ChangeLost(
                f"{access.target.primary} did not confirm the change; whether it holds is unknown"
            ) from None
        raise failure(error, access) from None


def beginning(names: Iterable[str], locks: Iterable[str], lease: float, version: int) -> Composed:
    """The first message of a transaction."""
    statements = [
        SQL("BEGIN ISOLATION LEVEL READ COMMITTED"),
        _settings(lease, version),
        *map(roles.lock, locks),
        roles.looking(names),
    ]
    return SQL("; ").join(statements)


def _settings(lease: float, version: int) -> Composed:
    """Limits for this transaction, in milliseconds (manual, 20.11.1), and the habits that the look relies on."""
    wanted = {
        "lock_timeout": _milliseconds(min(3.0, lease / 10)),
        "statement_timeout": _milliseconds(min(5.0, lease / 6)),
        "idle_in_transaction_session_timeout": _milliseconds(min(10.0, lease / 3)),
        "search_path": "pg_catalog",
        "TimeZone": "UTC",
        "DateStyle": "ISO",
    }
    if version >= 170000:
        wanted["transaction_timeout"] = _milliseconds(lease * 2 / 3)
    calls = [SQL("pg_catalog.set_config({}, {}, true)").format(Literal(k), Literal(v)) for k, v in wanted.items()]
    return SQL("SELECT {}").format(SQL(", ").join(calls))


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))  # 0 would mean: no limit
