"""Tokens, grants and the caller on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict, Field
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
