"""`/environments/{env}/credentials/{name}`: the fetch of a connection's ordered set."""

from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from service.http import shapes
from service.http.request import Asking, IfNoneMatch, TheKeeper, Wait, Who
from service.http.route import Route
from service.http.waiting import Waiting, matches
from service.keeper import definitions
from service.keeper.credentials import Credential, Entry

router = APIRouter(tags=["fetch"], route_class=Route)


def shown(it: Credential) -> dict[str, Any]:
    """As it is answered: the one place where passwords are opened for their caller."""
    entries = [_entry(entry) for entry in it.entries]
    best = entries[0]
    fields = definitions.target_data(it.target) | {
        "connection": it.connection,
        "generation": it.generation,
        "rotates_at": it.rotates_at,
        "username": best["username"],
        "password": best["password"],
        "url": best["url"],
        "good_until": best["good_until"],
        "credentials": entries,
    }
    return shapes.Credential.model_validate(fields).model_dump(mode="json")


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "state": entry.state,
        "username": entry.account.username,
        "password": entry.account.password.reveal(),
        "url": entry.url.reveal(),
        "valid_from": entry.valid_from,
        "good_until": entry.good_until,
    }


@router.get(
    "/environments/{environment}/credentials/{name:path}",
    response_model=shapes.Credential,
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
    """The ordered set, best first; whoever holds it can log in until each entry's `good_until`."""
    if if_none_match is not None:
        tag = await waiting.unknown(lambda: keeper.credentials.tag(who(), environment, name), if_none_match, wait)
        if matches(if_none_match, tag):
            return Response(status_code=304, headers={"ETag": f'"{tag}"'})
        caller = await run_in_threadpool(who)
    found = await run_in_threadpool(keeper.credentials.one, caller, environment, name)
    return JSONResponse(shown(found), headers={"ETag": f'"{found.tag}"'})
