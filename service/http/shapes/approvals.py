"""Approvals and break-glass on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from service.core.approval import LONGEST_NOTE, LONGEST_REASON, State
from service.core.approval import Approval as Asked
from service.http.shapes.words import Answer, Request, Whole

Reason = Annotated[str, Field(max_length=LONGEST_REASON, pattern=r"^[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")]
Note = Annotated[str, Field(max_length=LONGEST_NOTE, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Change(Answer):
    """One thing that would be another afterwards."""

    what: str
    old: Any = None
    new: Any = None
    secret: bool = Field(description="It is a secret: nothing is told but that it changes, or is told.")


class Approval(Answer):
    """Something that a person asked to do, and that waits for another, or did."""

    id: str
    environment: str
    action: str = Field(description="As the event log calls it.", examples=["variable.put"])
    resource: str = Field(description="As the event log calls it.", examples=["shop/db/PASSWORD"])
    changes: list[Change] = Field(description="What would be another afterwards; it is applied only if it still is.")
    reason: str
    asked_by: str
    state: State
    decided_by: str | None
    note: str
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    applied_at: datetime | None


class Decide(Request):
    """A decision."""

    decision: Literal["approve", "refuse"]
    note: Note = ""


class TakeBreakGlass(Request):
    """Why, and for how long."""

    reason: Reason
    minutes: Annotated[int, Field(ge=1, le=60), Whole] = 15


class BreakGlass(Answer):
    """A right to go without approvals in an environment: whose, why, and until when."""

    id: str
    environment: str
    user: str
    reason: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


def shown(it: Asked) -> dict[str, Any]:
    """An approval as it is answered."""
    fields = {
        "id": it.id,
        "environment": it.environment,
        "action": it.action,
        "resource": it.resource,
        "changes": [vars(line) for line in it.summary],
        "reason": it.reason,
        "asked_by": it.asked_by_name,
        "state": it.state,
        "decided_by": it.decided_by_name or None,
        "note": it.note,
        "created_at": it.created_at,
        "expires_at": it.expires_at,
        "decided_at": it.decided_at,
        "applied_at": it.applied_at,
    }
    return Approval.model_validate(fields).model_dump(mode="json")
