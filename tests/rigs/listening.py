"""A listener on a free port of this machine, with an application of the test's own behind it.

listening   `with listening(app) as it: it.sent(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")`
echo        answers every request with what it was, as JSON
"""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from service.http.listener import Listener

PATIENCE = 30.0
"""Seconds that anything may take before a test fails."""


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """What was asked: method, path, query, headers, body (base64), client, TLS."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    said = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "headers": [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]],
        "body": base64.b64encode(body).decode(),
        "client": scope["client"],
        "tls": scope.get("extensions", {}).get("tls"),
    }
    content = json.dumps(said).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


@dataclass
class Answer:
    """One answer off the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


class Way:
    """A connection on which a test says bytes and reads answers."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.socket.settimeout(PATIENCE)
        self._unread = b""

    def say(self, data: bytes) -> None:
        """Send."""
        self.socket.sendall(data)

    def answer(self, *, bare: bool = False) -> Answer:
        """The next answer; `bare` for one to HEAD. ConnectionError when there is none."""
        while b"\r\n\r\n" not in self._unread:
            self._more()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        size = 0 if bare else int(headers.get("content-length", 0))
        while len(self._unread) < size:
            self._more()
        body, self._unread = self._unread[:size], self._unread[size:]
        return Answer(int(lines[0].split()[1]), headers, body)

    @property
    def ended(self) -> bool:
        """Wait for the end of the connection; False if more is said before."""
        try:
            return not self._unread and not self.socket.recv(1)
        except ConnectionResetError:
            return True

    def rest(self) -> bytes:
        """Everything until the end of the connection."""
        while True:
            try:
                self._more()
            except ConnectionError:
                return self._unread

    def _more(self) -> None:
        more = self.socket.recv(65536)
        if not more:
            raise ConnectionError("the connection ended")
        self._unread += more


@dataclass
class Listening:
    """A listener that runs."""

    listener: Listener
    thread: threading.Thread
    _ways: list[Way] = field(default_factory=list)

    def way(self) -> Way:
        """A new connection."""
        made = Way(socket.create_connection(self.listener.address, timeout=PATIENCE))
        self._ways.append(made)
        return made

    def sent(self, data: bytes) -> Answer:
        """The answer to these bytes on a connection of their own."""
        way = self.way()
        way.say(data)
        return way.answer()

    def close(self) -> None:
        """Stop at once."""
        for way in self._ways:
            way.socket.close()
        self.listener.stop(hurry=True)
        self.thread.join(PATIENCE)
        assert not self.thread.is_alive(), "the listener did not stop"


@contextmanager
def listening(app: ASGIApp = echo, **more: Any) -> Iterator[Listening]:
    """A listener in a thread; `more` goes to `Listener`."""
    listener = Listener(app, "127.0.0.1", 0, **more)
    listener.bind()
    thread = threading.Thread(target=listener.run, name="listener", daemon=True)
    thread.start()
    assert listener.started.wait(PATIENCE), "the listener did not start"
    it = Listening(listener, thread)
    try:
        yield it
    finally:
        it.close()
