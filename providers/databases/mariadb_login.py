"""Logging in to MariaDB: TLS as the target says or no login at all, every wait bounded."""

import ssl
from contextlib import suppress
from typing import Any, Never, TypeAlias

import pymysql
from pymysql.constants import CR
from pymysql.err import OperationalError

from service.core.connection import Access, Endpoint, Tls, TlsMode

Link: TypeAlias = "pymysql.Connection[Any]"

_PASSED = ("charset", "collation", "init_command", "sql_mode")
"""What of a target's options concerns the session, and is not Keywright's own to decide."""
_REVEALING = ("mysql_clear_password", "dialog", "sha256_password", "caching_sha2_password")


class _Refusing:
    """Stands for an authentication method that shows the password to whoever is at the other end."""

    def __init__(self, connection: Link) -> None:
        pass

    def authenticate(self, packet: object) -> Never:  # noqa: ARG002
        """Raises OperationalError."""
        raise OperationalError(CR.CR_AUTH_PLUGIN_CANNOT_LOAD, "the server asks for the clear text, unverified")


def connect(access: Access, endpoint: Endpoint, *, seconds: float) -> Link:
    """Log in, each wait no longer than that. Raises pymysql.err.MySQLError with the server's or client's number.

    PyMySQL does without TLS when it is only preferred; with a context given, it refuses a server that offers none
    before it has sent anything. Its own reading of a text password is Latin-1, so it is given UTF-8 bytes.
    """
    target, account = access.target, access.account
    context = tls_context(target.tls)
    verified = target.tls.mode in (TlsMode.VERIFY_FULL, TlsMode.VERIFY_CA)
    options: dict[str, Any] = {"charset": "utf8mb4"}
    options |= {name: str(value) for name, value in target.options.items() if name in _PASSED}
    connection: Link = pymysql.Connection(
        host=endpoint.host,
        port=endpoint.port,
        user=account.username,
        password=account.password.reveal().encode(),
        database=target.database or None,
        ssl=context,
        ssl_disabled=context is None,
        auth_plugin_map=None if verified else dict.fromkeys(_REVEALING, _Refusing),
        connect_timeout=seconds,
        read_timeout=seconds,
        write_timeout=seconds,
        autocommit=True,
        program_name="keywright",
        defer_connect=True,
        **options,
    )
    try:
        connection.connect()
    except BaseException:
        leave(connection)
        raise
    return connection


def leave(connection: Link) -> None:
    """Close, whatever state the connection is in."""
    with suppress(pymysql.err.Error, OSError):
        connection.close()


def tls_context(tls: Tls) -> ssl.SSLContext | None:
    """None means plain. Raises OperationalError when `ca` holds no certificate."""
    if tls.mode is TlsMode.DISABLE:
        return None
    try:
        context = ssl.create_default_context(cadata=tls.ca)
    except (ssl.SSLError, ValueError):
        raise OperationalError(CR.CR_SSL_CONNECTION_ERROR, "the connection's ca is no PEM certificate") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.mode is TlsMode.VERIFY_FULL
    if tls.mode is TlsMode.REQUIRE:
        context.verify_mode = ssl.CERT_NONE
    return context


def sendable(text: str) -> bool:
    """Can MariaDB's clients be told this text? Most of them end it at a NUL."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
