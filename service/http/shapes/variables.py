"""Variables and values on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from service.core.variable import LONGEST_VALUE, ValueKind, VersionState
from service.http.shapes.words import Answer, NamePath, Reference, Request, VersionNumber

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
    age: float = Field(description="Seconds since it was read of an outside store; 0 for what is kept here.")
    stale: bool = Field(
        description="The store cannot be reached, and the environment's `stale_if_error` lets this be told."
    )


class Values(Answer):
    """Several resolved values."""

    environment: str
    values: list[Value]
