"""`/environments/{env}/values`: the fetch of resolved values."""

import json
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import Field

from service.core.errors import Invalid
from service.core.names import PATH
from service.http import shapes
from service.http.fetching import TheFetching, known_by
from service.http.native import native
from service.http.request import IfNoneMatch, TheKeeper, Wait, Who
from service.keeper.values import Fetched, Wanted

router = native("fetch")

Names = Annotated[
    Annotated[str, Field(max_length=4000, pattern=f"^{PATH}(,{PATH})*$", examples=["shop/db/HOST,shop/db/PORT"])]
    | None,
    Query(description="Comma-separated names."),
]
Folder = Annotated[
    shapes.Folder | None, Query(description="A folder, at any depth; empty for everything. Either this or `names`.")
]


def shown(it: Fetched) -> str:
    """As it is answered, in JSON: the one place where a value is opened for its caller.

    The value is JSON already; names need no escapes (`service.core.names`).
    """
    age = round(it.age, 3) if it.age else 0.0  # nearly always
    secret, stale = _BOOL[it.secret], _BOOL[it.stale]
    rest = f'"version":{it.version},"secret":{secret},"kind":"{it.kind}","age":{age},"stale":{stale}'
    return f'{{"name":"{it.name}","value":{it.text.reveal()},{rest}}}'


_BOOL = {True: "true", False: "false"}


@router.get(
    "/environments/{environment}/values",
    response_model=shapes.Values,
    responses={304: {"description": "Nothing changed"}},
)
async def several(
    request: Request,
    who: Who,
    keeper: TheKeeper,
    fetching: TheFetching,
    environment: shapes.Word,
    names: Names = None,
    folder: Folder = None,
    wait: Wait = 0,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Several values: by name (all or none), or a folder's."""
    if (names is None) == (folder is None):
        raise Invalid("either names or folder is needed", field="names")
    wanted = Wanted(folder=folder) if names is None else Wanted(names=tuple(names.split(",")))
    told = await fetching.told(
        request.scope, request.receive, keeper.values.asked(who, environment, wanted, known_by(if_none_match)), wait
    )
    if told.value is None:
        return Response(status_code=304, headers={"ETag": f'"{told.tag}"'})
    body = f'{{"environment":{json.dumps(environment)},"values":[{",".join(map(shown, told.value))}]}}'
    return Response(body, headers={"ETag": f'"{told.tag}"'}, media_type="application/json")


@router.get(
    "/environments/{environment}/values/{name:path}",
    response_model=shapes.Value,
    responses={304: {"description": "Nothing changed"}},
)
async def one(
    request: Request,
    who: Who,
    keeper: TheKeeper,
    fetching: TheFetching,
    environment: shapes.Word,
    name: shapes.NamePath,
    wait: Wait = 0,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """One value."""
    asked = keeper.values.asked(who, environment, Wanted(names=(name,)), known_by(if_none_match))
    told = await fetching.told(request.scope, request.receive, asked, wait)
    if told.value is None:
        return Response(status_code=304, headers={"ETag": f'"{told.tag}"'})
    return Response(shown(told.value[0]), headers={"ETag": f'"{told.tag}"'}, media_type="application/json")
