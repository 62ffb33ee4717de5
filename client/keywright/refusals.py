"""Was a login refused for who it is? Told by code; only then another password is worth trying.

    PostgreSQL   SQLSTATE (manual, appendix A)
                 28P01  invalid_password
                 28000  invalid_authorization_specification: no such role, it may not log in, no rule for it
    MySQL and    number
    MariaDB      1045, 1698                access denied
                 1862                      the password expired
                 3118, 3955, 4150, 4151    the account is locked, by hand or for too many refusals

An error without a code is none of these: no connection, no TLS, no answer. libpq keeps the code of a failed connection
to itself; `keywright.psycopg` makes it tell. Where a driver was not loaded that way, the code is nowhere: then it is
an error like any other.
"""

_SQLSTATES = frozenset({"28P01", "28000"})
_NUMBERS = frozenset({1045, 1698, 1862, 3118, 3955, 4150, 4151})


def by_sqlstate(error: BaseException) -> bool:
    """For psycopg and asyncpg, and what SQLAlchemy makes of them."""
    causes = (error, error.__cause__, getattr(error, "orig", None))
    return any(getattr(cause, "sqlstate", None) in _SQLSTATES for cause in causes)


def by_number(error: BaseException) -> bool:
    """For PyMySQL."""
    return bool(error.args) and isinstance(error.args[0], int) and error.args[0] in _NUMBERS
