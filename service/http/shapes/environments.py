"""Environments on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.http.shapes.words import Answer, Cidr, Duration, Location, Request, Whole, Word

StoreRules = Annotated[
    dict[Literal["vault", "aws-sm", "env", "file"], Annotated[list[Location], Field(max_length=500)]],
    Field(
        description="Which locations references may read, per store; `*` at the end covers what begins with the rest. "
        "A store that is not named is closed.",
        examples=[{"vault": ["secret/shop/*"], "env": ["SHOP_*"]}],
    ),
]


StaleIfError = Annotated[
    int,
    Field(
        ge=0,
        le=3600,
        description="For how many seconds what was last read of a store is answered while that cannot be reached.",
    ),
    Whole,
]


class Approvals(Request):
    """In what a person needs another one to agree. What is left out is not held up."""

    variables: bool = Field(False, description="Changes to variables.")
    connections: bool = Field(False, description="Changes to connections.")
    policies: bool = Field(False, description="Changes to their rotation policies.")
    rotations: bool = Field(False, description="Rotations by hand, and incidents.")
    reveals: bool = Field(False, description="Fetches of secret values and credentials.")
    lasts: Duration = Field("8h", description="For how long one who asked waits for an answer: 5m to 14d.")


class NewEnvironment(Request):
    """An environment to make."""

    name: Word
    stores: StoreRules = Field(default_factory=dict)
    allowlist: list[Cidr] = Field(default_factory=list, max_length=200, description="Empty: every address.")
    stale_if_error: StaleIfError = 0
    approvals: Approvals | None = None


class ChangedEnvironment(Request):
    """What to change of an environment; what is left out stays."""

    stores: StoreRules | None = None
    allowlist: list[Cidr] | None = Field(None, max_length=200)
    stale_if_error: StaleIfError | None = None
    approvals: Approvals | None = None


class Environment(Answer):
    """A wall."""

    name: str
    stores: dict[str, list[str]]
    allowlist: list[str]
    revision: int
    created_at: datetime
    updated_at: datetime
    stale_if_error: int
    approvals: Approvals
