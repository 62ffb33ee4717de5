"""The SCIM door as an application of its own (ASGI 3): every path behind `/scim/v2`.

caller   no caller, no further word: 401 comes before anything that could be wrong with the request
body     its size, its JSON, the limits; and its caller once more, who may have lost its token while the body came
thread   the protocol by scim2-server, on the keeper; what is read and written again unconditionally is tried anew where
         somebody else was quicker
"""

import contextlib
import json
import re
import threading
from urllib.parse import parse_qsl

from anyio import to_thread
from fastapi import Request
from scim2_models import (
    ForbiddenException,
    NotFoundException,
    PayloadTooLargeException,
    PreconditionFailedException,
    SCIMException,
)
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.service import ScimService
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.core.errors import KeywrightError, TooLarge
from service.http.certificates import proven_to
from service.http.fetching import Fetching
from service.http.problems import note
from service.http.route import address_of
from service.http.scim.dialects import plain
from service.http.scim.errors import scim_error
from service.http.scim.limits import check_query, checked
from service.http.scim.provider import PROVIDER
from service.http.scim.storage import DirectoryStorage
from service.keeper.asked import Who
from service.keeper.callers import machine, nobody, who
from service.keeper.keeper import Keeper

ROOT = "/scim/v2"
TRIES = 5
"""More of a change that names no version and that somebody else's came before."""
_TURN = threading.Lock()
"""They go on one at a time: of many that come at once none would lose each time, to one after another."""
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")
_SERVICE = ScimService(PROVIDER)


class ScimDoor:
    """What is behind `/scim/`; see `beside.py` for how it gets here."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        response = await _answered(Request(scope, receive), self._url)
        await response(scope, receive, send)


async def _answered(request: Request, url: str) -> Response:
    """What is no error of ours is the envelope's to answer."""
    try:
        fetching: Fetching = request.app.state.fetching
        asker = _who(request)
        caller = await fetching.caller(asker)
        asked = await _read(request, url)
        if asked.body:
            caller = await fetching.caller(asker)
        keeper: Keeper = request.app.state.keeper
        handler = ScimHandler(_SERVICE, DirectoryStorage(keeper.directory, caller))
        answer = await to_thread.run_sync(_done, handler, asked)
    except KeywrightError as error:
        answer = _refused(scim_error(error))
        note(error, answer.status, request.url.path)
    except SCIMException as error:
        answer = _refused(error)
        if isinstance(error.__cause__, KeywrightError):
            note(error.__cause__, answer.status, request.url.path)
    body = None if answer.body is None else json.dumps(answer.body, ensure_ascii=False).encode()
    headers = {name: value for name, value in answer.headers.items() if body or name != "Content-Type"}
    return Response(body, int(answer.status), headers)


def _done(handler: ScimHandler, asked: ScimRequest) -> ScimResponse:
    conditional = asked.header("If-Match") or asked.header("If-None-Match")
    try:
        return handler.handle(asked)
    except PreconditionFailedException:
        if conditional or asked.method not in ("PUT", "PATCH", "DELETE"):
            raise
    with _TURN:
        for _ in range(TRIES - 1):
            with contextlib.suppress(PreconditionFailedException):
                return handler.handle(asked)
        return handler.handle(asked)


def _refused(error: SCIMException) -> ScimResponse:
    answer = _SERVICE.error_response(error)
    if answer.status in (429, 503):
        answer.headers["Retry-After"] = "1"
    if answer.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="keywright"'
    if answer.status == 413:
        answer.headers["Connection"] = "close"  # the rest of the body is not read
    return answer


async def _read(request: Request, url: str) -> ScimRequest:
    """Raises SCIMException, TooLarge."""
    path = request.scope["path"]
    if path != ROOT and not path.startswith(f"{ROOT}/"):
        raise NotFoundException(detail=f"SCIM is spoken at {ROOT}")
    query = dict(parse_qsl(request.scope["query_string"].decode("ascii", "replace"), keep_blank_values=True))
    check_query(query)
    try:
        body = await request.body()
    except TooLarge as error:
        raise PayloadTooLargeException(detail=error.message) from error
    if body:
        body = json.dumps(plain(checked(body))).encode()
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.scope["headers"]]
    return ScimRequest(
        request.method, f"{url or _here(request)}{ROOT}", path.removeprefix(ROOT) or "/", query, headers, body
    )


def _here(request: Request) -> str:
    """The server's address as the client wrote it. Raises ForbiddenException for what is none."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise ForbiddenException(detail="Host must be the address of this server")
    return f"{request.scope['scheme']}://{host}"


def _who(request: Request) -> Who:
    """Nobody comes here by a cookie: providers have tokens."""
    address, request_id = address_of(request), request.state.request_id
    presented, shown = request.headers.getlist("authorization"), proven_to(request.scope)
    scheme, _, token = presented[0].partition(" ") if presented else ("", "", "")
    if len(presented) == 1 and scheme.lower() == "bearer":
        return who(token.strip(" "), address, request_id, shown)
    said = "exactly one token is needed: Authorization: Bearer kw_…"
    if shown is not None and not presented:
        return machine(shown, said, address, request_id)
    return nobody(said, address, request_id)
