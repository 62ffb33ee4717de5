"""A small server that speaks the native door's shapes over real sockets, for the client's tests."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

TOKEN = "kw_test-token-6f1c"
PASSWORD = "pa:ss/w@rd-91b2"


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    port: int  # of the peer: tells connections apart
    certificate: dict[str, Any] | None = None


@dataclass(frozen=True)
class Told:
    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[[Asked], Told]


def problem(slug: str, status: int, detail: str = "what, where, what to do", **more: str) -> Told:
    return Told(
        status,
        {"type": f"urn:keywright:problem:{slug}", "title": slug, "status": status, "detail": detail, **more},
        {"Content-Type": "application/problem+json"},
    )


def in_seconds(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def entry(state: str = "live", password: str = PASSWORD, good_for: float = 3600, username: str = "shop_a") -> dict:
    return {
        "state": state,
        "username": username,
        "password": password,
        "url": f"postgresql://{username}:{password}@db1:5432/shop",
        "valid_from": in_seconds(-60),
        "good_until": in_seconds(good_for),
    }


def credential(*entries: dict, connection: str = "shop/db", generation: int = 7) -> dict:
    entries = entries or (entry(),)
    best = {key: entries[0][key] for key in ("username", "password", "url", "good_until")}
    return {
        "connection": connection,
        "engine": "postgresql",
        "endpoints": [
            {"host": "db2", "port": 5433, "part": "replica", "required": False},
            {"host": "db1", "port": 5432, "part": "primary", "required": True},
        ],
        "database": "shop",
        "tls": {"mode": "verify-full", "ca": None},
        "options": {"connect_timeout": 5},
        "generation": generation,
        "rotates_at": None,
        **best,
        "credentials": list(entries),
    }


class Server:
    """Routes are exact paths under /api/v1. Every request but a wrong token's is kept in `asked`."""

    def __init__(self, port: int, scheme: str = "http") -> None:
        self.address = f"{scheme}://127.0.0.1:{port}"
        self.token = TOKEN
        self.routes: dict[tuple[str, str], Route] = {}
        self.asked: list[Asked] = []
        self.values: dict[str, Any] = {}
        self.credentials: dict[str, tuple[str, dict]] = {}
        self.down: Told | None = None
        self.open = False
        """Needs no token."""

    def route(self, method: str, path: str, told: Told | Route) -> None:
        self.routes[method, path] = told if callable(told) else lambda _: told

    def count(self, method: str, path: str) -> int:
        return sum(1 for a in self.asked if (a.method, a.path) == (method, path))

    def answer(self, asked: Asked) -> Told:
        if not self.open and asked.headers.get("authorization") != f"Bearer {self.token}":
            return problem("unauthenticated", 401, "the token is not valid: sign in again")
        self.asked.append(asked)
        if self.down is not None:
            return self.down
        if route := self.routes.get((asked.method, asked.path)):
            return route(asked)
        values, credentials = "/environments/development/values", "/environments/development/credentials/"
        if asked.path == values:
            return self._values(asked.query)
        if asked.path.startswith(values + "/") and (name := asked.path.removeprefix(values + "/")) in self.values:
            return Told(body=self._value(name), headers={"ETag": '"3"'})
        if asked.path.startswith(credentials):
            return self._credential(asked, asked.path.removeprefix(credentials))
        return problem("absent", 404, f"{asked.path} is not there: look at the name", request_id="r-1")

    def _value(self, name: str) -> dict:
        value = self.values[name]
        return {"name": name, "value": value, "version": 3, "secret": True, "kind": "literal", "age": 0}

    def _values(self, query: dict[str, str]) -> Told:
        if "names" in query:
            names = query["names"].split(",")
            if any(name not in self.values for name in names):
                return problem("absent", 404)
        else:
            folder = query["folder"]
            names = [name for name in self.values if not folder or name.startswith(folder + "/")]
        return Told(body={"values": [self._value(name) for name in names], "environment": "development"})

    def _credential(self, asked: Asked, name: str) -> Told:
        if name not in self.credentials:
            return problem("absent", 404)
        etag, body = self.credentials[name]
        if asked.headers.get("if-none-match") == etag:
            return Told(304, headers={"ETag": etag})
        return Told(body=body, headers={"ETag": etag})


@contextmanager
def serve(tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            size = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(size) if size else b""
            asked = Asked(
                self.command,
                parts.path.removeprefix("/api/v1"),
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): text for name, text in self.headers.items()},
                json.loads(content) if content else None,
                self.client_address[1],
                (self.connection.getpeercert() or None) if isinstance(self.connection, ssl.SSLSocket) else None,
            )
            told = server.answer(asked)
            body = b""
            if told.body is not None:
                body = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
            self.send_response(told.status)
            for name, text in told.headers.items():
                self.send_header(name, text)
            if told.status not in (204, 304):
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that goes away is part of some tests

    httpd = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    server = Server(httpd.server_port, "https" if tls else "http")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
