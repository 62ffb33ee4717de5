"""A line: one kept-alive HTTP connection whose requests and answers are timed, without a library between.

Times are those of the system's monotonic clock, in nanoseconds: of all processes of this machine they can be compared.
"""

import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

WITHIN = 90.0
"""Seconds that an answer may take."""
CHUNK = 65536
RESTS = 15.0
"""Seconds after which an unused connection is not trusted any more: the server closes those that rest for too long."""


class Lost(Exception):
    """The connection broke, or could not be made, before the answer was read in full. `request_id` if its head was."""

    def __init__(self, what: str, request_id: str = "") -> None:
        super().__init__(what)
        self.request_id = request_id


@dataclass(frozen=True)
class Reply:
    """A whole answer: `began` before its request was sent, `ended` after its last byte was read."""

    status: int
    headers: dict[str, str]
    body: bytes
    began: int
    ended: int

    @property
    def request_id(self) -> str:
        """As the events of the request name it."""
        return self.headers.get("x-request-id", "")

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Line:
    """Asks one request after the other, from `source` if an address of this machine is given."""

    def __init__(self, url: str, token: str = "", source: str = "") -> None:
        place = urlsplit(url)
        self._server = (str(place.hostname), int(place.port or 80))
        self._source = (source, 0) if source else None
        self.token = token
        self._way: socket.socket | None = None
        self._used = 0.0

    def ask(self, method: str, path: str, data: Any = None, *, token: str = "", **headers: str) -> Reply:
        """One request; header names have `_` for `-`. Raises Lost."""
        request = self.request(method, path, data, token=token, **headers)
        began = time.monotonic_ns()
        try:
            status, found, body = self._exchange(request)
        except OSError as error:
            self.close()
            raise Lost(str(error)) from error
        except Lost:
            self.close()
            raise
        reply = Reply(status, found, body, began, time.monotonic_ns())
        if found.get("connection") == "close":
            self.close()
        return reply

    def request(self, method: str, path: str, data: Any = None, *, token: str = "", **headers: str) -> bytes:
        """The bytes of a request."""
        lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: keywright", f"Authorization: Bearer {token or self.token}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        body = b""
        if data is not None:
            body = json.dumps(data).encode()
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + body

    def abort(self, request: bytes, read: int) -> None:
        """Send a request, read so many bytes of what comes, and break the connection (RST)."""
        with suppress(OSError):
            way = self._open()
            way.sendall(request)
            if read:
                way.recv(read)
            way.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """The next request makes a new connection."""
        if self._way:
            self._way.close()
            self._way = None

    def _open(self) -> socket.socket:
        if time.monotonic() - self._used > RESTS:
            self.close()
        self._used = time.monotonic()
        if self._way is None:
            self._way = socket.create_connection(self._server, WITHIN, self._source)
            self._way.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._way

    def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        way = self._open()
        way.sendall(request)
        answer, request_id = b"", ""
        while b"\r\n\r\n" not in answer:
            answer += self._more(way, request_id)
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(body) < length:
            body += self._more(way, headers.get("x-request-id", ""))
        return int(first.split()[1]), headers, body

    @staticmethod
    def _more(way: socket.socket, request_id: str) -> bytes:
        try:
            more = way.recv(CHUNK)
        except OSError as error:
            raise Lost(str(error), request_id) from error
        if not more:
            raise Lost("the server closed the connection", request_id)
        return more
