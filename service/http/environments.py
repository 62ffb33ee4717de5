"""`/environments`: walls."""

from typing import Any

from fastapi import Request, Response

from service.core.approval import Area, Terms
from service.core.environment import Environment
from service.core.schedule import duration, duration_text
from service.http import shapes
from service.http.native import native
from service.http.request import (
    Asking,
    Cursor,
    IdempotencyKey,
    IfMatch,
    Limit,
    TheKeeper,
    once,
    page,
    position,
    revision,
)

router = native("environments")


def shown(it: Environment) -> dict[str, Any]:
    """As it is answered."""
    terms = {area.value: area in it.approvals.areas for area in Area}
    approvals = terms | {"lasts": duration_text(it.approvals.lasts)}
    fields = vars(it) | {"allowlist": list(it.allowlist), "approvals": approvals}
    return shapes.Environment.model_validate(fields).model_dump(mode="json")


def _terms(given: shapes.Approvals) -> Terms:
    areas = frozenset(area for area in Area if getattr(given, area.value))
    return Terms(areas, duration(given.lasts, "approvals.lasts"))


def _rules(given: shapes.StoreRules) -> dict[str, list[str]]:
    return {str(store): list(locations) for store, locations in given.items()}


@router.get("/environments", response_model=shapes.page_of(shapes.Environment))
def listed(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """The environments that the caller has any grant in."""
    found = keeper.environments.listed(caller, position(cursor), limit)
    return page(found, limit, lambda e: e.name, shown)


@router.post("/environments", status_code=201, response_model=shapes.Environment)
def add(
    request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewEnvironment, key: IdempotencyKey = None
) -> Any:
    """Make an environment, with a data key of its own."""

    def act() -> tuple[int, dict[str, Any]]:
        made = keeper.environments.add(
            caller,
            body.name,
            _rules(body.stores),
            tuple(body.allowlist),
            body.stale_if_error,
            None if body.approvals is None else _terms(body.approvals),
        )
        return 201, shown(made)

    return once(request, keeper, caller, key, body, act, fresh=False)


@router.get("/environments/{environment}", response_model=shapes.Environment)
def get(response: Response, caller: Asking, keeper: TheKeeper, environment: shapes.Word) -> Any:
    """One environment."""
    found = keeper.environments.get(caller, environment)
    response.headers["ETag"] = f'"{found.revision}"'
    return shown(found)


@router.patch("/environments/{environment}", response_model=shapes.Environment)
def change(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    body: shapes.ChangedEnvironment,
    if_match: IfMatch = None,
) -> Any:
    """Change its rules."""
    changed = keeper.environments.change(
        caller,
        environment,
        stores=None if body.stores is None else _rules(body.stores),
        allowlist=None if body.allowlist is None else tuple(body.allowlist),
        stale_if_error=body.stale_if_error,
        approvals=None if body.approvals is None else _terms(body.approvals),
        if_match=revision(if_match),
    )
    return shown(changed)


@router.delete("/environments/{environment}", status_code=204)
def delete(caller: Asking, keeper: TheKeeper, environment: shapes.Word, if_match: IfMatch = None) -> None:
    """Delete it with everything in it, and shred its data keys."""
    keeper.environments.delete(caller, environment, if_match=revision(if_match))
