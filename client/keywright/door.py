"""The native door, `{address}/api/v1`: requests out, answers or typed errors back.

Redirects are not followed (the token would go where they point). A proxy named in the process environment
is used for https only, and never for an address of this machine.
"""

import os
import ssl
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import httpx2

from keywright import errors
from keywright.certificate import Certificate, Showing
from keywright.discovery import loopback
from keywright.printable import printable

_PROBLEM = "urn:keywright:problem:"
_BY_SLUG: Mapping[str, type[errors.KeywrightError]] = {
    "invalid": errors.Invalid,
    "too-large": errors.TooLarge,
    "unauthenticated": errors.Unauthenticated,
    "forbidden": errors.Forbidden,
    "absent": errors.Absent,
    "conflict": errors.Conflict,
    "outdated": errors.Outdated,
    "store-absent": errors.StoreFailed,
    "store-refused": errors.StoreFailed,
    "store-malformed": errors.StoreFailed,
    "store-unreachable": errors.StoreFailed,
    "unavailable": errors.Unavailable,
}
# Only the statuses that mean the same whoever sent them: a 404 without a slug is not "absent" but a wrong address.
_BY_STATUS: Mapping[int, type[errors.KeywrightError]] = {
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    413: errors.TooLarge,
    429: errors.Unavailable,
}
# A pooled connection that the server closed meanwhile: the question was not answered, and asking is harmless.
_CUT = (httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)


@dataclass(frozen=True)
class Reply:
    """An answer. `at` is the server's time in seconds since 1970; `etag` names what was answered."""

    status: int
    body: Any = field(repr=False)
    etag: str | None
    at: float


