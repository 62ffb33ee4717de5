"""Restorations on the wire."""

from datetime import datetime

from pydantic import Field

from service.core.restoration import Finding
from service.http.shapes.words import Answer


class Counts(Answer):
    """How many connections, by what was found of them."""

    pending: int
    fine: int
    adopted: int
    stuck: int
    settled: int


class Restoration(Answer):
    """One time that the ledger's past was in doubt, and every login was probed."""

    id: str
    began_at: datetime
    ended_at: datetime | None = Field(description="Null while every rotation is held.")
    reason: str | None = Field(description="For owners of everything: it may name what others may not see.")
    requested_by: str | None
    counts: Counts = Field(description="Of the connections that the caller may see.")


class ConnectionFinding(Answer):
    """What was found of one connection."""

    environment: str
    connection: str
    finding: Finding
    sentence: str = Field(description="What was seen, and for `stuck` what to do.")
    updated_at: datetime
