"""The serving process: from settings to a listening server, and down again in order."""

import fcntl
import signal
import sys
from pathlib import Path
from typing import IO

import structlog
import uvicorn

from service.core.errors import Invalid, Unavailable
from service.http.app import application
from service.http.wire import Wire
from service.settings import Settings
from service.wiring import Service, build

log = structlog.get_logger("serve")

DRAINS_WITHIN = 20
"""Seconds that requests under way have to end when the server is told to stop."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Invalid, Unavailable, the key errors before anything listens."""
    host, port = settings.host_and_port
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise Invalid("KEYWRIGHT_TLS_CERT and KEYWRIGHT_TLS_KEY belong together")
    if not settings.tls_cert and host not in ("127.0.0.1", "::1", "localhost"):
        log.warning(
            "serving without TLS beyond this machine: tokens and secrets travel in clear", listen=settings.listen
        )
    lock = only_writer(settings)
    service = build(settings)
    try:
        greet(service)
        server = server_of(service, host, port)
        # uvicorn raises the signal again once it has drained: unhandled, that would end the process before the
        # clock is stopped and the ledger closed.
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: sys.exit(0))
        service.clock.start(rotates=settings.clock)
        service.sentinel.start()
        server.run()
    finally:
        service.close()
        if lock:
            lock.close()


def server_of(service: Service, host: str, port: int) -> uvicorn.Server:
    """The server, not running yet."""
    settings = service.settings
    # Where another process rotates, it looks by itself.
    poke = service.clock.poke if settings.clock else lambda: None
    app = application(
        service.keeper,
        poke=poke,
        clock_ticks=lambda: service.clock.ticks or not settings.clock,
        overdue=lambda: service.sentinel.overdue,
    )
    config = uvicorn.Config(
        app,
        host,
        port,
        log_config=None,
        access_log=False,
        http=Wire,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=DRAINS_WITHIN,
        timeout_keep_alive=30,
        limit_concurrency=2000,
        h11_max_incomplete_event_size=16 * 1024,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
    )
    return uvicorn.Server(config)


def greet(service: Service) -> None:
    """Show the first owner's token, once, on standard output: logs are kept, this must not be."""
    token = service.keeper.tokens.first()
    if token is not None:
        print(f"first owner's token, shown only now: {token.reveal()}", file=sys.stdout, flush=True)
        if service.settings.key_home.startswith("file:"):
            path = service.settings.key_home.removeprefix("file:")
            print(f"master key: {path}: keep a copy of it apart from the ledger", file=sys.stdout, flush=True)


def only_writer(settings: Settings) -> IO[str] | None:
    """On SQLite one process serves and rotates: hold a lock file while it lives. Raises Unavailable."""
    if not settings.ledger_url.startswith("sqlite"):
        return None
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = Path(settings.data) / "serving.lock"
    lock = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise Unavailable(
            f"another process serves {settings.data}; several need a ledger in PostgreSQL (KEYWRIGHT_LEDGER)"
        ) from None
    return lock