class _Bearer(httpx2.Auth):
    """RFC 6750, 2.1. Kept out of the client's headers, so that no dump of those holds the token."""

    def __init__(self, token: Callable[[], str] | None) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        if self._token is not None:
            request.headers["Authorization"] = f"Bearer {self._token()}"
        yield request


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
    ) -> None:
        """`timeout` in seconds, for connecting and for each wait on the answer; `ca` a PEM file, trusted alone.

        `certificate` is shown to the server; without a token it alone stands for the caller. Raises Invalid when one of
        the files cannot be used.
        """
        self.address = address
        self._token = token
        self._timeout = timeout
        self._ca = ca
        self._showing = Showing(certificate) if certificate else None
        self._verify = _authorities(address, ca)
        self._show()
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
        headers = {"If-None-Match": etag} if etag else {}
        return self._ask("GET", path, query=query, headers=headers)

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
        headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
        timeout = httpx2.Timeout(self._timeout, read=silent)
        with (
            self._told_apart(silent),
            self._http().stream(
                "GET", f"{self.address}/api/v1{path}", params=query, headers=headers, timeout=timeout
            ) as response,
        ):
            if not response.is_success or not response.headers.get("Content-Type", "").startswith("text/event-stream"):
                response.read()
                self._reply(response)
                raise self._unexpected("something that is no stream", response.status_code)
            yield from response.iter_lines()

    def items(self, path: str, query: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Everything in a list, page by page. Raises every error of `errors`."""
        asked: dict[str, str] = dict(query or {})
        seen: set[str] = set()
        while True:
            body = self.get(path, asked).body
            entries = body.get("items") if isinstance(body, dict) else None
            if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
                raise self._unexpected("a list that is none")
            yield from entries
            cursor = body.get("next")
            if not cursor:
                return
            if cursor in seen:
                raise self._unexpected("a list that never ends")
            seen.add(cursor)
            asked["cursor"] = str(cursor)

    def _http(self) -> httpx2.Client:
        # After a fork the parent's sockets are still its own: two processes on one TLS stream break it.
        if self._show():
            # Other threads may be asking over the former: it is closed when there is another one.
            before, self._former, self._opened = self._former, self._opened, None
            _close(before)
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            parts = urlsplit(self.address)
            opened = self._opened = (
                os.getpid(),
                httpx2.Client(
                    auth=_Bearer(self._token),
                    headers={"Accept": "application/json", "User-Agent": "keywright"},
                    timeout=self._timeout,
                    verify=self._verify,
                    follow_redirects=False,
                    trust_env=parts.scheme == "https" and not loopback(parts.hostname or ""),
                    # Shorter than servers keep idle connections, so that few requests meet a closed one.
                    limits=httpx2.Limits(max_connections=20, keepalive_expiry=3.0),
                ),
            )
        return opened[1]

    def _show(self) -> bool:
        """Show what the certificate's files hold now; True if it is another one. Raises Invalid."""
        if self._showing is None:
            return False
        context = self._showing.renewed(lambda: _context(_authorities(self.address, self._ca)))
        if context is not None:
            self._verify = context
        return context is not None

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        url = f"{self.address}/api/v1{path}"
        sent: dict[str, Any] = {"params": query, "headers": headers}
        if body is not None:
            sent["json"] = body
        with self._told_apart(self._timeout):
            try:
                response = self._http().request(method, url, **sent)
            except _CUT:
                if method != "GET":
                    raise
                response = self._http().request(method, url, **sent)
        return self._reply(response)

    @contextmanager
    def _told_apart(self, seconds: float) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException:
            raise errors.Unreachable(
                f"{self.address} did not answer within {seconds:g} seconds: is it running, can it be reached?"
            ) from None
        except httpx2.ConnectError as error:
            raise errors.Unreachable(
                f"{self.address} cannot be reached ({printable(str(error))}): is it running, is the address right?"
            ) from None
        except httpx2.TransportError as error:
            # Their texts may quote headers, so only the kind is told.
            raise errors.Unreachable(
                f"the connection to {self.address} broke ({type(error).__name__}): try again"
            ) from None
        except (httpx2.DecodingError, httpx2.InvalidURL):
            raise self._unexpected("something unreadable") from None

    def _reply(self, response: httpx2.Response) -> Reply:
        status = response.status_code
        if status == 304 or status == 204:
            return Reply(status, None, response.headers.get("ETag"), _served_at(response))
        if response.is_redirect or 300 <= status < 400:
            raise self._unexpected(f"a redirect (status {status}), which is never followed", status)
        try:
            body = response.json()
        except ValueError:  # its own text would quote the answer
            if response.is_success:
                raise self._unexpected("something that is not JSON", status) from None
            body = None
        if not response.is_success:
            raise self._problem(status, body)
        return Reply(status, body, response.headers.get("ETag"), _served_at(response))

    def _problem(self, status: int, body: object) -> errors.KeywrightError:
        told: Mapping[str, Any] = body if isinstance(body, dict) else {}
        slug = str(told.get("type") or "").removeprefix(_PROBLEM)
        kind = _BY_SLUG.get(slug) or _BY_STATUS.get(status)
        if kind is None and status >= 500:
            kind = errors.Unavailable
        if kind is None:
            return self._unexpected(f"status {status} without saying why", status)
        text = told.get("detail") or told.get("title") or f"status {status}"
        return kind(
            printable(str(text)),
            status=status,
            slug=printable(slug) or None,
            field=printable(str(told["field"])) if told.get("field") else None,
            request_id=printable(str(told["request_id"])) if told.get("request_id") else None,
        )

    def _unexpected(self, what: str, status: int | None = None) -> errors.Unexpected:
        return errors.Unexpected(f"{self.address} answered with {what}: is this Keywright's address?", status=status)


def _close(opened: tuple[int, httpx2.Client] | None) -> None:
    if opened is not None and opened[0] == os.getpid():
        opened[1].close()


def _context(verify: ssl.SSLContext | bool) -> ssl.SSLContext:
    return verify if isinstance(verify, ssl.SSLContext) else httpx2.create_ssl_context()


def _authorities(address: str, ca: str | None) -> ssl.SSLContext | bool:
    if ca is None:
        # For plain http nobody is trusted: loading the usual authorities takes longer than asking.
        return True if address.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:  # ssl.SSLError is one
        raise errors.Invalid(
            f"the CA file {ca} cannot be used ({error.strerror or 'not PEM'}): it must hold PEM certificates",
            field="ca",
        ) from None


def _served_at(response: httpx2.Response) -> float:
    """The server's clock (RFC 9110, 6.6.1), so that `good_until` does not depend on ours being right."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return time.time()
