"""What travels: requests (strict, no unknown fields) and answers, as the OpenAPI document shows them."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic.config import JsonDict

from service.core.connection import Engine, Part, Standing, TlsMode
from service.core.names import LONGEST, PATH, SEGMENT
from service.core.rotation import Stage, Strategy
from service.core.variable import LONGEST_VALUE, ValueKind, VersionState

NamePath = Annotated[str, Field(max_length=LONGEST, pattern=f"^{PATH}$", examples=["shop/db/PASSWORD"])]
Word = Annotated[str, Field(max_length=LONGEST, pattern=f"^{SEGMENT}$", examples=["production"])]
Duration = Annotated[
    str, Field(max_length=40, pattern=r"^([0-9]{1,9}[dhms]?|([0-9]{1,9}[dhms]){1,4})$", examples=["12h", "90s"])
]
Cidr = Annotated[str, Field(max_length=50, pattern=r"^[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?$", examples=["10.0.0.0/8"])]


def _whole(given: object) -> object:
    return int(given) if isinstance(given, float) and given.is_integer() else given


Whole = BeforeValidator(_whole)
"""To JSON Schema, 1.0 is an integer too."""
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1), Whole]
Line = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")]
Location = Annotated[str, Field(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")]
Reference = Annotated[str, Field(max_length=1024, pattern=r"^(vault|aws-sm|env|file):[^\x00-\x1f\x7f]+$")]
Folder = Annotated[str, Field(max_length=LONGEST, pattern=f"^({PATH})?$")]
OptionName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]


def _option(given: object) -> object:
    if isinstance(given, str) and (len(given) > 1024 or re.search(r"[\x00-\x1f\x7f]", given)):
        raise ValueError("1,024 characters are the most, and none of them a control character")
    if isinstance(given, int) and not -(2**63) <= given < 2**63:
        raise ValueError("a number of 64 bits is the most")
    if not isinstance(given, (str, int)):
        raise ValueError("a string, a whole number or a boolean is needed")
    return given


Option = Annotated[
    Any,
    BeforeValidator(_option),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": 1024, "pattern": r"^[^\x00-\x1f\x7f]*$"},
                {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
                {"type": "boolean"},
            ]
        }
    ),
]
Options = dict[OptionName, Option]


class Request(BaseModel):
    """A body that is sent: unknown fields are refused, types are not bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """A body that is answered."""


class Problem(Answer):
    """RFC 9457 problem details."""

    type: str = Field(examples=["urn:keywright:problem:absent"])
    title: str
    status: int
    detail: str = Field(description="What, where, what to do; never a value.")
    field: str | None = Field(None, description="Which part of the request is meant.")
    request_id: str


# Environments.

StoreRules = Annotated[
    dict[Literal["vault", "aws-sm", "env", "file"], Annotated[list[Location], Field(max_length=500)]],
    Field(
        description="Which locations references may read, per store; `*` at the end covers what begins with the rest. "
        "A store that is not named is closed.",
        examples=[{"vault": ["secret/shop/*"], "env": ["SHOP_*"]}],
    ),
]


class NewEnvironment(Request):
    """An environment to make."""

    name: Word
    stores: StoreRules = Field(default_factory=dict)
    allowlist: list[Cidr] = Field(default_factory=list, max_length=200, description="Empty: every address.")


class ChangedEnvironment(Request):
    """What to change of an environment; what is left out stays."""

    stores: StoreRules | None = None
    allowlist: list[Cidr] | None = Field(None, max_length=200)


class Environment(Answer):
    """A wall."""

    name: str
    stores: dict[str, list[str]]
    allowlist: list[str]
    revision: int
    created_at: datetime
    updated_at: datetime


# Variables.


_VALUES = ("value", "reference", "template")


def _literal(given: object) -> object:
    if isinstance(given, str) and len(given) > LONGEST_VALUE:
        raise ValueError(f"{LONGEST_VALUE} characters are the most")
    if not isinstance(given, (str, dict)):
        raise ValueError("a string or a JSON object is needed")
    return given


Literal_ = Annotated[
    Any,
    BeforeValidator(_literal),
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": LONGEST_VALUE}, {"type": "object"}]}),
]


