"""The scheduler as a process of its own, beside servers that share a ledger in PostgreSQL."""

import signal

import structlog

from service.core.errors import Invalid
from service.settings import Settings
from service.wiring import build

log = structlog.get_logger("scheduler")


def run(settings: Settings) -> None:
    """Rotate until SIGTERM or SIGINT. Raises Invalid, Unavailable, the key errors."""
    if settings.ledger_url.startswith("sqlite"):
        raise Invalid(
            "a scheduler of its own needs a PostgreSQL ledger (KEYWRIGHT_LEDGER); on SQLite `keywrightd serve` rotates"
        )
    # Held back from the first thread on, and taken when they come: none is lost between two statements.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    service = build(settings)
    try:
        service.clock.start()
        service.sentinel.start()
        service.courier.start()
        log.info("rotating")
        signal.sigwait(ends)
    finally:
        service.close()
