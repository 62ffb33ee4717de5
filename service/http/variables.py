"""`/environments/{env}/variables`, `/activations`, `/versions`: definitions, never values."""

from typing import Any

from fastapi import Response
from fastapi.responses import JSONResponse

from service.core.variable import ValueKind, Variable, VersionState
from service.http import shapes
from service.http.native import native
from service.http.request import Asking, Cursor, IfMatch, InFolder, Limit, TheKeeper, page, position, revision
from service.keeper.variables import Definition, NewValue

router = native("variables")


def shown(it: Definition) -> dict[str, Any]:
    """As it is answered."""
    versions = [
        {
            "number": v.number,
            "kind": v.kind,
            "state": v.state,
            "created_at": v.created_at,
            "created_by": v.created_by,
        }
        for v in it.versions
    ]
    return shapes.Variable.model_validate(_row(it.variable, it.kind) | {"versions": versions}).model_dump(mode="json")


def _row(variable: Variable, kind: str) -> dict[str, Any]:
    return {
        "name": variable.name,
        "secret": variable.secret,
        "kind": kind or None,
        "live": variable.live,
        "newest": variable.newest,
        "revision": variable.revision,
        "updated_at": variable.updated_at,
    }


def new_value(body: shapes.PutVariable) -> NewValue:
    """Which of the three kinds was sent."""
    if "reference" in body.model_fields_set:
        return NewValue(ValueKind.REFERENCE, body.reference)
    if "template" in body.model_fields_set:
        return NewValue(ValueKind.TEMPLATE, body.template)
    return NewValue(ValueKind.LITERAL, body.value)


@router.get("/environments/{environment}/variables", response_model=shapes.page_of(shapes.ListedVariable))
def listed(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    folder: InFolder = "",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Any:
    """The variables that the caller may use."""
    found = keeper.variables.listed(caller, environment, folder, position(cursor), limit)
    return page(found, limit, lambda row: row[0].name, lambda row: _row(row[0], row[1]))


@router.put(
    "/environments/{environment}/variables/{name:path}",
    response_model=shapes.Variable,
    responses={201: {"model": shapes.Variable, "description": "Made"}},
)
def put(
    caller: Asking,
    keeper: TheKeeper,
    environment: shapes.Word,
    name: shapes.NamePath,
    body: shapes.PutVariable,
    if_match: IfMatch = None,
) -> Any:
    """A new version, live at once unless `activate` is false."""
    definition, new = keeper.variables.put(
        caller,
        environment,
        name,
        new_value(body),
        secret=body.secret,
        activate=body.activate,
        if_match=revision(if_match),
    )
    return JSONResponse(shown(definition), 201 if new else 200, {"ETag": f'"{definition.variable.revision}"'})


@router.get("/environments/{environment}/variables/{name:path}", response_model=shapes.Variable)
def get(response: Response, caller: Asking, keeper: TheKeeper, environment: shapes.Word, name: shapes.NamePath) -> Any:
    """The definition and the versions; never a value."""
    definition = keeper.variables.get(caller, environment, name)
    response.headers["ETag"] = f'"{definition.variable.revision}"'
    return shown(definition)


@router.delete("/environments/{environment}/variables/{name:path}", status_code=204)
def delete(
    caller: Asking, keeper: TheKeeper, environment: shapes.Word, name: shapes.NamePath, if_match: IfMatch = None
) -> None:
    """The variable with all its versions, for good."""
    keeper.variables.delete(caller, environment, name, if_match=revision(if_match))


@router.post("/environments/{environment}/activations", response_model=shapes.Variable)
def activate(caller: Asking, keeper: TheKeeper, environment: shapes.Word, body: shapes.Activate) -> Any:
    """Make another version live: roll back, or forward."""
    return shown(keeper.variables.activate(caller, environment, body.variable, body.version))


@router.post("/environments/{environment}/versions", response_model=shapes.Variable)
def set_version(caller: Asking, keeper: TheKeeper, environment: shapes.Word, body: shapes.SetVersion) -> Any:
    """Delete a version, undelete it (`kept`), or destroy it."""
    state = VersionState(body.state)
    return shown(keeper.variables.set_state(caller, environment, body.variable, body.version, state))
