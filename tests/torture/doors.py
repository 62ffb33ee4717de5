"""Doors: does a target let this one in? Asked by its own driver, as applications do, past what Keywright does itself.

How TLS is checked is not the question here: where the server insists on it, it is used.
"""

import pymysql
from psycopg import pq
from psycopg.conninfo import make_conninfo

from service.core.connection import Engine, Target, TlsMode
from tests.torture.holders import Pair

SECONDS = 5


class Doors:
    """Of one target. Logins are remembered until something may have changed: `fresh` says so."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._seen: dict[Pair, bool] = {}

    def fresh(self) -> None:
        """What was seen may be over."""
        self._seen.clear()

    def accepts(self, pair: Pair) -> bool:
        """One login, if this one was not tried since."""
        if pair not in self._seen:
            self._seen[pair] = (_postgresql if self._target.engine is Engine.POSTGRESQL else _mariadb)(
                self._target, *pair
            )
        return self._seen[pair]


def _postgresql(target: Target, username: str, password: str) -> bool:
    mode = "disable" if target.tls.mode is TlsMode.DISABLE else "require"
    words = {"host": target.primary.host, "port": target.primary.port, "dbname": target.database, "sslmode": mode}
    conninfo = make_conninfo("", **words, user=username, password=password, connect_timeout=SECONDS)
    connection = pq.PGconn.connect(conninfo.encode())
    try:
        return bool(connection.status == pq.ConnStatus.OK)
    finally:
        connection.finish()


def _mariadb(target: Target, username: str, password: str) -> bool:
    where = {"host": target.primary.host, "port": target.primary.port, "database": target.database}
    try:
        pymysql.connect(
            **where,
            user=username,
            password=password,
            connect_timeout=SECONDS,
            ssl_disabled=True,
        ).close()
    except pymysql.OperationalError:
        return False
    return True
