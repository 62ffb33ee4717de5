"""Which failures of the database under the ledger mean that it is not there, or takes nothing: and why, in words.

What is not listed is a mistake in our SQL, and stays loud. Known are SQLite's result codes
(https://www.sqlite.org/rescode.html) and PostgreSQL's SQLSTATE (its manual, appendix A).
"""

import re
from typing import Any

_SQLITE = {
    "SQLITE_FULL": "its disk is full",
    "SQLITE_BUSY": "another process holds its lock",
    "SQLITE_LOCKED": "another process holds its lock",
    "SQLITE_READONLY": "it may not be written to",
    "SQLITE_CANTOPEN": "its file cannot be opened",
    "SQLITE_IOERR": "its disk fails",
    "SQLITE_CORRUPT": "its file is damaged",
    "SQLITE_NOTADB": "its file is damaged",
    "SQLITE_PROTOCOL": "another process holds its lock",
    "SQLITE_INTERRUPT": "a statement was interrupted",
    "SQLITE_NOMEM": "there is no memory for it",
}
"""By the beginning of the code's name: extended codes go on."""
_POSTGRESQL = {
    "25006": "it is read-only, as a standby is",
    "25": "its session was ended while a transaction stood still",
    "28": "it refuses the login",
    "3D": "there is no such database",
    "40P01": "it gave up one of two changes that waited for each other",
    "42501": "its login lacks a privilege",
    "53100": "its disk is full",
    "53300": "it has no room for another connection",
    "53": "it lacks what it needs: disk, memory or connections",
    "55P03": "a lock was not had in time",
    "57014": "a statement took too long",
    "57P": "it is being started or stopped",
    "58": "its disk fails",
    "08": "its connection broke",
    "XX": "it fails inside",
}
"""By the beginning of the SQLSTATE, the longest one first."""

_ANSWERED = re.compile(r"failed: [^\s:]+:  ")
"""What a server says while somebody logs in, as libpq hands it on: in its language, and without its code. Two blanks
stand behind its severity in every language (fe-protocol3.c), and nowhere in what libpq says of its own."""


def why_away(error: BaseException) -> str | None:
    """Of an exception of a driver: why the database is away, or None for a mistake in what was asked of it."""
    name = type(error).__name__
    code: Any = getattr(error, "sqlite_errorname", None)
    if isinstance(code, str):
        found = next((said for known, said in _SQLITE.items() if code.startswith(known)), None)
        return (
            f"{found} ({code})" if found else (code if name == "OperationalError" and code != "SQLITE_ERROR" else None)
        )
    state: Any = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        for length in (5, 3, 2):
            if said := _POSTGRESQL.get(state[:length]):
                return f"{said} (SQLSTATE {state})"
        return f"SQLSTATE {state}" if name == "OperationalError" else None
    if _ANSWERED.search(getattr(_login(error), "error_message", b"").decode(errors="replace")):
        return "it answers, and does not let us in: its role, its password or its database is another, or not there"
    return "it cannot be reached" if name in ("OperationalError", "InterfaceError") else None


def place(error: BaseException) -> str:
    """Of an exception of a driver: where it was that nobody got in, without the password; empty if somebody did."""
    tried = _login(error)
    if tried is None:
        return ""
    host, port, user, name = (part.decode(errors="replace") for part in (tried.host, tried.port, tried.user, tried.db))
    return f"PostgreSQL at {host}:{port}, role {user}, database {name}"


def _login(error: BaseException) -> Any:
    """The connection of psycopg's that failed before anything could be asked."""
    return getattr(error, "pgconn", None) if getattr(error, "sqlstate", None) is None else None
