"""`/environments/{env}/credentials/{name}`: the fetch of a connection's ordered set."""

import json
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from service.http import shapes
from service.http.fetching import TheFetching, known_by
from service.http.native import native
from service.http.request import IfNoneMatch, TheKeeper, Wait, Who
from service.keeper import definitions
from service.keeper.credentials import Credential, Entry

router = native("fetch")


def shown(it: Credential) -> dict[str, Any]:
    """As it is answered: the one place where passwords are opened for their caller."""
    entries = [_entry(entry) for entry in it.entries]
    best = entries[0]
    return (
        {"connection": it.connection}
        | definitions.target_data(it.target)
        | {
            "generation": it.generation,
            "rotates_at": _moment(it.rotates_at),
            "username": best["username"],
            "password": best["password"],
            "url": best["url"],
            "good_until": best["good_until"],
            "credentials": entries,
            "age": round(it.age, 3),
            "stale": it.stale,
        }
    )


def text(it: Credential) -> str:
    """The same in JSON."""
    return json.dumps(shown(it), ensure_ascii=False, separators=(",", ":"))


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "state": entry.state.value,
        "username": entry.account.username,
        "password": entry.account.password.reveal(),
        "url": entry.url.reveal(),
        "valid_from": _moment(entry.valid_from),
        "good_until": _moment(entry.good_until),
    }


def _moment(at: datetime | None) -> str | None:
    """As every other time is written; this answer is made too often to have it checked by its shape."""
    return at.isoformat().replace("+00:00", "Z") if at else None


@router.get(
    "/environments/{environment}/credentials/{name:path}",
    response_model=shapes.Credential,
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
    """The ordered set, best first; whoever holds it can log in until each entry's `good_until`."""
    asked = keeper.credentials.asked(who, environment, name, known_by(if_none_match))
    told = await fetching.told(request.scope, request.receive, asked, wait)
    if told.value is None:
        return Response(status_code=304, headers={"ETag": f'"{told.tag}"'})
    return Response(text(told.value), headers={"ETag": f'"{told.tag}"'}, media_type="application/json")
