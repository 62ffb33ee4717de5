"""Posting to targets of webhooks, whose addresses come from users: nothing inside is to be reached by them.

    name → resolved here → every address judged → a connection to the very address that was judged
         → TLS with the name, verified → one request, no redirect followed → the status, and the rest thrown away

Resolved once and by ourselves: a name that leads elsewhere a moment later (DNS rebinding) changes nothing. Proxies of
the surroundings are not used, nor cookies, nor an earlier connection. An attempt as a whole has one end, however
slowly a target takes or answers. (OWASP, "Server-Side Request Forgery Prevention Cheat Sheet"; RFC 9110, 15.4.)
"""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpcore2
import structlog

from service.core.errors import Invalid
from service.core.webhook import Answer, Outcome, reachable

log = structlog.get_logger("webhooks")

WITHIN = 15.0
"""Seconds for an attempt from the connection on. (Names are resolved by the system, which has limits of its own.)"""
MOST_ANSWER = 64 * 1024
"""Bytes of an answer's body that are read, for the connection to end in order; nobody is shown them."""


class Closed(Exception):
    """A name leads only to addresses that are not open to webhooks."""


class WebhookPost:
    """Sends deliveries. `opened`: networks (CIDR) beside the public ones; `plain`: http as well; `ca`: a PEM file."""

    def __init__(self, opened: tuple[str, ...] = (), *, plain: bool = False, ca: Path | None = None) -> None:
        self._opened = opened
        self._plain = plain
        try:
            self._tls = ssl.create_default_context(cafile=str(ca)) if ca else None
        except OSError as error:  # ssl.SSLError is one
            raise Invalid(f"KEYWRIGHT_WEBHOOK_CA: {ca} cannot be used ({error.strerror or 'not PEM'})") from None

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send it. Does not raise."""
        parts = urlsplit(url)
        if parts.scheme != "https" and not self._plain:
            return Answer(Outcome.FORBIDDEN)
        if self._tls is None:  # loaded when it is first needed: few installations have webhooks
            self._tls = httpcore2.default_ssl_context()
        way = _Judged(self._opened, time.monotonic() + WITHIN)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        default = parts.port in (None, 443 if parts.scheme == "https" else 80)
        host = parts.hostname or ""
        named = f"[{host}]" if ":" in host else host
        place = httpcore2.URL(scheme=parts.scheme.encode(), host=host.encode(), port=port, target=target.encode())
        sent = {"Host": named if default else f"{named}:{port}", "Content-Length": str(len(body)), **headers}
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), WITHIN)
        try:
            with (
                httpcore2.ConnectionPool(ssl_context=self._tls, network_backend=way, max_connections=1) as pool,
                pool.stream(
                    "POST",
                    place,
                    headers=[(name.encode(), text.encode()) for name, text in sent.items()],
                    content=body,
                    extensions={"timeout": timeout},
                ) as answer,
            ):
                status = answer.status
                read = 0
                for piece in answer.iter_stream():
                    read += len(piece)
                    if read > MOST_ANSWER:
                        break
        except Closed:
            return Answer(Outcome.FORBIDDEN)
        except (httpcore2.NetworkError, httpcore2.TimeoutException, httpcore2.ProtocolError, OSError) as error:
            log.debug("a target of a webhook was not reached", reason=type(error).__name__)
            return Answer(Outcome.UNREACHABLE)
        return Answer(Outcome.ACCEPTED if 200 <= status < 300 else Outcome.REJECTED, status)


class _Judged(httpcore2.SyncBackend):
    """Connects to judged addresses only, and to the end of an attempt."""

    def __init__(self, opened: tuple[str, ...], end: float) -> None:
        self._opened = opened
        self._end = end

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  ours is the end
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Raises Closed, httpcore2.ConnectError, httpcore2.ConnectTimeout."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise httpcore2.ConnectError("the name cannot be resolved") from None
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
        judged = [address for address in addresses if reachable(address, self._opened)]
        if not judged:
            raise Closed
        failure: Exception = httpcore2.ConnectTimeout("the time for an attempt is over")
        for address in judged:
            try:
                stream = super().connect_tcp(address, port, _left(self._end), local_address, socket_options)
                return _Ending(stream, self._end)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure


class _Ending(httpcore2.NetworkStream):
    """A stream on which everything together takes until the end, and no longer."""

    def __init__(self, stream: httpcore2.NetworkStream, end: float) -> None:
        self._stream = stream
        self._end = end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Raises httpcore2.ReadTimeout, httpcore2.ReadError."""
        return self._stream.read(max_bytes, _left(self._end))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Raises httpcore2.WriteTimeout, httpcore2.WriteError."""
        self._stream.write(buffer, _left(self._end))

    def close(self) -> None:
        """Close it."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore2.NetworkStream:
        """Raises httpcore2.ConnectError."""
        return _Ending(self._stream.start_tls(ssl_context, server_hostname, _left(self._end)), self._end)

    def get_extra_info(self, info: str) -> Any:
        """As the stream has it."""
        return self._stream.get_extra_info(info)


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time for an attempt is over")
    return left
