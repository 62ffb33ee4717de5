"""`/restorations`: what was found after the ledger came back from a copy, or failed over."""

from typing import Any

from service.core.errors import Invalid
from service.core.restoration import Finding
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Cursor, Id, Limit, TheKeeper, page, position
from service.keeper.restorations import Found, Outlook

router = native("restorations")


def shown(it: Outlook) -> dict[str, Any]:
    """As it is answered."""
    of = it.restoration
    fields = {
        "id": of.id,
        "began_at": of.began_at,
        "ended_at": of.ended_at,
        "reason": of.reason if it.tells_why else None,
        "requested_by": of.requested_by if it.tells_why else None,
        "counts": {finding.value: it.counts.get(finding, 0) for finding in Finding},
    }
    return shapes.Restoration.model_validate(fields).model_dump(mode="json")


def found(it: Found) -> dict[str, Any]:
    """As it is answered."""
    names = ("environment", "connection", "finding", "sentence", "updated_at")
    fields = {name: getattr(it, name) for name in names}
    return shapes.ConnectionFinding.model_validate(fields).model_dump(mode="json")


@router.get("/restorations", response_model=shapes.page_of(shapes.Restoration))
def listed(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """Restorations, the latest first, each with how far it has come."""
    return page(
        keeper.restorations.listed(caller, position(cursor), limit), limit, lambda it: str(it.restoration.id), shown
    )


@router.get("/restorations/{restoration_id}/findings", response_model=shapes.page_of(shapes.ConnectionFinding))
def findings(
    caller: Asking,
    keeper: TheKeeper,
    restoration_id: Id,
    finding: Finding | None = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """What was found of each connection, by environment and name."""
    environment, _, name = position(cursor).partition(" ")
    if cursor and not name:
        raise Invalid("cursor is not one that was given out", field="cursor")
    items = keeper.restorations.findings(caller, restoration_id, finding, (environment, name), limit)
    return page(items, limit, lambda it: f"{it.environment} {it.connection}", found)
