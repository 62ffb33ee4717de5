"""Logging: structured lines on standard error, for people or for machines."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.processors import ExceptionRenderer
from structlog.tracebacks import ExceptionDictTransformer

from service.core.token import masked
from service.settings import Settings


def printable(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape whatever would break a line or steer a terminal: a request may bring anything. Tracebacks stay whole."""
    for name, value in entry.items():
        if isinstance(value, str) and not value.isprintable() and name not in ("exception", "stack"):
            entry[name] = "".join(
                c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in value
            )
    return entry


def without_tokens(_: Any, __: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask tokens wherever they stand: clients put them into paths, as old ones of Vault do."""
    for name, value in entry.items():
        if isinstance(value, str):
            entry[name] = masked(value)
    return entry


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Send everything, also what libraries log, through one renderer; to standard error if no stream is given."""
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    if settings.log_format == "json":
        frames = ExceptionRenderer(ExceptionDictTransformer(show_locals=False))  # they are where secrets are
        renderer: list[Any] = [frames, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: the pretty ones would print local variables, and with them what must not be printed.
        plain = structlog.dev.plain_traceback
        renderer = [printable, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, without_tokens, *renderer],
        )
    )
    logging.raiseExceptions = False  # what cannot be logged would be printed, with the exception that was left out
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Libraries that log bodies, statements or headers at their lower levels stay above them, whatever is asked.
    for name in ("urllib3", "botocore", "boto3", "hvac", "httpcore2", "httpx2", "psycopg", "asyncio"):
        logging.getLogger(name).setLevel(max(level, logging.INFO))
    for name in ("sqlalchemy", "alembic", "apscheduler"):
        logging.getLogger(name).setLevel(logging.WARNING)


def detach() -> None:
    """Log nowhere any more: the stream that was given to `configure` is about to be closed."""
    logging.getLogger().handlers[:] = [logging.NullHandler()]
