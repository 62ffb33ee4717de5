"""Connections and credentials on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from service.core.connection import Engine, Part, Standing, TlsMode
from service.http.shapes.words import Answer, Duration, Line, NamePath, Options, Reference, Request, Whole


class PutEndpoint(Request):
    """One address."""

    host: str = Field(
        max_length=255,
        pattern=r"^([A-Za-z0-9_]([A-Za-z0-9._-]{0,252}[A-Za-z0-9_])?|[0-9A-Fa-f:.]{2,45})$",
        examples=["db.internal"],
    )
    port: Annotated[int, Field(ge=1, le=65535), Whole] | None = None
    part: Literal["primary", "replica"] = "primary"
    required: bool = Field(True, description="A new password must work here before it is published.")


class PutTls(Request):
    """Protection of the way to the database; there is no fallback."""

    mode: Literal["verify-full", "verify-ca", "require", "disable"] = Field("verify-full")
    ca: Annotated[str, Field(max_length=65536, pattern="-----BEGIN CERTIFICATE-----")] | None = Field(
        None, description="PEM text; left out: the system's roots."
    )


class PutLogin(Request):
    """The login that applications use now. It is verified and imported, never changed unasked."""

    username: Line
    password: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]+$")] | None = Field(
        None, description="Left out: it lives in `kept_in`, or rotation makes it."
    )


class PutPassword(Request):
    """What generated passwords look like."""

    length: Annotated[int, Field(ge=1, le=128), Whole] = 32
    classes: list[Literal["lower", "upper", "digit", "symbol"]] = Field(default=["lower", "upper", "digit"])
    excluded: Annotated[str, Field(max_length=100, pattern=r"^[!-~]*$")] = ""


class PutKeptIn(Request):
    """The outside secret in which the password lives (write-back)."""

    reference: Reference = Field(examples=["vault:secret/shop/db"])
    password_key: Line = "password"  # noqa: S105 - the name of a key
    username_key: Line | None = None


class PutWindow(Request):
    """When rotations may begin."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]] | None = None
    from_: str = Field(alias="from", examples=["22:00"], pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")
    to: str = Field(examples=["04:00"], pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")


class PutBlackout(Request):
    """Dates, both included, on which no rotation begins."""

    first: str = Field(examples=["2026-12-24"], pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
    last: str = Field(examples=["2027-01-02"], pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


class PutRotation(Request):
    """How and when the password turns."""

    strategy: Literal["alternating", "overlapping", "single"]
    every: Duration | None = None
    cron: Annotated[str, Field(max_length=200, pattern=r"^[ -~]+$")] | None = Field(None, examples=["30 3 * * 1-5"])
    time_zone: Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] | None = Field(
        None, examples=["Europe/Berlin"]
    )
    windows: list[PutWindow] | None = Field(None, max_length=100)
    blackouts: list[PutBlackout] | None = Field(None, max_length=100)
    jitter: Duration | None = None
    missed: Literal["run_now", "next_window", "alert"] | None = None
    grace: Duration | None = None
    drain_minimum: Duration | None = Field(None, description="How long a credential works after it was replaced.")
    drain_limit: Duration | None = None
    after_limit: Literal["retire", "end", "alert", "wait"] | None = Field(
        None, description="When the drain limit is over and somebody is still seen on the former credential."
    )
    siblings: NamePath | None = Field(None, description="Connections with the same word keep their `spacing`.")
    spacing: Duration | None = Field(
        None, description="Scheduled rotations of siblings, and on one host, begin at least this far apart."
    )
    check_every: Duration | Literal["never"] | None = Field(
        None, description="How often the live credential is tried from outside of the rotation path; at least 1m."
    )
    password: PutPassword | None = None
    role: Line | None = Field(None, description="`alternating`: the role that both logins act as.")
    logins: list[Line] | None = Field(None, min_length=2, max_length=2, description="`alternating`: the two logins.")


class PutConnection(Request):
    """A typed database target."""

    engine: Literal["postgresql", "mariadb"]
    endpoints: list[PutEndpoint] = Field(min_length=1, max_length=16)
    database: Line
    tls: PutTls = PutTls(mode="verify-full", ca=None)
    options: Options = Field(
        default_factory=dict, max_length=50, description="The driver's own; passed through unchanged."
    )
    administered_by: NamePath | None = Field(None, description="The connection whose login changes the password.")
    login: PutLogin | None = None
    kept_in: PutKeptIn | None = None
    rotation: PutRotation | None = None


class PutPolicy(Request):
    """A rotation policy by itself."""

    rotation: PutRotation | None = Field(description="null: the password turns no more.")


class Policy(Answer):
    """The rotation policy of a connection."""

    connection: str
    rotation: dict[str, Any] | None
    next_due_at: datetime | None
    revision: int = Field(description="Of the connection.")


class HostRules(Answer):
    """What the owner of a database writes there, so that a connection's logins come in from these networks alone."""

    connection: str
    engine: Engine
    logins: list[str]
    networks: list[str] = Field(description="Of applications, and of Keywright, which logs in like them.")
    administration_logins: list[str] = Field(
        description="Empty where there are none apart, or where you may not see that connection."
    )
    administration_networks: list[str] = Field(description="Of Keywright.")
    lines: list[str] = Field(description="To paste, comments among them: of `pg_hba.conf`, or SQL for MariaDB.")


class Endpoint(Answer):
    """One address."""

    host: str
    port: int
    part: Part
    required: bool


class Tls(Answer):
    """Protection of the way to the database."""

    mode: TlsMode
    ca: str | None


class Health(Answer):
    """How a connection fares."""

    state: Literal["well", "warned", "failing"]
    findings: list[str]


class Connection(Answer):
    """A connection; never a password."""

    name: str
    engine: Engine
    endpoints: list[Endpoint]
    database: str
    tls: Tls
    options: dict[str, str | int | bool]
    administered_by: str | None
    logins: list[str]
    kept_in: dict[str, Any] | None
    rotation: dict[str, Any] | None
    generation: int
    next_due_at: datetime | None
    health: Health
    id: str = Field(description="Stays the same. What keeps its fence in the target is named `keywright_fence_ID`.")
    revision: int
    updated_at: datetime


class CredentialEntry(Answer):
    """One username and password that works, or will."""

    state: Standing
    username: str
    password: str
    url: str
    valid_from: datetime | None
    good_until: datetime


class Credential(Answer):
    """What a connection offers, best first; the first one also at the top."""

    connection: str
    engine: Engine
    endpoints: list[Endpoint]
    database: str
    tls: Tls
    options: dict[str, str | int | bool]
    generation: int
    rotates_at: datetime | None
    username: str
    password: str
    url: str
    good_until: datetime
    credentials: list[CredentialEntry]
    age: float = Field(description="Seconds since it was read of an outside store; 0 for what is kept here.")
    stale: bool = Field(
        description="The store cannot be reached, and the environment's `stale_if_error` lets this be told."
    )
