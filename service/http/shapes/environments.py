"""Environments on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.http.shapes.words import Answer, Cidr, Location, Request, Word

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
