"""The fast lane: a fetch by one name, with nothing but a wait in its query, is answered here; everything else goes on.

    GET /api/v1/environments/{environment}/values/{name}          no query but wait=SECONDS, in whole seconds; one
    GET /api/v1/environments/{environment}/credentials/{name}     Authorization: Bearer kw_…, and If-None-Match once
                                                                  at the most

What is asked that plainly needs no framework to be read, and no task of the event loop to be waited for: it is
evaluated while it is read, and written to its connection when its batch was recorded. Nor has who waits for a change
a task: what is kept of it is what it asked, and a place among those who wait. Whatever is unusual about a request, or
wrong with it, or takes something from outside first, is left to the routes of `values.py` and `credentials.py`, which
take the same way through the keeper; the OpenAPI document describes these.
"""

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from service.core import names
from service.core.errors import KeywrightError, Unauthenticated
from service.core.token import hashed
from service.http import credentials, problems, values
from service.http.claims import is_claim
from service.http.fetching import Fetching, Unanswered, known_by, tell
from service.http.plain import Dialect, Headers, Plain, Reader
from service.http.reception import WRONG, Reception, Refusal
from service.http.refusals import COMMON, DEFECT, LINES, said
from service.http.waiting import Changes, Wait
from service.keeper.asked import Asked, Told
from service.keeper.callers import Presented
from service.keeper.keeper import Keeper
from service.keeper.outside import OUTSIDE

if TYPE_CHECKING:
    from service.http.wire import Wire

_PLAIN = re.compile(
    rf"/api/v1/environments/({names.SEGMENT})/(values|credentials)/({names.PATH})(?:\?wait=([1-9]|[1-5][0-9]|60))?".encode()
)
_BEARER = re.compile(rb"[Bb]earer (kw_([0-9a-f]{16})_([A-Za-z0-9_-]{43}))")
_LONGEST_KNOWN = 1000
_OK = LINES[200] + COMMON + b"content-type: application/json\r\n"
_NOT_MODIFIED = LINES[304] + COMMON
_CLOSE = b"connection: close\r\n"
_TAG = b'etag: "%b"\r\n'
_REST = b"%b%bx-request-id: %b\r\n%bcontent-length: %d\r\n\r\n%b"


class Fetch:
    """One fetch in the lane. It stands where an exchange stands on its connection, but nobody waits in a task."""

    __slots__ = (
        "address",
        "began",
        "keep",
        "plain",
        "refused",
        "request_id",
        "task",
        "until",
        "wire",
    )
    cut = False
    started = done = True
    """The whole answer is written at once."""

    def __init__(self, wire: "Wire", plain: Plain, keep: bool, request_id: str, address: str) -> None:
        self.wire = wire
        self.plain = plain
        self.keep = keep
        self.request_id = request_id
        self.address = address
        self.task = None
        self.refused: KeywrightError | None = None
        """What only the route knows how to answer, recorded already."""
        self.until = 0.0
        """When its wait is over, by the loop's clock; 0 for none."""
        self.began = time.perf_counter()

    @property
    def path(self) -> str:
        """What is asked for."""
        return self.plain.target.partition(b"?")[0].decode()

    def hear(self, _: bytes) -> bool:
        """A piece of a body, which it does not have."""
        return False

    def heard(self) -> None:
        """The request is complete, as it was from its head on."""

    def wake(self) -> None:
        """The client went away. The answer is recorded all the same, as it may be already."""


