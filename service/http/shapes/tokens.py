"""Tokens, grants and the caller on the wire."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from service.http.shapes.words import Answer, Cidr, Duration, Email, GroupName, NamePath, Request, Word

_NULL: JsonDict = {"type": "null"}
_STRING: JsonDict = {"type": "string"}
_ON: JsonDict = {
    "oneOf": [
        {
            "properties": {
                "kind": {"enum": ["everything", "people", "settings"]},
                "environment": _NULL,
                "path": _NULL,
            }
        },
        {"properties": {"kind": {"const": "machine"}, "environment": _NULL}},
        {
            "properties": {"kind": {"const": "environment"}, "environment": _STRING, "path": _NULL},
            "required": ["environment"],
        },
        {
            "properties": {
                "kind": {"enum": ["folder", "connection", "policy"]},
                "environment": _STRING,
                "path": _STRING,
            },
            "required": ["environment", "path"],
        },
    ]
}

Rule = Annotated[
    str,
    Field(
        max_length=1000,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$",
        description="The grant counts only while this holds for the caller: see docs/access.md. Empty: always.",
        examples=["'on-call' in current_user.groups"],
    ),
]


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
    kind: Literal["everything", "environment", "folder", "connection", "policy", "machine", "people", "settings"]
    environment: Word | None = None
    path: NamePath | None = Field(
        None, description="A folder; the name of a connection, for its policy too; a machine, or a folder of machines."
    )
    rule: Rule = ""


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


_HOLDERS = ("token", "machine", "user", "group")
_WHOSE: JsonDict = {
    "oneOf": [
        {"properties": {each: _STRING if each == holder else _NULL for each in _HOLDERS}, "required": [holder]}
        for holder in _HOLDERS
    ]
}


class NewGrant(PutGrant):
    """One more grant for a token, a machine, a user, or a group."""

    model_config = ConfigDict(json_schema_extra={"allOf": [_ON, _WHOSE]})

    token: Word | None = None
    machine: NamePath | None = None
    user: Email | None = Field(None, description="Its address.")
    group: GroupName | None = Field(None, description="Its name.")

    @model_validator(mode="after")
    def _one_holder(self) -> Self:
        if sum(getattr(self, holder) is not None for holder in _HOLDERS) != 1:
            raise ValueError("exactly one of token, machine, user and group is needed")
        return self


class Grant(Answer):
    """One permission, and who holds it: one of `token`, `machine`, `user` and `group`; the others are null."""

    id: str | None
    token: str | None
    level: str
    kind: str
    environment: str | None
    path: str
    rule: str = Field(description="It counts only while this holds; empty: always.")
    machine: str | None
    user: str | None
    group: str | None


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


class NewPersonalToken(Request):
    """A token of a person's own."""

    name: Word
    expires_in: Duration | None = Field(None, description="Left out: it ends with its person's account.")
    allowlist: list[Cidr] = Field(default_factory=list, max_length=200)


class PersonalToken(Answer):
    """A token of a person's own; its text is in the answer that made it, and nowhere else."""

    id: str
    name: str
    allowlist: list[str]
    created_at: datetime
    expires_at: datetime | None


class MadePersonalToken(PersonalToken):
    """A token that was made just now."""

    token: str = Field(description="Shown only now.")


class CurrentUser(Answer):
    """The person who asks, as rules see it."""

    id: str
    email: str
    name: str
    groups: list[str]
    attributes: dict[str, str | list[str]]
    method: str = Field(description="How it signed in: `password`, `passkey`, `oidc:NAME`, `saml:NAME`, or `token`.")
    signed_in_at: datetime | None
    factor_at: datetime | None = Field(description="When it last showed a second factor.")


class LandingPlace(Answer):
    """Where a person is taken after signing in."""

    environment: str
    folder: str


class Me(Answer):
    """The caller."""

    id: str
    name: str
    kind: str
    grants: list[Grant]
    groups: list[str]
    attributes: dict[str, str | list[str]]
    current_user: CurrentUser | None = Field(description="null for a machine.")
    landing: LandingPlace | None = Field(description="null where there is none, or the caller may edit there.")
