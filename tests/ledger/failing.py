"""A ledger that cannot record."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import event

from service.core.errors import Unrecorded
from service.wiring import Service


def without_log(service: Service) -> Callable[[], None]:
    """From now on nothing can be appended; returns what mends it."""

    def refuse(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "INSERT INTO batches" in statement:
            raise Unrecorded("the log is full")

    appender: Any = service.ledger._appender
    run = appender._run

    def refused(cursor: object, sent: tuple[str, Any], values: dict[str, Any]) -> None:
        refuse(None, cursor, sent[0])
        run(cursor, sent, values)

    def mend() -> None:
        appender._run = run
        event.remove(service.ledger.engine, "before_cursor_execute", refuse)

    event.listen(service.ledger.engine, "before_cursor_execute", refuse)
    appender._run = refused
    return mend
