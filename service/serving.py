"""The serving process: from settings to a listening server, and down again in order."""

import fcntl
import gc
import resource
import signal
import sys
from pathlib import Path
from typing import IO

import structlog

from service.core.errors import Invalid, Unavailable
from service.http.app import application
from service.http.awake import Awake
from service.http.certificates import Certificates
from service.http.cookies import Cookies
from service.http.fetching import Fetching
from service.http.lane import Lane
from service.http.limits import Limits
from service.http.listener import Listener
from service.http.proxies import Proxies
from service.http.vault import mounts
from service.settings import Settings
from service.wiring import Service, build

log = structlog.get_logger("serve")

DRAINS_WITHIN = 20
"""Seconds that requests under way have to end when the server is told to stop."""
_OTHER_FILES = 256
"""File descriptors for all that is no connection of a client."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Invalid, Unavailable, the key errors before anything listens."""
    host, port = settings.host_and_port
    if not settings.tls_cert and host not in ("127.0.0.1", "::1", "localhost"):
        log.warning(
            "serving without TLS beyond this machine: tokens and secrets travel in clear", listen=settings.listen
        )
    certificates = certificates_of(settings)
    allow_files(settings.connections + _OTHER_FILES)
    lock = only_writer(settings)
    service = build(settings)
    try:
        server = server_of(service, host, port, certificates)
        server.bind()
        greet(service)
        # While nobody is served yet, and again once the listener has drained.
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: sys.exit(0))
        service.keeper.recorder.look()
        service.keeper.recorder.start()
        service.clock.start(rotates=settings.clock)
        service.sentinel.start()
        service.indexer.start()
        service.pruner.start()
        if settings.clock:
            service.courier.start()
        settle()
        server.run()
    finally:
        service.close()
        if lock:
            lock.close()


def settle() -> None:
    """What is in memory now stays there: let the garbage collector look at what comes from here on, and less often.

    It would stop everything for a tenth of a second otherwise, many times in a minute under load, to find nothing:
    next to nothing here refers to itself. And threads give way to each other fifty times as soon as they would: what
    the indexer and the clock do in theirs is not to be waited for by whoever fetches.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)
    sys.setswitchinterval(0.0001)


def server_of(service: Service, host: str, port: int, certificates: Certificates | None = None) -> Listener:
    """The server, not running yet. Raises Invalid."""
    settings = service.settings
    # Where another process rotates, it looks by itself.
    poke = service.clock.poke if settings.clock else lambda: None
    app = application(
        service.keeper,
        poke=poke,
        clock_ticks=lambda: service.clock.ticks or not settings.clock,
        overdue=lambda: service.sentinel.overdue,
        limits=Limits(
            address=settings.address_rate,
            caller=settings.caller_rate,
            refused=settings.refused_rate,
            requests=settings.requests,
        ),
        warnings=lambda: warnings(service, certificates),
        mounts=mounts.parse(settings.vault_mounts) if settings.vault_door else None,
        leases=settings.vault_leases,
        streams=settings.streams,
        people=service.people,
        cookies=cookies_of(settings, host),
        url=settings.public_url,
    )
    awake = None
    if settings.awake:
        fetching: Fetching = app.state.fetching
        awake = Awake(lambda: fetching.batches)
        awake.check()
    return Listener(
        app,
        host,
        port,
        lane=Lane(app),
        awake=awake,
        certificates=certificates,
        proxies=Proxies(settings.trusted_proxies),
        most=settings.connections,
        drains_within=DRAINS_WITHIN,
    )


def cookies_of(settings: Settings, host: str) -> Cookies:
    """Cookies are for TLS, but where people reach the server by http on their own machine."""
    url = settings.public_url
    near = host in ("127.0.0.1", "::1", "localhost") and not settings.tls_cert
    return Cookies(url, secure=not (url.startswith("http://") if url else near))


def warnings(service: Service, certificates: Certificates | None) -> list[str]:
    """What `/readyz` has to say of this process."""
    kept = service.pruner.trouble
    found = [f"events older than KEYWRIGHT_EVENTS_KEEP are not pruned: {kept}" if kept else ""]
    found.append(service.courier.trouble)
    glasses = service.keeper.break_glasses.open_now()
    found.append(f"break-glass: {glasses} people go without approvals at this moment" if glasses else "")
    found += [certificates.problem] if certificates and certificates.problem else []
    return [sentence for sentence in found if sentence]


def certificates_of(settings: Settings) -> Certificates | None:
    """What TLS is served with; None for without. Raises Invalid."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise Invalid("KEYWRIGHT_TLS_CERT and KEYWRIGHT_TLS_KEY belong together")
    if settings.tls_cert and settings.tls_key:
        return Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    if settings.tls_client_ca:
        raise Invalid("KEYWRIGHT_TLS_CLIENT_CA needs KEYWRIGHT_TLS_CERT and KEYWRIGHT_TLS_KEY")
    return None


def allow_files(wanted: int) -> None:
    """Let this process open as many files as its connections need, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("fewer files may be open than KEYWRIGHT_CONNECTIONS needs", wanted=wanted, allowed=allowed)


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
