"""Appending a batch of events on one epoch: what every fetch waits for, so the driver is used without a layer between.

    BEGIN
    UPDATE head SET seq = seq + n, at = … WHERE epoch = e RETURNING seq, hash     no row: nothing was recorded
    INSERT INTO batches …;  UPDATE head SET hash = …
    COMMIT                                                                        on disk when it returns

The first statement takes the row's lock, on either engine, so no change comes between the look at the epoch and the
commit. The statements are SQLAlchemy's, compiled once; the connection is kept, and given up when it fails.
"""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, bindparam, case, func, insert, literal_column, update
from sqlalchemy.sql.dml import UpdateBase

from service.core.errors import Unrecorded
from service.core.event import Event, batch, link
from service.core.sealed import Randomness
from service.ledger.engines import DOUBT
from service.ledger.tables import batches, head

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
Statement = tuple[str, tuple[str, ...] | None]
"""The text, and for a driver that takes values by their places their order."""


class Appender:
    """Appends for one process. `heard` is told the database's clock, where it has one."""

    def __init__(self, engine: Engine, randomness: Randomness, heard: Callable[[datetime], None]) -> None:
        self._engine = engine
        self._randomness = randomness
        self._heard = heard
        self._lock = threading.Lock()
        self._driver: Any = None
        self._embedded = engine.dialect.name == "sqlite"
        driver: Any = engine.dialect.loaded_dbapi
        self._gone: tuple[type[Exception], ...] = (driver.OperationalError, driver.InterfaceError)
        clock = literal_column("NULL") if self._embedded else func.clock_timestamp()
        now = bindparam("now", type_=head.c.seq.type)
        at = case((head.c.at < now, now), else_=head.c.at)
        advanced = update(head).where(head.c.epoch == bindparam("known"))
        advanced = advanced.values(seq=head.c.seq + bindparam("count", type_=head.c.seq.type), at=at)
        self._advance = self._compiled(advanced.returning(head.c.seq, head.c.hash, clock))
        self._insert = self._compiled(insert(batches))
        self._finish = self._compiled(update(head).values(hash=bindparam("end", type_=head.c.hash.type)))

    def append(self, key: bytes, events: Sequence[Event], epoch: int) -> bool:
        """True: they are on disk. False: the epoch is another one, and nothing was recorded. Raises Unrecorded."""
        with self._lock:
            try:
                return self._append(key, events, epoch)
            except self._gone as error:
                self.close()
                raise Unrecorded("the ledger does not answer; see the service's log" + DOUBT) from error
            except BaseException:
                self.close()  # with whatever it had begun
                raise

    def close(self) -> None:
        """Give the connection up."""
        driver, self._driver = self._driver, None
        if driver is not None:
            driver.invalidate()

    def _append(self, key: bytes, events: Sequence[Event], epoch: int) -> bool:
        if self._driver is None:
            self._driver = self._engine.raw_connection()
        cursor = self._driver.cursor()
        if self._embedded:
            cursor.execute("BEGIN IMMEDIATE")  # psycopg begins by itself
        now = max((event.at - _EPOCH) // _MICROSECOND for event in events)
        self._run(cursor, self._advance, {"known": epoch, "count": len(events), "now": now})
        row = cursor.fetchone()
        if row is None:
            self._driver.rollback()
            return False
        last, former, clock = row
        if clock is not None:
            self._heard(clock)
        made = batch(events, self._randomness)
        first = last - made.count + 1
        end = link(key, bytes(former), first, made)
        values = {"first": first, "events": made.count, "body": made.body, "persons": made.persons, "hash": end}
        self._run(cursor, self._insert, values)
        self._run(cursor, self._finish, {"end": end})
        if self._embedded:
            cursor.execute("COMMIT")
        else:
            self._driver.commit()
        return True

    def _compiled(self, statement: UpdateBase) -> Statement:
        made = statement.compile(dialect=self._engine.dialect)
        return str(made), tuple(made.positiontup) if made.positiontup is not None else None

    @staticmethod
    def _run(cursor: Any, statement: Statement, values: dict[str, Any]) -> None:
        text, places = statement
        cursor.execute(text, values if places is None else tuple(values[place] for place in places))
