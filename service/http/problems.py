"""Errors on the wire: one table, problem details as RFC 9457 has them."""

import json
import re
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.core import errors
from service.core.errors import Invalid, KeywrightError, Unavailable
from service.http.shapes.forms import wanted


class WrongType(KeywrightError):
    """The body is not what the door speaks."""


log = structlog.get_logger("http")

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
TYPE = "urn:keywright:problem:"
MEDIA = "application/problem+json"

TABLE: dict[type[KeywrightError], tuple[int, str, str]] = {
    errors.Invalid: (422, "invalid", "Something in the request is not right"),
    errors.Unauthenticated: (401, "unauthenticated", "No valid token"),
    errors.Forbidden: (403, "forbidden", "Not permitted"),
    errors.FactorNeeded: (403, "factor-needed", "A second factor is needed"),
    errors.ApprovalNeeded: (403, "approval-needed", "Somebody else has to agree"),
    errors.Forged: (403, "csrf", "Not from a page of this server"),
    errors.Claimed: (403, "claimed-user", "Not the user that it claims"),
    errors.Absent: (404, "absent", "Not there"),
    errors.Conflict: (409, "conflict", "Not in this state"),
    errors.Outdated: (412, "outdated", "Changed meanwhile"),
    errors.TooLarge: (413, "too-large", "Too large"),
    WrongType: (415, "wrong-type", "Not JSON"),
    errors.Often: (429, "too-many", "Too many"),
    errors.StoreAbsent: (424, "store-absent", "Not in its store"),
    errors.StoreRefused: (424, "store-refused", "Refused by its store"),
    errors.StoreMalformed: (424, "store-malformed", "Not usable as its store has it"),
    errors.StoreUnreachable: (504, "store-unreachable", "The store does not answer"),
    errors.ChangeNotPermitted: (424, "target-not-permitted", "Not permitted in the target"),
    errors.ChangeRefused: (424, "target-refused", "Refused by the target"),
    errors.ChangeUnreachable: (504, "target-unreachable", "The target does not answer"),
    errors.ChangeLost: (504, "target-lost", "The target's reply was lost"),
    errors.WrapError: (503, "key-unavailable", "The master key is not at hand"),
    errors.SealBroken: (500, "seal-broken", "A stored value does not open"),
    errors.Unavailable: (503, "unavailable", "Not now"),
    errors.StoreBusy: (503, "store-busy", "Too much waits for the store"),
}
"""Status, slug and title. A class that is not listed answers as the nearest one above it."""

TITLES = {status: title for status, _, title in reversed(TABLE.values())}


def looked_up(error: KeywrightError) -> tuple[int, str, str]:
    """What the table says of an error's class, or of the nearest one above it."""
    for kind in type(error).__mro__:
        if kind in TABLE:
            return TABLE[kind]
    return 500, "internal", "A defect in Keywright"


def answer(request: Request, status: int, slug: str, title: str, detail: str, field: str | None = None) -> JSONResponse:
    """One problem as JSON."""
    body = _said(status, slug, title, detail, getattr(request.state, "request_id", ""), field)
    return JSONResponse(body, status, _HEADERS.get(status), MEDIA)


_HEADERS = {
    401: {"WWW-Authenticate": 'Bearer realm="keywright"'},
    429: {"Retry-After": "1"},
    503: {"Retry-After": "1"},
    413: {"Connection": "close"},  # the rest of the body is not read
}
Rendered = tuple[int, bytes, list[tuple[bytes, bytes]]]
"""Status, body and headers."""


def _said(status: int, slug: str, title: str, detail: str, request_id: str, field: str | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"type": TYPE + slug, "title": title, "status": status, "detail": detail}
    return said | ({"field": field} if field else {}) | {"request_id": request_id}


def refusal(error: KeywrightError, path: str, request_id: str) -> Rendered:
    """An error of ours without a framework around; noted in the log where it is no fault of the request."""
    status, slug, title = looked_up(error)
    note(error, status, path)
    field = error.field if isinstance(error, Invalid) else None
    return _rendered(status, _said(status, slug, title, error.message, request_id, field))


