"""Rehearsals on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from service.core.connection import Part
from service.core.rotation import Stage
from service.http.shapes.words import Answer, NamePath, Request


class AskRehearsal(Request):
    """What would a rotation do?"""

    connection: NamePath


class PlannedStage(Answer):
    """A stage that the rotation would go through, if all goes well."""

    stage: Stage
    at: datetime = Field(description="The earliest moment, were it asked for now.")
    sentence: str


class RehearsedEndpoint(Answer):
    """What a login with the live credential told; where none is known, one as nobody, which `rejected` is well for."""

    endpoint: str
    part: Part
    required: bool
    outcome: Literal["accepted", "rejected", "unreachable", "not permitted"]
    reason: str | None
    protection: str = Field(description="What the connection's TLS mode asks for.")
    protocol: str | None = Field(description="Protocol and cipher; empty where it is plain, null where nobody got in.")


class RehearsalCaller(Answer):
    """A caller who fetched the credential lately."""

    name: str
    generation: int = Field(description="Of the youngest that it got.")
    at: datetime
    address: str | None = Field(description="Null when it was erased from the log.")


class RehearsalSession(Answer):
    """Somebody who is connected now, as the login that applications use."""

    username: str
    address: str = Field(description="Empty where the server does not tell.")
    application: str
    since: datetime | None = Field(description="Null where the server does not tell.")


class Rehearsal(Answer):
    """What a rotation would do, tried as far as that goes without effect."""

    problems: list[str] = Field(description="What would keep it from working.")
    warnings: list[str] = Field(description="What is good to know before.")
    plan: list[PlannedStage]
    endpoints: list[RehearsedEndpoint]
    statements: list[str] = Field(description="SQL, for a DBA to read or run.")
    callers: list[RehearsalCaller] = Field(description="The youngest fetch first.")
    sessions: list[RehearsalSession] | None = Field(description="Null where it cannot be told; a warning says why.")
