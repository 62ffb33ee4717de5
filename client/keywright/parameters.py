"""What drivers call the parts of a credential.

What the application names itself stands (host and port, database, how TLS is done, options); username and password are
always Keywright's. A driver that speaks to another kind of database would wait for a greeting that never comes: it is
refused before it connects. Arguments are copied, never changed: engines and pools share them.
"""

import ssl
from collections.abc import Callable, Collection, Mapping
from typing import Any

from keywright.authorities import context, file
from keywright.credential import Credential, Entry
from keywright.errors import Invalid
from keywright.revealing import required_by_libpq, required_by_pymysql

Parameters = Callable[[Credential, Entry], dict[str, Any]]

_HOSTS = {"host", "hostaddr", "port", "unix_socket", "read_default_file"}
_POSTGRESQL, _OF_MYSQL = ("postgresql",), ("mariadb", "mysql")
"""The engines that a driver speaks to."""
_LIBPQ = ("application_name", "connect_timeout", "keepalives", "keepalives_idle", "options", "tcp_user_timeout")
_MYSQL = ("charset", "collation", "connect_timeout", "init_command", "sql_mode")
"""What of a connection's options an application's driver is told."""


def libpq(credential: Credential, entry: Entry) -> dict[str, Any]:
    """Keywords of libpq (PostgreSQL manual, 34.1.2). Raises Invalid for a connection of another engine."""
    _fit(credential, "psycopg", _POSTGRESQL)
    ours = _place(credential) | {"dbname": credential.database, "user": entry.username, "password": entry.password}
    ours |= {"sslmode": credential.tls.mode}
    ours |= {"sslrootcert": file(credential.tls)} if _verified(credential) else required_by_libpq()
    return _options(credential, _LIBPQ) | ours


def asyncpg(credential: Credential, entry: Entry) -> dict[str, Any]:
    """Arguments of asyncpg.connect. Raises as `libpq`."""
    _fit(credential, "asyncpg", _POSTGRESQL)
    ours = _place(credential) | {"database": credential.database, "user": entry.username, "password": entry.password}
    return ours | {"ssl": context(credential.tls) or False}


def pymysql(credential: Credential, entry: Entry) -> dict[str, Any]:
    """Arguments of pymysql.connect. It reads a text password as Latin-1, so it is given UTF-8. Raises as `libpq`."""
    _fit(credential, "PyMySQL", _OF_MYSQL)
    ours = _place(credential) | {"user": entry.username, "password": entry.password.encode()}
    ours |= {"database": credential.database} if credential.database else {}
    made: ssl.SSLContext | None = context(credential.tls)
    ours |= {"ssl_disabled": True} if made is None else {"ssl": made}
    ours |= {} if _verified(credential) else required_by_pymysql()
    return {"charset": "utf8mb4"} | _options(credential, _MYSQL) | ours


def merged(given: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of what the application gave, completed by `ours`."""
    named = {key for key, value in given.items() if value not in (None, "")}
    left = dict(ours)
    if named & _HOSTS:
        left = {key: value for key, value in left.items() if key not in _HOSTS}
    if any(key.startswith("ssl") for key in named):
        left = {key: value for key, value in left.items() if not key.startswith("ssl")}
    if named & {"db", "dbname", "database"}:
        left = {key: value for key, value in left.items() if key not in ("db", "dbname", "database")}
    login = {key: ours[key] for key in ("user", "password")}
    kept = {key: value for key, value in given.items() if key in named or key not in left}
    return left | {key: value for key, value in kept.items() if key != "passwd"} | login


def _fit(credential: Credential, driver: str, engines: Collection[str]) -> None:
    if credential.engine not in engines:
        raise Invalid(
            f"the connection {credential.connection} is to {credential.engine}, and {driver} speaks to "
            f"{' and '.join(engines)}: name another connection, or use another driver",
            field="connection",
        )


def _verified(credential: Credential) -> bool:
    return credential.tls.mode in ("verify-full", "verify-ca")


def _place(credential: Credential) -> dict[str, Any]:
    return {"host": credential.primary.host, "port": credential.primary.port}


def _options(credential: Credential, known: Collection[str]) -> dict[str, Any]:
    return {name: credential.options[name] for name in known if name in credential.options}
