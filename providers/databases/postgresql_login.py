"""Logging in to PostgreSQL: exactly where, how and as whom it was asked, with a reason by code when it fails.

What a failed login tells is its SQLSTATE (PostgreSQL manual, appendix A), never its text, which follows
the server's language. libpq keeps the code of a failed *connection* to itself, so it is asked to write
nothing but the code: `PQsetErrorVerbosity(…, PQERRORS_SQLSTATE)` (manual, 34.11) turns every error of the
server into `FATAL:  28P01`. psycopg does not offer that function; it is called in the very library that
psycopg loaded, on the connection that psycopg made. An error without a code is libpq's own: no connection,
no TLS, no answer.

Nothing ambient gets in: every keyword that libpq knows is written out, so that neither PG* variables nor
the files in ~/.postgresql and ~/.pgpass decide anything. (PGSERVICE alone cannot be masked: a service that
does not exist makes logins fail, and one that exists finds every keyword taken.)
"""

import ctypes
import hashlib
import re
import select
import shutil
import socket
import ssl
import struct
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.waiting import Ready, Wait

from service.core.connection import Access, Endpoint, Tls, TlsMode

T = TypeVar("T")

_SQLSTATE_ONLY = 3  # PQERRORS_SQLSTATE in libpq-fe.h
_CODE = re.compile(r":  ([0-9A-Z]{5})\s*$")
_SSL_REQUEST = struct.pack(">ii", 8, 80877103)
_NOTHING = "/dev/null/nothing"
"""A path at which there can be no file: libpq treats it as absent, and does not look in the home directory."""
_OWNED = re.compile(
    "^(host|hostaddr|port|user|password|dbname|passfile|service|servicefile|application_name|connect_timeout"
    "|client_encoding|target_session_attrs|load_balance_hosts|replication|requirepeer|keepalives.*|ssl.*|gss.*|krb.*"
    "|scram_.*|oauth_.*)$"
)
"""Keywords that follow from the target, or that only make sense for an application; never taken from `options`."""
_NEUTRAL = {
    "application_name": "keywright",
    "channel_binding": "prefer",
    "client_encoding": "UTF8",
    "gssdelegation": "0",
    "gssencmode": "disable",
    "keepalives": "1",
    "keepalives_count": "3",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "krbsrvname": "postgres",
    "load_balance_hosts": "disable",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "passfile": _NOTHING,
    "require_auth": "!gss,!sspi",
    "sslcert": _NOTHING,
    "sslcertmode": "disable",
    "sslcompression": "0",
    "sslcrl": _NOTHING,
    "sslkey": _NOTHING,
    "sslnegotiation": "postgres",
    "sslsni": "1",
    "ssl_min_protocol_version": "TLSv1.2",
    "target_session_attrs": "any",
    "tcp_user_timeout": "10000",
}
"""What libpq is told where neither the target nor its options say anything; other keywords are told "nothing"."""
_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class LoginFailed(Exception):
    """There is no connection. `sqlstate` is the server's code, or None when it was not the server who refused.

    `plain`: the server answered that it has no TLS, and was told nothing more.
    """

    def __init__(self, sqlstate: str | None, reason: str, *, plain: bool = False) -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate
        self.reason = reason
        self.plain = plain


