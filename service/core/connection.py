"""Connections: typed database targets, who administers them, and what is offered to applications."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never
from urllib.parse import quote

from service.core.secret import Secret

Option = str | int | bool


class Engine(StrEnum):
    """The kinds of database that Keywright can rotate."""

    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"


DEFAULT_PORTS = {Engine.POSTGRESQL: 5432, Engine.MARIADB: 3306}


class TlsMode(StrEnum):
    """How a connection to the target is protected. There is no fallback from one to another."""

    VERIFY_FULL = "verify-full"  # encrypted, certificate and host name verified: the default
    VERIFY_CA = "verify-ca"  # encrypted, certificate verified, host name not
    REQUIRE = "require"  # encrypted, nothing verified
    DISABLE = "disable"  # plain


@dataclass(frozen=True)
class Tls:
    """Protection of the connection; `ca` is PEM text, absent for the system's own roots."""

    mode: TlsMode = TlsMode.VERIFY_FULL
    ca: str | None = None


class Part(StrEnum):
    """What an endpoint is within its cluster."""

    PRIMARY = "primary"
    REPLICA = "replica"


@dataclass(frozen=True)
class Endpoint:
    """One address of the target. A new password must work on every `required` one before it is published."""

    host: str
    port: int
    part: Part = Part.PRIMARY
    required: bool = True

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Target:
    """A database as its applications reach it. `options` are the driver's own and pass through unchanged."""

    engine: Engine
    endpoints: tuple[Endpoint, ...]
    database: str
    tls: Tls = Tls()
    options: Mapping[str, Option] = field(default_factory=dict)

    @property
    def primary(self) -> Endpoint:
        """The endpoint that takes changes."""
        return next(e for e in self.endpoints if e.part is Part.PRIMARY)


@dataclass(frozen=True)
class Account:
    """A username with its password."""

    username: str
    password: Secret


@dataclass(frozen=True)
class Access:
    """A way in: where, and as whom."""

    target: Target
    account: Account


# What a login attempt tells. Four outcomes that are never confused (promise 3).


@dataclass(frozen=True)
class Accepted:
    """Logged in. `identity` is what must not change from one login of a pair to the other.

    Keys of `identity` are the engine's own: `current_user`, role memberships, settings, grants.
    """

    identity: Mapping[str, str]


@dataclass(frozen=True)
class Rejected:
    """The server answered that username and password do not go together."""

    reason: str


@dataclass(frozen=True)
class Unreachable:
    """No answer about the password: host down, timeout, TLS failure, too many connections, starting up."""

    reason: str


class Unprotected(Unreachable):
    """It answered, and offers no TLS, which the target asks for: nothing was said of the login."""


@dataclass(frozen=True)
class NotPermitted:
    """The server refuses this login whatever its password: locked, no access to the database, host rules."""

    reason: str


Probe = Accepted | Rejected | Unreachable | NotPermitted


# What is offered to applications.


class Standing(StrEnum):
    """The state of one entry in the ordered set that a connection offers."""

    LIVE = "live"
    NEXT = "next"
    DRAINING = "draining"


def url(target: Target, account: Account) -> Secret:
    """The credential as one URL (RFC 3986; libpq manual, 34.1.1.2), percent-encoded where needed."""
    username, password = quote(account.username, safe=""), quote(account.password.reveal(), safe="")
    match target.engine:
        case Engine.POSTGRESQL:
            # libpq takes several hosts; applications that need a writable one say target_session_attrs.
            hosts, scheme = ",".join(map(str, target.endpoints)), "postgresql"
            tls = {"sslmode": target.tls.mode.value}
            yes, no = "1", "0"  # libpq's booleans are integers (manual, 34.1.2)
        case Engine.MARIADB:
            hosts, scheme = str(target.primary), "mysql"
            tls = {}
            yes, no = "true", "false"
        case _:
            assert_never(target.engine)
    options = {name: str(value) for name, value in target.options.items()}
    options |= {name: yes if value else no for name, value in target.options.items() if isinstance(value, bool)}
    parameters = tls | options | tls  # the target's own protection stands, and stands first
    query = "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in parameters.items())
    tail = f"?{query}" if query else ""
    return Secret(f"{scheme}://{username}:{password}@{hosts}/{quote(target.database, safe='')}{tail}")
