"""Ways of logging in that show the password to whoever is at the other end: refused where nobody verified who that is.

libpq     require_auth=!password (PostgreSQL manual, 34.1.2), from libpq 16 on
PyMySQL   its own answer to a server that asks for the clear text is taken away
"""

from typing import Any, Never

PLUGINS = ("mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password")


def required_by_libpq() -> dict[str, Any]:
    """Keywords for a connection that is not verified."""
    from psycopg import pq

    return {"require_auth": "!password"} if pq.version() >= 160000 else {}


def required_by_pymysql() -> dict[str, Any]:
    """Arguments for a connection that is not verified."""
    return {"auth_plugin_map": dict.fromkeys(PLUGINS, Refusing)}


class Refusing:
    """Stands for an authentication method."""

    def __init__(self, connection: object) -> None:
        pass

    def authenticate(self, packet: object) -> Never:  # noqa: ARG002
        """Raises OperationalError."""
        from pymysql.constants import CR
        from pymysql.err import OperationalError

        raise OperationalError(CR.CR_AUTH_PLUGIN_CANNOT_LOAD, "the server asks for the clear text, unverified")