class PutVariable(Request):
    """A new version: exactly one of value, reference, template."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": [kind]} for kind in _VALUES]})

    value: Literal_ = Field(None, description="A literal: a string or a JSON object. Sealed here.")
    reference: Reference = Field("", examples=["vault:secret/shop/db#password"], description="`store:location[#key]`.")
    template: Annotated[str, Field(max_length=LONGEST_VALUE)] = Field(
        "",
        examples=["postgresql://app@${shop/db/HOST}/shop"],
        description="Text with `${variable}` and `${connection:NAME#field}`.",
    )
    secret: bool | None = Field(None, description="Left out: as it was; a new variable is secret.")
    activate: bool = Field(True, description="False: keep the version, but leave the live one live.")

    @model_validator(mode="after")
    def _one(self) -> "PutVariable":
        if len(self.model_fields_set.intersection(_VALUES)) != 1:
            raise ValueError("exactly one of value, reference and template is needed")
        return self


class Version(Answer):
    """One immutable version; never its value."""

    number: int
    kind: ValueKind
    state: VersionState
    created_at: datetime
    created_by: str


class ListedVariable(Answer):
    """A variable in a list."""

    name: str
    secret: bool
    kind: ValueKind | None
    live: int | None
    newest: int
    revision: int
    updated_at: datetime


class Variable(ListedVariable):
    """A variable with its versions."""

    versions: list[Version]


class Activate(Request):
    """Which version is to be live."""

    variable: NamePath
    version: VersionNumber


class SetVersion(Request):
    """What is to become of one version."""

    variable: NamePath
    version: VersionNumber
    state: Literal["kept", "deleted", "destroyed"] = Field(
        description="`deleted` can be taken back with `kept`; `destroyed` cannot."
    )


class Value(Answer):
    """A resolved value."""

    name: str
    value: str | dict[str, Any]
    version: int
    secret: bool
    kind: ValueKind
    age: float = Field(description="Seconds since an outside store was asked; 0 for what is kept here.")


class Values(Answer):
    """Several resolved values."""

    environment: str
    values: list[Value]


# Connections.


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


# Rotations.


class AskRotation(Request):
    """A rotation to begin now."""

    connection: NamePath
    reason: Text = ""
    emergency: bool = Field(False, description="Announce and drain nothing: the former password dies at once.")


class AskRehearsal(Request):
    """What would a rotation do?"""

    connection: NamePath


class Rehearsal(Answer):
    """What a rotation would do, without doing it."""

    sentences: list[str]
    statements: list[str] = Field(description="SQL, for a DBA to read or run.")
    problems: list[str]


class RotationStep(Answer):
    """One sentence of a rotation's story."""

    stage: Stage
    at: datetime
    sentence: str


class Rotation(Answer):
    """A rotation; `steps` is empty in lists."""

    id: str
    environment: str
    connection: str
    strategy: Strategy
    stage: Stage
    reason: str | None = Field(description="For abandoned and stuck: what happened.")
    note: str | None
    requested_by: str
    emergency: bool
    generation: int | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    steps: list[RotationStep]


# Tokens.


_NULL: JsonDict = {"type": "null"}
_STRING: JsonDict = {"type": "string"}
_ON: JsonDict = {
    "oneOf": [
        {"properties": {"kind": {"const": "everything"}, "environment": _NULL, "path": _NULL}},
        {
            "properties": {"kind": {"const": "environment"}, "environment": _STRING, "path": _NULL},
            "required": ["environment"],
        },
        {
            "properties": {"kind": {"enum": ["folder", "connection"]}, "environment": _STRING, "path": _STRING},
            "required": ["environment", "path"],
        },
    ]
}


class PutGrant(Request):
    """One permission."""

    model_config = ConfigDict(json_schema_extra=_ON)

    level: Literal["use", "edit", "own"]
    kind: Literal["everything", "environment", "folder", "connection"]
    environment: Word | None = None
    path: NamePath | None = Field(None, description="A folder or a connection's name.")


class NewToken(Request):
    """A machine's token."""

    name: Word
    grants: list[PutGrant] = Field(default_factory=list, max_length=100)
    expires_in: Duration | None = Field(None, description="Left out: it does not expire.")
    allowlist: list[Cidr] = Field(default_factory=list, max_length=200)


class NewGrant(PutGrant):
    """One more grant for a token."""

    token: Word


class Grant(Answer):
    """One permission, and who holds it."""

    id: str | None
    token: str
    level: str
    kind: str
    environment: str | None
    path: str


class Token(Answer):
    """A token; its text is in the answer that made it, and nowhere else."""

    id: str
    name: str
    grants: list[Grant]
    allowlist: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None


class MadeToken(Token):
    """A token that was made just now."""

    token: str = Field(description="Shown only now.")


class Me(Answer):
    """The caller."""

    id: str
    name: str
    kind: str
    grants: list[Grant]
    groups: list[str]
    attributes: dict[str, str]


# Events.


class Event(Answer):
    """One entry of the audit log."""

    id: str
    at: datetime
    actor: str
    kind: str
    name: str | None
    address: str | None
    request: str
    action: str
    outcome: Literal["allowed", "refused", "failed"]
    environment: str
    resource: str
    detail: dict[str, Any]


class Proof(Answer):
    """What following the chain found."""

    whole: bool
    events: int
    end: str = Field(description="Hash of the last batch that fits: note it outside to find a cut tail later.")
    broken_at: int | None
    finding: str


class Ready(Answer):
    """Readiness, by part."""

    ready: bool
    ledger: bool
    clock: bool


def page_of(kind: type[Answer]) -> type[BaseModel]:
    """A page of such answers."""
    from pydantic import create_model

    fields: dict[str, Any] = {
        "items": (list[kind], ...),  # type: ignore[valid-type]
        "next": (str | None, Field(None, description="Give it as `cursor` for the next page.")),
    }
    return create_model(f"{kind.__name__}Page", __base__=Answer, __doc__=f"A page of {kind.__name__}.", **fields)
