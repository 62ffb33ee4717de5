"""`/environments/{env}/connections`: definitions, health, next due; never a password."""

from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from service.core.secret import Secret
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Cursor, IfMatch, InFolder, Limit, TheKeeper, looking, page, position, revision
from service.keeper import definitions
from service.keeper.connections import Shown
from service.keeper.registration import registration

router = native("connections")


def shown(it: Shown) -> dict[str, Any]:
    """As it is answered."""
    state, findings = it.health
    stored = it.stored
    fields = definitions.target_data(it.target) | {
        "name": stored.name,
        "administered_by": it.administered_by,
        "logins": list(it.logins),
        "kept_in": stored.definition.get("kept_in"),
        "rotation": definitions.policy_data(it.policy),
        "generation": stored.generation,
        "next_due_at": stored.next_due_at,
        "health": {"state": state, "findings": findings},
        "id": stored.id,
        "revision": stored.revision,
        "updated_at": stored.updated_at,
    }
    return shapes.Connection.model_validate(fields).model_dump(mode="json")


@router.get("/environments/{environment}/connections", response_model=shapes.page_of(shapes.Connection))
def listed(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    folder: InFolder = "",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """The connections that the caller may use."""
    found = keeper.connections.listed(caller, environment, folder, position(cursor), limit)
    return page(found, limit, lambda it: it.stored.name, shown)


@router.put(
    "/environments/{environment}/connections/{name:path}",
    response_model=shapes.Connection,
    responses={201: {"model": shapes.Connection, "description": "Made"}},
)
async def put(
    request: Request,
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    name: shapes.NamePath,
    body: shapes.PutConnection,
    if_match: IfMatch = None,
) -> Any:
    """Register a connection, or change it. The login is verified on every required endpoint; nothing is changed."""
    data = body.model_dump(mode="json", exclude_none=True, by_alias=True)
    password = body.login.password if body.login else None
    data.get("login", {}).pop("password", None)
    wanted = registration(data, None if password is None else Secret(password))
    at = revision(if_match)
    it, new = await looking(request, lambda: keeper.connections.put(caller, environment, name, wanted, if_match=at))
    return JSONResponse(shown(it), 201 if new else 200, {"ETag": f'"{it.stored.revision}"'})


@router.get("/environments/{environment}/connections/{name:path}", response_model=shapes.Connection)
def get(response: Response, caller: Asking, keeper: TheKeeper, environment: shapes.Word, name: shapes.NamePath) -> Any:
    """One connection."""
    it = keeper.connections.get(caller, environment, name)
    response.headers["ETag"] = f'"{it.stored.revision}"'
    return shown(it)


@router.delete("/environments/{environment}/connections/{name:path}", status_code=204)
def delete(
    caller: Asking, keeper: TheKeeper, environment: shapes.Word, name: shapes.NamePath, if_match: IfMatch = None
) -> None:
    """Forget the connection and its passwords; the target keeps its logins as they are."""
    keeper.connections.delete(caller, environment, name, if_match=revision(if_match))
