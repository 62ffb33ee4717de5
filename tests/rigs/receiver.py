"""A target of webhooks on this machine, over HTTP or TLS, that answers as a test says, and keeps what came.

with receiver() as it:
    it.answers = lambda number: 500 if number == 1 else 200
    … it.url …
    it.verified(secret)
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

from tests.rigs.keywright import wait_until


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answers` gives the status for the number of a request, counted from 1; `waits` is waited for before."""

    url: str = ""
    answers: Callable[[int], int] = lambda number: 200
    headers: dict[str, str] = field(default_factory=dict)
    waits: threading.Event | None = None
    drips: bool = False
    """Answer a byte at a time, without an end."""
    came: list[Received] = field(default_factory=list)

    def verified(self, secret: str) -> list[Any]:
        """What came, each with a signature that this secret verifies."""
        return [Webhook(secret).verify(each.body, each.headers) for each in self.came]

    def wait(self, number: int) -> None:
        """Until so many requests came."""
        wait_until(lambda: len(self.came) >= number, lambda: f"{len(self.came)} of {number} came", 60)


@contextmanager
def receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Listens on a free port."""
    it = Receiver()
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            it.came.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            number = len(it.came)
            while it.waits is not None and not it.waits.wait(0.05) and not over.is_set():
                pass
            if it.drips:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not over.is_set():
                    self.wfile.write(b"x")
                    time.sleep(0.02)
                return
            self.send_response(it.answers(number))
            for name, value in ({"Content-Length": "0"} | it.headers).items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST  # noqa: N815

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Whoever went away meanwhile was to."""

    server = Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    host = f"https://localhost:{server.server_address[1]}" if tls else f"http://127.0.0.1:{server.server_address[1]}"
    it.url = f"{host}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield it
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()
