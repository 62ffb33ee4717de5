"""Statements: what SQLAlchemy compiles is compiled once, in the process that all others are forked from.

A compiled statement belongs to the dialect object of its engine, so engines of one kind share one. Nothing else
is shared: every ledger has a pool and connections of its own.
"""

import threading
from typing import Any

from sqlalchemy import Engine, create_engine, make_url

from service.ledger import ledger

_firsts: dict[str, Engine] = {}
_making = threading.Lock()


def share() -> None:
    """From now on, in this process and in those forked from it."""
    ledger.create_engine = _made  # type: ignore[assignment]


def _made(url: str, **more: Any) -> Engine:
    engine, kind = create_engine(url, **more), make_url(url).get_backend_name()
    with _making:
        first = _firsts.setdefault(kind, engine)
    if first is not engine:
        # What a dialect asks a server for at its first connection was asked for the one that is shared.
        engine.dialect.initialize = lambda connection: None  # type: ignore[method-assign]
        engine.dialect, engine._compiled_cache = first.dialect, first._compiled_cache
    return engine
