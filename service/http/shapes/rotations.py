"""Rotations on the wire."""

from datetime import datetime

from pydantic import Field

from service.core.hands import Hand
from service.core.rotation import Stage, Strategy
from service.http.shapes.words import Answer, NamePath, Request, Text


class AskRotation(Request):
    """A rotation to begin now."""

    connection: NamePath
    reason: Text = ""
    emergency: bool = Field(False, description="Announce and drain nothing: the former password dies at once.")


class RotationStep(Answer):
    """One sentence of a rotation's story."""

    stage: Stage
    at: datetime
    sentence: str


class RotationChoice(Answer):
    """What you can do with a rotation now."""

    hand: Hand
    sentence: str = Field(description="What it does.")


class DrainSession(Answer):
    """A session in the target that is still on the former credential."""

    username: str
    address: str = Field(description="Empty where the server does not tell.")
    application: str
    since: datetime | None = Field(description="Null where the server does not tell.")


class DrainCaller(Answer):
    """A caller whose youngest recorded fetch gave it the former credential, or an older one."""

    name: str
    generation: int
    at: datetime
    address: str | None = Field(description="Null when it was erased from the log.")


class Drain(Answer):
    """Who is still on the former credential, and how long they are waited for."""

    since: datetime
    not_before: datetime | None = Field(description="The former credential works at least until then.")
    limit_at: datetime = Field(description="Then `rotation.after_limit` of the connection says what is done.")
    sessions: list[DrainSession] | None = Field(description="At `seen_at`. Null for who may not edit the connection.")
    callers: list[DrainCaller] | None = Field(description="Now. Null for who may not edit the connection.")
    more: bool = Field(description="There are more callers than are listed.")
    lag: int = Field(description="The youngest events of the log, of which `callers` does not know yet.")
    seen_at: datetime | None = Field(description="When it was last looked in the target.")
    unknown: list[str] = Field(description="What could not be told, in sentences.")


class Rotation(Answer):
    """A rotation; `steps` is empty in lists, and `drain` null unless it drains."""

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
    choices: list[RotationChoice] = Field(description="What you can do with it now; empty when nothing is needed.")
    drain: Drain | None
