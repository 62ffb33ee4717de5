"""Rotations on the wire."""

from datetime import datetime

from pydantic import Field

from service.core.rotation import Stage, Strategy
from service.http.shapes.words import Answer, NamePath, Request, Text


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
