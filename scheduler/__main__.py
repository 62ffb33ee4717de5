"""The scheduler as a process of its own, beside servers that share a ledger in PostgreSQL."""

import structlog

from service.core.errors import Invalid
from service.serving import wait_for_signal
from service.settings import Settings
from service.wiring import build

log = structlog.get_logger("scheduler")


def run(settings: Settings) -> None:
    """Rotate until SIGTERM or SIGINT. Raises Invalid, Unavailable, the key errors."""
    if settings.ledger_url.startswith("sqlite"):
        raise Invalid(
            "a scheduler of its own needs a PostgreSQL ledger (KEYWRIGHT_LEDGER); on SQLite `keywrightd serve` rotates"
        )
    service = build(settings)
    try:
        service.clock.start()
        log.info("rotating")
        wait_for_signal()
    finally:
        service.close()