def _json(said: dict[str, Any]) -> bytes:
    """As the framework writes it."""
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _rendered(status: int, said: dict[str, Any]) -> Rendered:
    extra = [(name.lower().encode(), text.encode()) for name, text in _HEADERS.get(status, {}).items()]
    return status, _json(said), [(b"content-type", MEDIA.encode()), *extra]


def note(error: KeywrightError, status: int, path: str) -> None:
    if status >= 500:
        # The cause may quote statements: it goes to the log by its class only.
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        place = (error.place or None) if isinstance(error, Unavailable) else None
        log.error("failed", path=path[:200], error=error.message, cause=cause, place=place)


def bare(status: int, slug: str, title: str, detail: str, request_id: str) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Body and headers of a problem for what answers before there is a request, and closes the connection."""
    body = _json(_said(status, slug, title, detail, request_id))
    headers = [(b"content-type", MEDIA.encode()), (b"content-length", str(len(body)).encode())]
    return body, [*headers, (b"connection", b"close")]


def install(app: FastAPI) -> None:
    """Make an application answer every error this way."""

    @app.exception_handler(KeywrightError)
    def known(request: Request, error: KeywrightError) -> JSONResponse:
        status, slug, title = looked_up(error)
        note(error, status, request.url.path)
        field = error.field if isinstance(error, Invalid) else None
        said = answer(request, status, slug, title, error.message, field)
        if isinstance(error, errors.Often):
            said.headers["Retry-After"] = str(error.after)
        return said

    @app.exception_handler(RequestValidationError)
    def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field = _place(first["loc"])
        # Of a rejected request nothing is repeated: what was put in the wrong place may be a secret.
        detail = f"{field}: {first['msg'].removeprefix('Value error, ')}"
        if first["type"] == "string_pattern_mismatch":
            detail = f"{field}: {wanted(first['ctx']['pattern'])}"
        if first["type"] == "extra_forbidden":
            detail = f"{field}: there is no such field"
        return answer(request, *TABLE[errors.Invalid], detail, field)

    @app.exception_handler(HTTPException)
    def framework(request: Request, error: HTTPException) -> Response:
        methods = allowed(request)
        if error.status_code == 405 and request.method == "OPTIONS":
            return Response(None, 204, {"Allow": methods})
        title = HTTPStatus(error.status_code).phrase
        slug = {404: "absent", 405: "method-not-allowed"}.get(error.status_code, "invalid")
        response = answer(
            request, error.status_code, slug, title, f"{title}: see /api/v1/openapi.json for what there is"
        )
        if error.status_code == 405:
            response.headers["Allow"] = methods  # the framework names the methods of one route only
        return response


def allowed(request: Request) -> str:
    """The methods that there are for the path of a request, as `Allow` says them."""
    scope = dict(request.scope)
    routes = request.app.router.routes
    found = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches(scope | {"method": method})[0] is Match.FULL for route in routes)
    ]
    return ", ".join([*(["HEAD"] if "GET" in found else []), *found, "OPTIONS"])


def defect(request: Request, error: Exception) -> JSONResponse:
    """What is answered when something failed that should not; the log has the frames."""
    log.error("a defect", path=request.url.path[:200], error=type(error).__name__, exc_info=_frames(error))
    return answer(request, 500, "internal", "A defect in Keywright", "something failed that should not; see the log")


def _place(parts: tuple[int | str, ...]) -> str:
    # pydantic names the branches of a union, and dictionary keys, by words of its own.
    said = [str(part) for part in parts[1:] if isinstance(part, int) or _NAME.fullmatch(part)]
    return ".".join(said) or str(parts[0])


def _frames(error: Exception) -> Exception:
    # The message of an unexpected exception may quote what it failed on: the frames are what is needed.
    bare = type(error)("…") if type(error).__init__ is Exception.__init__ else RuntimeError(type(error).__name__)
    return bare.with_traceback(error.__traceback__)