class Lane:
    """In front of an application that `app.application` made. Used by the thread of one event loop."""

    def __init__(self, app: FastAPI) -> None:
        self._keeper: Keeper = app.state.keeper
        self._fetching: Fetching = app.state.fetching
        self._changes: Changes = app.state.changes
        self._reception: Reception = app.state.reception
        self._other: dict[bytes, Reader] = app.state.readers

    def read(self, target: bytes, headers: Headers) -> Plain | None:
        """What a request without a body, by its method GET, asks for; None for what is not plain."""
        other = self._other.get(target[:4])
        if other is not None:
            return other(target, headers)
        plain = _PLAIN.fullmatch(target)
        if plain is None:
            return None
        token = known = None
        for name, text in headers:
            if name == b"authorization":
                if token is not None or (token := _BEARER.fullmatch(text)) is None:
                    return None
            elif name == b"if-none-match":
                if known is not None or len(text) > _LONGEST_KNOWN:
                    return None
                known = text.decode("latin-1")
            elif name == b"keywright-approval":
                return None
            elif name == b"content-length" or name == b"transfer-encoding" or name == b"expect":
                return None  # a body is none of its business
            elif name == b"cookie":
                return None  # it may be a second token: see `route.py`
            elif name[:2] == b"x-" and is_claim(name):
                return None
        where, door, what = plain[1].decode(), plain[2], plain[3].decode()
        if token is None or len(where) > names.LONGEST or len(what) > names.LONGEST:
            return None
        wait = int(plain[4] or 0)
        token_id, secret = token[2].decode(), hashed(token[3].decode())
        value = door == b"values"
        return Plain(target, headers, NATIVE, value, where, what, token_id, secret, token[1], known_by(known), wait)

    def begin(self, wire: "Wire", plain: "Plain", keep: bool) -> Fetch:
        """The fetch of what was read, under way."""
        reception = self._reception
        request_id, address = reception.new_id(), wire.address_of(plain.headers)
        fetch = Fetch(wire, plain, keep, request_id, address)
        if plain.wait:
            fetch.until = asyncio.get_running_loop().time() + plain.wait
        reception.limits.working += 1
        refusal = reception.refusal(address, plain.token)
        if refusal is not None:
            wire.later(lambda: self._turned_away(fetch, refusal))
            return fetch
        who = Presented(plain.token_id, plain.secret, address, request_id, wire.certificate)
        asked: Asked
        if plain.value:
            asked = self._keeper.singles.asked(who, plain.where, plain.what, plain.known)
        else:
            asked = self._keeper.credentials.asked(who, plain.where, plain.what, plain.known)
        asked.answer, asked.over = fetch, self._over
        self._fetching.submit(asked)
        return fetch

    def _over(self, asked: Asked) -> None:
        """It is recorded: answer it."""
        fetch: Fetch = asked.answer
        error, dialect = asked.error, fetch.plain.dialect
        if asked.caller is not None and asked.caller.user is not None:
            self._fetching.noticed(asked.caller)
        if error is None:
            told: Told[Any] = asked.result
            if fetch.until and told.value is None and self._waits(fetch, asked, told):
                return
            if told.value is None:
                status, start, body = 304, _NOT_MODIFIED, b""
            else:
                render = dialect.value if fetch.plain.value else dialect.credential
                status, start, body = 200, _OK, render(told.value, fetch.request_id)
            wire = fetch.wire
            closes = b"" if fetch.keep and not wire.leaving else _CLOSE
            tag = _TAG % told.tag.encode() if dialect.tags else b""
            answer = _REST % (start, tag, fetch.request_id.encode(), closes, len(body), body)
            self._end(fetch, status, answer)
        elif isinstance(error, KeywrightError) and not isinstance(error, dialect.instead):
            self._refused(fetch, error)
        elif isinstance(error, Unanswered):
            if fetch.wire.current is fetch:  # nothing was written
                self._turned_away(fetch, DEFECT)
        else:
            # The application gets what is missing first; and what is a defect here is one there, too.
            fetch.refused = error if isinstance(error, KeywrightError) else None
            self._instead(fetch)

    def _waits(self, fetch: Fetch, asked: Asked, told: Told[Any]) -> bool:
        """There is nothing new: wait, if there is time. False: that is what is answered."""
        left = fetch.until - asyncio.get_running_loop().time()
        if left <= 0 or fetch.wire.leaving:
            return False
        if any(kind == OUTSIDE for kind, _ in told.keys):
            self._instead(fetch)
            return True
        wait = self._changes.begin(told.keys, asked.epoch, left, fetch.wire)
        wait.over.add_done_callback(lambda _: self._woken(fetch, asked, wait))
        return True

    def _woken(self, fetch: Fetch, asked: Asked, wait: Wait) -> None:
        self._changes.end(wait)
        if fetch.wire.lost:
            self._end(fetch, 499, b"")  # nobody is there to be answered; the number is nginx's
        elif fetch.wire.leaving:
            tell([asked])
        else:
            asked.epoch = None  # what it was evaluated on may be the present still: it is evaluated again all the same
            self._fetching.submit(asked)

    def _instead(self, fetch: Fetch) -> None:
        target = fetch.plain.target
        if fetch.until:
            left = max(round(fetch.until - asyncio.get_running_loop().time(), 3), 0)
            target = b"%b?wait=%.3f" % (fetch.path.encode(), left)
        fetch.wire.instead(fetch, target)
        self._reception.limits.working -= 1  # the envelope counts it from its first turn on

    def _refused(self, fetch: Fetch, error: KeywrightError) -> None:
        if isinstance(error, Unauthenticated) and not self._reception.limits.refused(fetch.address):
            self._turned_away(fetch, WRONG)
            return
        status, body, headers = fetch.plain.dialect.refusal(error, fetch.path, fetch.request_id)
        start = LINES[status] + COMMON + b"".join(b"%b: %b\r\n" % each for each in headers)
        closes = b"" if fetch.keep and not fetch.wire.leaving else _CLOSE
        given = b"x-request-id: %b\r\n%bcontent-length: %d\r\n\r\n" % (fetch.request_id.encode(), closes, len(body))
        self._end(fetch, status, start + given + body)

    def _turned_away(self, fetch: Fetch, refusal: Refusal) -> None:
        fetch.keep = False
        self._end(fetch, refusal[0], said(refusal, fetch.request_id, fetch.plain.dialect.bare))

    def _end(self, fetch: Fetch, status: int, answer: bytes) -> None:
        reception, wire = self._reception, fetch.wire
        wire.write(answer)
        if wire.leaving and not wire.lost:
            fetch.keep = False
        seconds = time.perf_counter() - fetch.began
        reception.limits.working -= 1
        try:
            reception.count("GET", status, seconds)
            if status != 200 and status != 304:  # the event log has the others
                reception.note("GET", fetch.path, status, seconds, fetch.address, fetch.request_id)
        finally:
            wire.ended(fetch)


def _value(found: Any, _: str) -> bytes:
    return values.shown(found[0]).encode()


def _credential(found: Any, _: str) -> bytes:
    return credentials.text(found).encode()


NATIVE = Dialect(_value, _credential, problems.refusal, problems.bare, tags=True)
