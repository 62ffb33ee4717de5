"""`/events`: the audit log, and the proof of its chain."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Query

from service.core.errors import Invalid
from service.http import shapes
from service.http.request import Asking, Cursor, Limit, TheKeeper, page, position
from service.keeper.events import Question

router = APIRouter(tags=["events"])

Text = Query("", max_length=4200)


@router.get("/events", response_model=shapes.page_of(shapes.Event))
def listed(
    caller: Asking,
    keeper: TheKeeper,
    actor: str = Text,
    action: str = Text,
    resource: str = Text,
    environment: str = Text,
    since: datetime | None = None,
    until: datetime | None = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """Events, the youngest first. `actor` is a token's id or name."""
    behind = position(cursor)
    if behind and not (behind.isdecimal() and len(behind) <= 18):
        raise Invalid("cursor is not one that was given out", field="cursor")
    question = Question(
        actor,
        action,
        resource,
        environment,
        _aware(since, "since"),
        _aware(until, "until"),
        int(behind) if behind else None,
        limit,
    )
    return page(keeper.events.ask(caller, question), limit, lambda it: str(it["id"]), lambda it: it)


@router.get("/events/verify", response_model=shapes.Proof)
def verify(caller: Asking, keeper: TheKeeper) -> Any:
    """Follow the whole chain: finds what was changed, removed or reordered."""
    proof = keeper.events.verify(caller)
    return {"whole": proof.broken_at is None, **vars(proof)}


def _aware(moment: datetime | None, field: str) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise Invalid(f"{field} needs a zone: 2026-11-22T12:00:00Z", field=field)
    if moment is not None and not 1971 <= moment.year <= 9990:
        raise Invalid(f"{field} is too far away", field=field)
    return moment.astimezone(UTC) if moment else None
