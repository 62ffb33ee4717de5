"""The native door, `{address}/api/v1`: requests out, answers or typed errors back.

Redirects are not followed (the token would go where they point). A proxy named in the process environment
is used for https only, and never for an address of this machine.
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx2

from keywright.answers import Reply, failures, reply, unexpected
from keywright.bearer import Bearer
from keywright.certificate import Certificate
from keywright.errors import FactorNeeded, Forbidden
from keywright.forks import OfProcess
from keywright.size import STREAM, limit
from keywright.trust import Trust

__all__ = ["CUT", "AskedFor", "Door", "Reply"]

NEEDED = "approval-needed"
"""What the server calls it (the slug of its problem)."""

# A pooled connection that the server closed meanwhile: the question was not answered, and asking is harmless.
CUT = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)


class AskedFor(Exception):
    """It was not done: somebody else was asked to agree to it first. `approval` is as the server told it."""

    def __init__(self, approval: Any) -> None:
        super().__init__("somebody else has to agree first")
        self.approval = approval


class Door:
    """One server, asked as one caller. Safe to share between threads and across a fork. Close it when done."""

    def __init__(
        self,
        address: str,
        token: Callable[[], str] | None,
        *,
        timeout: float = 10.0,
        ca: str | None = None,
        certificate: Certificate | None = None,
        steps_up: "Callable[[Door], bool] | None" = None,
        reason: str | None = None,
    ) -> None:
        """`timeout` in seconds, for connecting and for each wait on the answer; `ca` a PEM file, trusted alone.

        `certificate` is shown to the server; without a token it alone stands for the caller. `steps_up` shows a second
        factor where one is needed; True: ask once more. With a `reason` somebody else is asked to agree where that is
        needed: then what asks raises AskedFor. Raises Invalid when one of the files cannot be used.
        """
        self.address = address
        self._steps_up = steps_up
        self._token = token
        self._timeout = timeout
        self._reason = reason
        self._trust = Trust(address, ca, certificate)
        self._opening = OfProcess(threading.Lock)
        self._opened: tuple[int, httpx2.Client] | None = None
        self._former: tuple[int, httpx2.Client] | None = None

    def __repr__(self) -> str:
        return f"Door({self.address!r})"

    def __enter__(self) -> "Door":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        for opened in (self._opened, self._former):
            _close(opened)
        self._opened = self._former = None

    def get(self, path: str, query: Mapping[str, str] | None = None, *, etag: str | None = None) -> Reply:
        """Ask for `path`. With `etag` the answer may be status 304 and empty. Raises every error of `errors`."""
        return self._ask("GET", path, query=query, headers={"If-None-Match": etag} if etag else {})

    def put(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Create or replace `path`. Raises every error of `errors`."""
        return self._ask("PUT", path, body=body)

    def post(self, path: str, body: Mapping[str, Any], *, key: str | None = None) -> Reply:
        """Ask for something to be done; `key` (Idempotency-Key) makes asking twice the same as once."""
        return self._ask("POST", path, body=body, headers={"Idempotency-Key": key} if key else {})

    def patch(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Change a part of `path`. Raises every error of `errors`."""
        return self._ask("PATCH", path, body=body)

    def delete(self, path: str) -> Reply:
        """Remove `path`. Raises every error of `errors`."""
        return self._ask("DELETE", path)

    def lines(self, path: str, query: Mapping[str, str], last: str | None, silent: float) -> Iterator[str]:
        """An answer without an end, line by line; at most `silent` seconds without a sign of life.

        Ends where the server ends it. Raises every error of `errors`.
        """
        headers = {"Accept": STREAM} | ({} if last is None else {"Last-Event-ID": last})
        timeout = httpx2.Timeout(self._timeout, read=silent)
        with (
            failures(self.address, silent),
            self._http().stream(
                "GET", f"{self.address}/api/v1{path}", params=query, headers=headers, timeout=timeout
            ) as response,
        ):
            if not response.is_success or not response.headers.get("Content-Type", "").startswith(STREAM):
                response.read()
                reply(self.address, response)
                raise unexpected(self.address, "something that is no stream", response.status_code)
            yield from response.iter_lines()

    def items(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Everything in a list, page by page. Raises every error of `errors`."""
        asked: dict[str, str] = dict(query or {})
        seen: set[str] = set()
        while True:
            body = self.get(path, asked).body
            entries = body.get("items") if isinstance(body, dict) else None
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise unexpected(self.address, "a list that is none")
            yield from entries
            cursor = body.get("next")
            if not cursor:
                return
            if cursor in seen:
                raise unexpected(self.address, "a list that never ends")
            seen.add(cursor)
            asked["cursor"] = str(cursor)

    def _http(self) -> httpx2.Client:
        # After a fork the parent's sockets are still its own: two processes on one TLS stream break it.
        with self._opening.get():
            return self._open()

    def _open(self) -> httpx2.Client:
        if self._trust.turned():
            # Other threads may be asking over the former: it is closed when there is another one.
            before, self._former, self._opened = self._former, self._opened, None
            _close(before)
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            client = httpx2.Client(
                auth=Bearer(self._token),
                timeout=self._timeout,
                event_hooks={"response": [limit]},
                **self._trust.settings(),
            )
            opened = self._opened = os.getpid(), client
        return opened[1]

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        sent: dict[str, Any] = {"params": query, "headers": headers}
        if body is not None:
            sent["json"] = body
        try:
            return self._agreed(method, path, sent)
        except FactorNeeded:
            if self._steps_up is None or not self._steps_up(self):
                raise
            return self._agreed(method, path, sent)

    def _once(self, method: str, path: str, sent: Mapping[str, Any]) -> Reply:
        url = f"{self.address}/api/v1{path}"
        with failures(self.address, self._timeout):
            try:
                response = self._http().request(method, url, **sent)
            except CUT:
                if method != "GET":
                    raise
                response = self._http().request(method, url, **sent)
        return reply(self.address, response)

    def _agreed(self, method: str, path: str, sent: Mapping[str, Any]) -> Reply:
        """As `_once`; where somebody else has to agree, and there is a reason to give, they are asked to."""
        try:
            return self._once(method, path, sent)
        except Forbidden as refusal:
            if self._reason is None or refusal.slug != NEEDED:
                raise
        asks = {**(sent["headers"] or {}), "Keywright-Approval": "ask", "Keywright-Reason": quote(self._reason)}
        raise AskedFor(self._once(method, path, {**sent, "headers": asks}).body)


def _close(opened: tuple[int, httpx2.Client] | None) -> None:
    if opened is not None and opened[0] == os.getpid():
        opened[1].close()
