"""Incidents on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from service.core.incident import FASTEST, State
from service.core.rotation import Stage
from service.http.shapes.words import Answer, Folder, Request, Text, Whole

PerMinute = Annotated[int, Field(ge=1, le=FASTEST), Whole]


class BeginIncident(Request):
    """Everything in a folder is to be rotated, now."""

    folder: Folder = Field(description="At any depth; empty for the whole environment.")
    reason: Annotated[Text, Field(min_length=1)]
    emergency: bool = Field(False, description="Announce and drain nothing: the former passwords die at once.")
    per_minute: PerMinute = Field(60, description="Rotations that begin in a minute, at most.")
    dry_run: bool = Field(False, description="Only tell what would be rotated, and in which order.")


class SkippedConnection(Answer):
    """A connection that is not rotated, and why."""

    connection: str
    reason: str


class Trouble(Answer):
    """A rotation that is stuck, abandoned or reverted, or is tried again and again; and why."""

    connection: str
    rotation: str
    stage: Stage
    reason: str


class IncidentPlan(Answer):
    """What an incident would rotate; nothing was changed."""

    connections: list[str] = Field(description="In the order in which they begin.")
    skipped: list[SkippedConnection]
    lasts: float = Field(description="Seconds from the first beginning to the last, at this rate.")


class Incident(Answer):
    """An incident, and how far it is: each of its `total` connections is waiting, skipped, or at a stage."""

    id: str
    environment: str
    folder: str
    reason: str
    requested_by: str
    emergency: bool
    per_minute: int
    state: State
    total: int
    waiting: int = Field(description="Still to begin.")
    stages: dict[Stage, int] = Field(description="How many of its rotations are at which stage.")
    skipped: list[SkippedConnection]
    troubles: list[Trouble]
    created_at: datetime
    ended_at: datetime | None
