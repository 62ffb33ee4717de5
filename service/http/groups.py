"""`/groups`: groups and who is in them."""

from typing import Any
from urllib.parse import quote, unquote

from fastapi import Request, Response

from service.core.person import Membership
from service.http import shapes
from service.http.native import native
from service.http.request import (
    Asking,
    Cursor,
    Id,
    IdempotencyKey,
    IfMatch,
    Limit,
    TheKeeper,
    once,
    page,
    position,
    revision,
)
from service.http.tokens import shown_grant
from service.keeper.groups import ShownGroup, WantedGroup

router = native("people")


def shown(it: ShownGroup) -> dict[str, Any]:
    """As it is answered."""
    group = it.group
    same = ("id", "name", "provisioned", "landing_folder", "second_factor", "revision", "created_at", "created_by")
    fields = {name: getattr(group, name) for name in (*same, "updated_at")} | {
        "external_id": group.external_id or None,
        "landing_environment": it.landing_environment,
        "groups": list(it.parents),
        "grants": [shown_grant(grant) for grant in it.grants],
    }
    return shapes.Group.model_validate(fields).model_dump(mode="json")


def _tagged(response: Response, it: ShownGroup) -> dict[str, Any]:
    response.headers["ETag"] = f'"{it.group.revision}"'
    return shown(it)


@router.get("/groups", response_model=shapes.page_of(shapes.Group))
def listed(caller: Asking, keeper: TheKeeper, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """All groups, by name."""
    found = keeper.groups.listed(caller, unquote(position(cursor)), limit)
    return page(found, limit, lambda it: quote(it.group.name), shown)


@router.post("/groups", status_code=201, response_model=shapes.Group)
def add(request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewGroup, key: IdempotencyKey = None) -> Any:
    """Make a group, which is empty and holds nothing."""

    def act() -> tuple[int, dict[str, Any]]:
        return 201, shown(keeper.groups.add(caller, _wanted(body)))

    return once(request, keeper, caller, key, body, act, fresh=False)


@router.get("/groups/{group_id}", response_model=shapes.Group)
def get(response: Response, caller: Asking, keeper: TheKeeper, group_id: Id) -> Any:
    """One group."""
    return _tagged(response, keeper.groups.get(caller, group_id))


@router.patch("/groups/{group_id}", response_model=shapes.Group)
def change(
    response: Response,
    caller: Asking,
    keeper: TheKeeper,
    group_id: Id,
    body: shapes.ChangedGroup,
    if_match: IfMatch = None,
) -> Any:
    """Change what is given."""
    return _tagged(response, keeper.groups.change(caller, group_id, _wanted(body), revision(if_match)))


@router.delete("/groups/{group_id}", status_code=204)
def remove(caller: Asking, keeper: TheKeeper, group_id: Id, if_match: IfMatch = None) -> None:
    """It is gone, with its grants."""
    keeper.groups.remove(caller, group_id, revision(if_match))


@router.get("/groups/{group_id}/members", response_model=shapes.page_of(shapes.Member))
def members(caller: Asking, keeper: TheKeeper, group_id: Id, cursor: Cursor = "", limit: Limit = 100) -> Any:
    """Who is in it directly."""
    found = keeper.groups.members(caller, group_id, position(cursor), limit)
    return page(found, limit, lambda it: it.id, _shown_member)


@router.put("/groups/{group_id}/members/{member_id}", status_code=204)
def join(caller: Asking, keeper: TheKeeper, group_id: Id, member_id: Id) -> None:
    """A user, or a group, is in it from now on."""
    keeper.groups.join(caller, group_id, member_id)


@router.delete("/groups/{group_id}/members/{member_id}", status_code=204)
def part(caller: Asking, keeper: TheKeeper, group_id: Id, member_id: Id) -> None:
    """It is in it no more."""
    keeper.groups.part(caller, group_id, member_id)


def _wanted(body: shapes.NewGroup | shapes.ChangedGroup) -> WantedGroup:
    return WantedGroup(body.name, body.landing_environment, body.landing_folder, body.second_factor)


def _shown_member(it: Membership) -> dict[str, Any]:
    return {"id": it.member_id, "kind": it.kind, "name": it.name, "source": it.source}
