"""Tokens, grants and the caller on the wire."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from service.http.shapes.words import Answer, Cidr, Duration, NamePath, Request, Word

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


Certificates = Annotated[
    list[Annotated[str, Field(max_length=95, pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$", examples=["ab" * 32])]],
    Field(
        max_length=2,
        description="SHA-256 fingerprints (of the DER, in hex; RFC 8705 has them as x5t#S256) of client certificates: "
        "the token is of use only over a connection that showed one of them. Empty: over every one.",
    ),
]


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
    certificates: Certificates = Field(default_factory=list)
    bearer: bool = Field(
        True,
        description="false: no token is made, and a certificate alone stands for the caller (RFC 8705, section 2).",
    )


class BoundToken(Request):
    """What a token is bound to from now on."""

    certificates: Certificates


_WHOSE: JsonDict = {
    "oneOf": [
        {"properties": {"token": _STRING, "machine": _NULL}, "required": ["token"]},
        {"properties": {"machine": _STRING, "token": _NULL}, "required": ["machine"]},
    ]
}


class NewGrant(PutGrant):
    """One more grant for a token, or for a machine."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_ON, _WHOSE]})

    token: Word | None = None
    machine: NamePath | None = None

    @model_validator(mode="after")
    def _one_holder(self) -> Self:
        if (self.token is None) == (self.machine is None):
            raise ValueError("exactly one of token and machine is needed")
        return self


class Grant(Answer):
    """One permission, and who holds it."""

    id: str | None
    token: str | None = Field(description="null where a machine holds it.")
    level: str
    kind: str
    environment: str | None
    path: str
    machine: str | None = Field(description="null where a token holds it.")


class Token(Answer):
    """A token; its text is in the answer that made it, and nowhere else."""

    id: str
    name: str
    grants: list[Grant]
    allowlist: list[str]
    certificates: list[str]
    bearer: bool = Field(description="false: there is no token, and a certificate alone stands for the caller.")
    created_at: datetime
    created_by: str
    expires_at: datetime | None


class MadeToken(Token):
    """A token that was made just now."""

    token: str | None = Field(description="Shown only now. null where a certificate alone stands for the caller.")


class Me(Answer):
    """The caller."""

    id: str
    name: str
    kind: str
    grants: list[Grant]
    groups: list[str]
    attributes: dict[str, str]
