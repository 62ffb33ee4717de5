"""Who is connected to PostgreSQL, and ending that (manual, 27.2.3 and 9.28.2).

Every login sees that somebody is connected, and as whom. Addresses and the time of the beginning are shown to members
of pg_monitor only; without the time nobody can be ended, since a process id alone may have passed to somebody else.
"""

from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from providers.databases.postgresql_login import Bounded
from service.core.database import Session
from service.core.errors import ChangeNotPermitted

# Parallel workers are part of a session, and have its user's name.
_SEEN = """
SELECT a.usename::text, coalesce(host(a.client_addr), ''), coalesce(a.application_name, ''), a.pid,
  a.backend_start AT TIME ZONE 'UTC'
FROM pg_catalog.pg_stat_activity a
WHERE a.usename = {} AND a.pid <> pg_catalog.pg_backend_pid() AND a.backend_type IS DISTINCT FROM 'parallel worker'
ORDER BY a.backend_start NULLS LAST, a.pid
"""
_END = """
SELECT a.backend_start IS NULL,
  CASE WHEN a.backend_start = w.since THEN pg_catalog.pg_terminate_backend(a.pid) ELSE false END
FROM (VALUES {}) w (pid, username, since) JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid AND a.usename = w.username
"""


def seen(connection: Bounded, username: str) -> tuple[Session, ...]:
    """Sessions of `username` besides this one, the longest first."""
    rows = connection.execute(SQL(_SEEN).format(Literal(username))).fetchall()
    return tuple(
        Session(username, address, application, pid, since.replace(tzinfo=UTC) if since else None)
        for username, address, application, pid, since in rows
    )


def end(connection: Bounded, sessions: tuple[Session, ...], administrator: str) -> int:
    """End those that still are who they were; how many. Raises ChangeNotPermitted, and psycopg's errors."""
    if not sessions:
        return 0
    if any(session.since is None for session in sessions):
        raise ChangeNotPermitted(_hidden(administrator))
    values = SQL(", ").join(map(_wanted, sessions))
    try:
        rows: list[Any] = connection.execute(SQL(_END).format(values)).fetchall()
    except psycopg.errors.InsufficientPrivilege as error:
        raise ChangeNotPermitted(
            f"{administrator} may not end sessions of others ({error.diag.message_primary});"
            f" run: {_grant('pg_signal_backend', administrator)};"
        ) from None
    if any(hidden for hidden, _ in rows):
        raise ChangeNotPermitted(_hidden(administrator))
    return sum(ended for _, ended in rows)


def _wanted(session: Session) -> Composed:
    since = (session.since or datetime.max.replace(tzinfo=UTC)).isoformat()
    words = map(Literal, (session.id, session.username, since))
    return SQL("({}::int, {}::name, {}::timestamptz)").format(*words)


def _hidden(administrator: str) -> str:
    return (
        f"{administrator} does not see when sessions began, and a process id alone may be somebody else's by now;"
        f" run: {_grant('pg_monitor', administrator)};"
    )


def _grant(role: str, administrator: str) -> str:
    return SQL("GRANT {} TO {}").format(Identifier(role), Identifier(administrator)).as_string()
