"""Routers of the native door: where it stands, what its operations are called, and what else they all answer.

They are whole as they stand here, and taken into an application as they are: to include one anew has FastAPI work out
each of its routes once more, a tenth of a second at every start.
"""

from fastapi import APIRouter
from fastapi.routing import APIRoute

from service.http import problems
from service.http.route import Route

PREFIX = "/api/v1"
_BEFORE = {400: "Not HTTP", 408: "Too slow", 414: "Too long", 429: "Too many", 431: "Too long"}
"""What is answered before there is a request: see `wire.py` and `envelope.py`."""
_PROBLEM = {"content": {problems.MEDIA: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_PROBLEMS = {
    status: {"description": title, **_PROBLEM} for status, title in (_BEFORE | problems.TITLES).items() if status != 500
}


def named(route: APIRoute) -> str:
    """The id of an operation in the OpenAPI document: its module, and its function there."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def native(tag: str, entered_by: type[APIRoute] = Route) -> APIRouter:
    """A router for operations that stand together in the document."""
    return APIRouter(
        prefix=PREFIX,
        tags=[tag],
        route_class=entered_by,
        responses=_PROBLEMS,  # type: ignore[arg-type]
        generate_unique_id_function=named,
    )