class Bounded(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which no wait lasts longer than `patience` seconds, even if the server stands still."""

    patience = 10.0

    def wait(self, gen: PQGen[T], interval: float = 0.0, timeout: float | None = None) -> T:  # noqa: ARG002
        """Run one exchange with the server to its end. Raises OperationalError, and closes, when it takes too long."""
        deadline = time.monotonic() + (self.patience if timeout is None else timeout)
        try:
            wanted = next(gen)
            while ready := _ready(self.pgconn.socket, wanted, deadline):
                wanted = gen.send(ready)
        except StopIteration as done:
            answer: T = done.value
            return answer
        self.pgconn.finish()
        raise psycopg.OperationalError(f"no answer within {self.patience:g} s")


class Certificates:
    """The files that libpq wants its certificate authorities in; they live as long as this object."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def path(self, tls: Tls) -> str:
        """A file with the target's authorities, or the system's. Raises LoginFailed when the system has none."""
        if tls.mode not in (TlsMode.VERIFY_FULL, TlsMode.VERIFY_CA):
            return _NOTHING  # a file here would make libpq verify what nobody asked it to verify
        if tls.ca is None:
            # psycopg's own OpenSSL looks in the folders of the machine that built it.
            found = [p for p in (ssl.get_default_verify_paths().cafile, *_ROOTS) if p and Path(p).is_file()]
            if not found:
                raise LoginFailed(None, "this system has no file of certificate authorities; give the connection a ca")
            return found[0]
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="keywright-ca-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        file = self._folder / f"{hashlib.sha256(tls.ca.encode()).hexdigest()}.pem"
        if not file.exists():
            fresh = Path(tempfile.mkstemp(dir=self._folder)[1])  # mode 0600
            fresh.write_text(tls.ca)
            fresh.replace(file)
        return str(file)


def conninfo(access: Access, endpoint: Endpoint, certificates: Certificates) -> str:
    """libpq's connection string for one endpoint (manual, 34.1.2), with every keyword written out."""
    target, account = access.target, access.account
    words, known = dict(_nothing_ambient()), _keywords()
    if target.tls.mode not in (TlsMode.VERIFY_FULL, TlsMode.VERIFY_CA):
        words["require_auth"] += ",!password"  # whoever answers must not be able to ask for the clear text
    for name, value in target.options.items():
        if name in known and not _OWNED.match(name):
            words[name] = str(int(value) if isinstance(value, bool) else value)
    words |= {
        "host": endpoint.host,
        "port": str(endpoint.port),
        "dbname": target.database,
        "user": account.username,
        "password": account.password.reveal(),
        "sslmode": target.tls.mode.value,
        "sslrootcert": certificates.path(target.tls),
    }
    return make_conninfo("", **words)


@cache
def _keywords() -> frozenset[str]:
    """Every keyword that this libpq knows."""
    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


@cache
def _nothing_ambient() -> Mapping[str, str]:
    """Every keyword that an environment variable could decide, decided."""
    defaults = pq.Conninfo.get_defaults()
    # Empty means unset to libpq, and yet set: the environment is not asked. A service has no such value.
    words = {option.keyword.decode(): "" for option in defaults if option.envvar and option.keyword != b"service"}
    return words | {keyword: value for keyword, value in _NEUTRAL.items() if keyword in _keywords()}


def connect(access: Access, endpoint: Endpoint, certificates: Certificates, *, seconds: float) -> Bounded:
    """Log in within that many seconds, name resolution (which has limits of its own) apart. Raises LoginFailed."""
    account = access.account
    if not all(map(sendable, (account.username, account.password.reveal(), access.target.database))):
        raise LoginFailed("22021", "NUL characters and half surrogates cannot be sent")
    if not endpoint.host or set(endpoint.host) & set(",/@"):
        # To libpq these are several hosts, or the folder of a socket, on which it would not ask for TLS.
        raise LoginFailed(None, f"{endpoint.host!r} is not the name or address of one host")
    deadline = time.monotonic() + seconds
    pgconn = pq.PGconn.connect_start(conninfo(access, endpoint, certificates).encode())
    _set_error_verbosity(pgconn.pgconn_ptr, _SQLSTATE_ONLY)  # type: ignore[attr-defined]
    while pgconn.status != pq.ConnStatus.BAD:
        match _connect_poll(pgconn.pgconn_ptr):  # type: ignore[attr-defined]
            case pq.PollingStatus.OK:
                pgconn.nonblocking = 1
                connection = Bounded(pgconn)
                connection.prepare_threshold = None
                return connection
            case pq.PollingStatus.READING:
                wanted = Wait.R
            case pq.PollingStatus.WRITING:
                wanted = Wait.W
            case _:
                break
        if not _ready(pgconn.socket, wanted, deadline):
            pgconn.finish()
            raise LoginFailed(None, f"no answer from {endpoint} within {seconds:g} s")
    text = pgconn.get_error_message()
    pgconn.finish()
    if code := _CODE.search(text):
        raise LoginFailed(code[1], f"{endpoint} answered with SQLSTATE {code[1]}")
    if access.target.tls.mode is not TlsMode.DISABLE and _has_no_tls(endpoint, deadline):
        raise LoginFailed(None, f"{endpoint} offers no TLS, which the connection asks for: see `tls`", plain=True)
    raise LoginFailed(None, " ".join(text.split()))


def _has_no_tls(endpoint: Endpoint, deadline: float) -> bool:
    """Does it answer SSLRequest with N (PostgreSQL manual, SSL Session Encryption)? libpq has no code for that."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), max(0.01, deadline - time.monotonic())) as asked:
            asked.sendall(_SSL_REQUEST)
            return asked.recv(1) == b"N"
    except (OSError, ValueError):  # ValueError: a name that is none
        return False


def sendable(text: str) -> bool:
    """Can PostgreSQL be told this text? libpq would end it at a NUL, silently."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _ready(descriptor: int, wanted: Wait, deadline: float) -> Ready | None:
    """Wait for the socket; None when the time is up."""
    waiter = select.poll()  # not select(), which ends at 1024 descriptors
    waiter.register(descriptor, (select.POLLIN if wanted & Wait.R else 0) | (select.POLLOUT if wanted & Wait.W else 0))
    found = waiter.poll(max(0.0, deadline - time.monotonic()) * 1000)
    if not found:
        return None
    event = found[0][1]
    if event & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
        return Ready(int(wanted))  # libpq finds out what happened
    return Ready((Ready.R if event & select.POLLIN else 0) | (Ready.W if event & select.POLLOUT else 0))


def scram_verifier(connection: psycopg.Connection[Any], username: str, password: str) -> str:
    """What the server keeps of a password (libpq manual, PQencryptPasswordConn). Raises OperationalError."""
    made = _encrypt_password(
        connection.pgconn.pgconn_ptr,  # type: ignore[attr-defined]
        password.encode(),
        username.encode(),
        b"scram-sha-256",
    )
    if not made:
        raise psycopg.OperationalError(connection.pgconn.get_error_message())
    try:
        return ctypes.string_at(made).decode()
    finally:
        _free(made)


def _libpq() -> ctypes.CDLL:
    module = sys.modules[pq.PGconn.__module__]
    # A handle of psycopg's extension finds the symbols of the libpq that it is linked with (dlsym(3)).
    return module.impl.pq if hasattr(module, "impl") else ctypes.CDLL(str(module.__file__))


def _function(name: str, answers: Any, *takes: Any) -> Callable[..., Any]:
    function = getattr(_libpq(), name)
    function.restype, function.argtypes = answers, list(takes)
    made: Callable[..., Any] = function
    return made


_set_error_verbosity = _function("PQsetErrorVerbosity", ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
# psycopg holds the interpreter's lock while libpq derives the keys of SCRAM (RFC 5802: 4,096 rounds of
# HMAC, two milliseconds at every login), so that threads that log in would go one after another. ctypes lets it go.
_connect_poll = _function("PQconnectPoll", ctypes.c_int, ctypes.c_void_p)
_encrypt_password = _function("PQencryptPasswordConn", ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_char_p] * 3)
_free = _function("PQfreemem", None, ctypes.c_void_p)
