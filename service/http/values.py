"""`/environments/{env}/values`: the fetch of resolved values."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from service.core.access import Caller
from service.core.errors import Invalid
from service.core.names import PATH
from service.core.secret import Secret
from service.http import shapes
from service.http.request import Asking, IfNoneMatch, TheKeeper, Wait, Who
from service.http.route import Route
from service.http.waiting import Waiting, matches
from service.keeper.keeper import Keeper
from service.keeper.values import Fetched, Wanted

router = APIRouter(tags=["fetch"], route_class=Route)

Names = Annotated[
    Annotated[str, Field(max_length=4000, pattern=f"^{PATH}(,{PATH})*$", examples=["shop/db/HOST,shop/db/PORT"])]
    | None,
    Query(description="Comma-separated names."),
]
Folder = Annotated[
    shapes.Folder | None, Query(description="A folder, at any depth; empty for everything. Either this or `names`.")
]


def shown(it: Fetched) -> dict[str, Any]:
    """As it is answered: the one place where a value is opened for its caller."""
    value = it.value.reveal() if isinstance(it.value, Secret) else it.value
    return {
        "name": it.name,
        "value": value,
        "version": it.version,
        "secret": it.secret,
        "kind": it.kind.value,
        "age": round(it.age, 3),
    }


async def _fetched(
    caller: Caller,
    who: Who,
    keeper: Keeper,
    waiting: Waiting,
    environment: str,
    wanted: Wanted,
    known: str | None,
    wait: float,
) -> tuple[list[Fetched], str] | Response:
    """The values with their tag; or 304 when the caller knows them, and they did not change while it waited."""
    if known is not None:
        tag = await waiting.unknown(lambda: keeper.values.tag(who(), environment, wanted), known, wait)
        if matches(known, tag):
            return Response(status_code=304, headers={"ETag": f'"{tag}"'})
        caller = await run_in_threadpool(who)
    return await run_in_threadpool(keeper.values.fetch, caller, environment, wanted)


@router.get(
    "/environments/{environment}/values",
    response_model=shapes.Values,
    responses={304: {"description": "Nothing changed"}},
)
async def several(
    caller: Asking,
    who: Who,
    keeper: TheKeeper,
    waiting: Waiting,
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
    found = await _fetched(caller, who, keeper, waiting, environment, wanted, if_none_match, wait)
    if isinstance(found, Response):
        return found
    body = {"environment": environment, "values": [shown(value) for value in found[0]]}
    return JSONResponse(body, headers={"ETag": f'"{found[1]}"'})


@router.get(
    "/environments/{environment}/values/{name:path}",
    response_model=shapes.Value,
    responses={304: {"description": "Nothing changed"}},
)
async def one(
    caller: Asking,
    who: Who,
    keeper: TheKeeper,
    waiting: Waiting,
    environment: shapes.Word,
    name: shapes.NamePath,
    wait: Wait = 0,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """One value."""
    found = await _fetched(caller, who, keeper, waiting, environment, Wanted(names=(name,)), if_none_match, wait)
    if isinstance(found, Response):
        return found
    return JSONResponse(shown(found[0][0]), headers={"ETag": f'"{found[1]}"'})
