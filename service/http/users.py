"""`/users`: people's accounts."""

from typing import Annotated, Any

from fastapi import Query, Request, Response

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
from service.keeper.users import ChangedUser, ShownUser

router = native("people")

_SAME = (
    *("id", "email", "name", "enabled", "attributes", "emergency", "factors"),
    *("has_password", "password_changed_at", "password_ends_at", "last_login_at", "last_active_at"),
    *("revision", "created_at", "created_by", "updated_at"),
)


def shown(it: ShownUser) -> dict[str, Any]:
    """As it is answered."""
    user = it.user
    fields = {name: getattr(user, name) for name in _SAME} | {
        "type": user.type.value,
        "external_id": user.external_id or None,
        "must_change_password": user.must_change,
        "groups": list(it.groups),
        "grants": [shown_grant(grant) for grant in it.grants],
    }
    return shapes.User.model_validate(fields).model_dump(mode="json")


def _tagged(response: Response, it: ShownUser) -> dict[str, Any]:
    response.headers["ETag"] = f'"{it.user.revision}"'
    return shown(it)


@router.get("/users", response_model=shapes.page_of(shapes.User))
def listed(
    caller: Asking,
    keeper: TheKeeper,
    email: Annotated[shapes.Email | None, Query(description="Only the one with this address.")] = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """All users, by address."""
    found = keeper.users.listed(caller, position(cursor), limit, email or "")
    return page(found, limit, lambda it: it.user.email, shown)


@router.post("/users", status_code=201, response_model=shapes.User)
def add(request: Request, caller: Asking, keeper: TheKeeper, body: shapes.NewUser, key: IdempotencyKey = None) -> Any:
    """Make a user, who holds nothing and cannot sign in yet."""

    def act() -> tuple[int, dict[str, Any]]:
        made = keeper.users.add(caller, body.email, body.name, body.attributes, emergency=body.emergency)
        return 201, shown(made)

    return once(request, keeper, caller, key, body, act, fresh=False)


@router.get("/users/{user_id}", response_model=shapes.User)
def get(response: Response, caller: Asking, keeper: TheKeeper, user_id: Id) -> Any:
    """One user; oneself, always."""
    return _tagged(response, keeper.users.get(caller, user_id))


@router.patch("/users/{user_id}", response_model=shapes.User)
def change(
    response: Response,
    caller: Asking,
    keeper: TheKeeper,
    user_id: Id,
    body: shapes.ChangedUser,
    if_match: IfMatch = None,
) -> Any:
    """Change what is given. Disabled, its sessions and tokens end at once; memberships and grants stay."""
    wanted = ChangedUser(**{name: getattr(body, name) for name in shapes.ChangedUser.model_fields})
    return _tagged(response, keeper.users.change(caller, user_id, wanted, revision(if_match)))


@router.delete("/users/{user_id}", status_code=204)
def remove(caller: Asking, keeper: TheKeeper, user_id: Id, if_match: IfMatch = None) -> None:
    """It is gone, with its grants, memberships, sessions and tokens."""
    keeper.users.remove(caller, user_id, revision(if_match))
