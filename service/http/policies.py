"""`/environments/{env}/policies`: how and when a connection's password turns, by itself."""

from typing import Any

from fastapi import Request, Response

from service.http import shapes
from service.http.native import native
from service.http.request import Asking, IfMatch, TheKeeper, looking, revision
from service.keeper.policies import Shown

router = native("connections")


def _shown(response: Response, it: Shown) -> dict[str, Any]:
    stored = it.stored
    response.headers["ETag"] = f'"{stored.revision}"'
    return {
        "connection": stored.name,
        "rotation": it.policy,
        "next_due_at": stored.next_due_at,
        "revision": stored.revision,
    }


@router.get("/environments/{environment}/policies/{name:path}", response_model=shapes.Policy)
def get(response: Response, caller: Asking, keeper: TheKeeper, environment: shapes.Word, name: shapes.NamePath) -> Any:
    """A connection's rotation policy."""
    return _shown(response, keeper.policies.get(caller, environment, name))


@router.put("/environments/{environment}/policies/{name:path}", response_model=shapes.Policy)
async def put(
    request: Request,
    response: Response,
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    name: shapes.NamePath,
    body: shapes.PutPolicy,
    if_match: IfMatch = None,
) -> Any:
    """Change a connection's rotation policy, and nothing else of it."""
    given = body.model_dump(mode="json", exclude_none=True, by_alias=True).get("rotation")
    at = revision(if_match)
    put_ = await looking(request, lambda: keeper.policies.put(caller, environment, name, given, if_match=at))
    return _shown(response, put_)
