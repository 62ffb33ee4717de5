"""What the OpenAPI document says beyond what FastAPI reads off the handlers, since every route is entered the same way:

problems    one shape of every error; signals, which come on a stream
session     a caller is known by a bearer token, or by a session's cookie, which needs `X-CSRF-Token` for a change
approvals   what may have to wait for a second person takes two headers, and is answered 202 then (`agreement.py`)
"""

import re
from collections.abc import Iterator
from typing import Any

from service.http import shapes
from service.http.cookies import HEADER, PLAIN, SECURE

_BEARER: dict[str, list[str]] = {"HTTPBearer": []}
_SAFE = ("get", "head", "options")
_SCHEMES = {
    "Session": {
        "type": "apiKey",
        "in": "cookie",
        "name": SECURE,
        "description": f"A browser's session. (`{PLAIN}`, where people reach the server by http, for development.) "
        "Not beside `Authorization`.",
    },
    "Page": {
        "type": "apiKey",
        "in": "header",
        "name": HEADER,
        "description": "What `GET /session` tells: for whatever changes something by a session's cookie.",
    },
}
_HEADERS = [
    {
        "name": "Keywright-Approval",
        "in": "header",
        "required": False,
        "schema": {"type": "string", "enum": ["ask"]},
        "description": "A second person is asked to agree, where that is needed. For people only.",
    },
    {
        "name": "Keywright-Reason",
        "in": "header",
        "required": False,
        "schema": {"type": "string"},
        "description": "Why, with it: 500 characters at the most; what is not ASCII is percent-encoded, as UTF-8.",
    },
]
_WAITS = re.compile(
    r"(put|post|patch|delete) /api/v1/environments/\{environment\}(?!/(rehearsals|break-glass))"
    r"|get /api/v1/environments/\{environment\}/(values|credentials)"
    r"|post /api/v1/(rotations|incidents)/"
    r"|(post|patch) /api/v1/(tokens|machines|machine-\w+|grants|settings)"
    r"|(post|patch) /api/v1/identity-providers(?!.*/check)"
    r"|put /api/v1/groups/\{group_id\}/members"
    r"|patch /api/v1/(groups/\{group_id\}|users/\{user_id\})$"
    r"|(put|post) /api/v1/users/\{user_id\}/"
)
"""By method and path: what `core/approval.py` says of their actions. Taking access away is never held up."""
_FETCH = re.compile(r"/api/v1/environments/\{environment\}/(values|credentials)")
"""Their handlers make the caller out on a view, and take no bearer that FastAPI would see."""


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with all of that."""
    parts = document["components"]
    for shape in (shapes.Problem, shapes.Signal):
        parts["schemas"][shape.__name__] = shape.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    parts["securitySchemes"] |= _SCHEMES
    for path, method, operation in _operations(document):
        if _FETCH.match(path):
            operation["security"] = [_BEARER]
        if _BEARER not in operation.get("security", []):
            continue
        shown: dict[str, list[str]] = {"Session": []} if method in _SAFE else {"Session": [], "Page": []}
        operation["security"] = [*operation["security"], shown]
        if waits(path, method):
            _may_wait(operation)
    return document


def waits(path: str, method: str) -> bool:
    """May it have to wait for a second person, where an environment says so?"""
    return bool(_WAITS.match(f"{method} {path}"))


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _may_wait(operation: dict[str, Any]) -> None:
    operation.setdefault("parameters", []).extend(_HEADERS)
    asked = {"$ref": "#/components/schemas/Approval"}
    known = operation["responses"].get("202")
    if known is None:
        content = {"application/json": {"schema": asked}}
        operation["responses"]["202"] = {"description": "Somebody else is asked to agree", "content": content}
    else:
        body = known["content"]["application/json"]
        body["schema"] = {"anyOf": [body["schema"], asked]}
