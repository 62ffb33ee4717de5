"""The fast lane: a fetch by one name, with nothing but a wait in its query, is answered here; everything else goes on.

    GET /api/v1/environments/{environment}/values/{name}          no query but wait=SECONDS, in whole seconds; one
    GET /api/v1/environments/{environment}/credentials/{name}     Authorization: Bearer kw_…, and If-None-Match once
                                                                  at the most

What is asked that plainly needs no framework to be read, and who waits keeps none of it in memory meanwhile. Whatever
is unusual about a request, or wrong with it, is left to the routes of `values.py` and `credentials.py`, which take the
same way through the keeper; the OpenAPI document describes these. A fetch that is answered leaves no line in the
process's log: the event log has it.
"""

import re
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from service.core import names
from service.core.errors import KeywrightError
from service.http import credentials, problems, values
from service.http.certificates import proven_to
from service.http.envelope import Envelope
from service.http.fetching import Fetching, known_by
from service.keeper.callers import who
from service.keeper.keeper import Keeper
from service.keeper.recorder import Asked
from service.keeper.values import Wanted

_PLAIN = re.compile(rf"/api/v1/environments/({names.SEGMENT})/(values|credentials)/({names.PATH})")
_BEARER = re.compile(rb"[Bb]earer (kw_[0-9a-f]{16}_[A-Za-z0-9_-]{43})")
_WAIT = re.compile(rb"wait=([1-5]?[0-9]|60)")
"""Whole seconds, as many as may be waited."""
_LONGEST_KNOWN = 1000
_SAYS_JSON = (b"content-type", b"application/json")


class Lane:
    """In front of an application that `app.application` made, with an envelope of its own."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._keeper: Keeper = app.state.keeper
        self._fetching: Fetching = app.state.fetching
        self._envelope = Envelope(self._answer, app.state.metrics.answered, app.state.limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request (ASGI 3)."""
        plain = _plain(scope)
        if plain is None:
            await self._app(scope, receive, send)
        else:
            await self._envelope({**scope, "plain": plain}, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        environment, door, name, wait, token, if_none_match = scope["plain"]
        request_id = scope["state"]["request_id"]
        asker = who(token, scope["client"][0] if scope["client"] else "", request_id, proven_to(scope))
        known = known_by(if_none_match)
        asked: Asked
        render: Callable[[Any], str]
        if door == "values":
            asked, render = self._keeper.values.asked(asker, environment, Wanted(names=(name,)), known), _value
        else:
            asked, render = self._keeper.credentials.asked(asker, environment, name, known), credentials.text
        try:
            if wait:
                told = await self._fetching.told(scope, receive, asked, wait)
            else:
                told = await self._fetching.recorded(asked, receive)
        except KeywrightError as error:
            status, body, headers = problems.refusal(error, scope["path"], request_id)
        else:
            headers = [(b"etag", b'"%b"' % told.tag.encode())]
            if told.value is None:
                status, body = 304, b""
            else:
                status, body = 200, render(told.value).encode()
                headers += (_SAYS_JSON, (b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _plain(scope: Scope) -> tuple[str, str, str, int, str, str | None] | None:
    """Environment, door, name, seconds to wait, token and what is known; None for what is not that plain."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    wait = 0
    if query := scope["query_string"]:
        seconds = _WAIT.fullmatch(query)
        if seconds is None:
            return None
        wait = int(seconds[1])
    found = _PLAIN.fullmatch(scope["path"])
    if found is None or len(found[1]) > names.LONGEST or len(found[3]) > names.LONGEST:
        return None
    token = known = None
    for key, text in scope["headers"]:
        if key == b"authorization":
            presented = _BEARER.fullmatch(text)
            if token is not None or presented is None:
                return None
            token = presented[1].decode()
        elif key == b"if-none-match":
            if known is not None or len(text) > _LONGEST_KNOWN:
                return None
            known = text.decode("latin-1")
        elif key == b"content-length" or key == b"transfer-encoding":
            return None  # a body is none of its business
    return None if token is None else (found[1], found[2], found[3], wait, token, known)


def _value(found: list[Any]) -> str:
    return values.shown(found[0])
