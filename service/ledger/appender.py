"""Appending a batch of events on one epoch: what every fetch waits for, so the driver is used without a layer between.

What the chain ends in is remembered, so that the hash of the next batch is known before the ledger is asked:

    UPDATE head SET seq = …, hash = …, at = … WHERE epoch = e AND seq = … AND hash = …      no row: nothing was recorded
    INSERT INTO batches …

PostgreSQL takes both as one statement (`WITH … UPDATE … INSERT`), in one round trip; SQLite between BEGIN and COMMIT.
If no row fits, the epoch moved, or somebody else has appended. Then it is done with the row held:

    UPDATE head SET seq = seq + n, at = … WHERE epoch = e RETURNING seq, hash      no row: the epoch moved
    INSERT INTO batches …;  UPDATE head SET hash = …

Either way the first statement takes the row's lock, so no change comes between the look at the epoch and the commit,
which is on disk when it returns. The statements are SQLAlchemy's, compiled once; the connection is kept, and given up
when it fails.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import Engine, bindparam, case, func, insert, literal_column, select, update
from sqlalchemy.sql.dml import UpdateBase

from service.core.errors import Unrecorded
from service.core.event import Batch, Event, batch, link, microseconds
from service.core.sealed import Randomness
from service.ledger.engines import WAITS, said_away, told_apart
from service.ledger.failures import why_away
from service.ledger.tables import batches, head

Values = dict[str, Any]
Statement = tuple[str, Callable[[Values], tuple[Any, ...]] | None]
"""The text, and for a driver that takes values by their places what puts them in order."""
ALONE_AGAIN = 64
"""Batches that are appended with the row held, after another process was found to append too."""
_SHORT = 0.01


class Busy(Exception):
    """Another process writes at this moment."""


class Appender:
    """Appends for one process. `heard` is told the database's clock, where it has one."""

    def __init__(self, engine: Engine, randomness: Randomness, heard: Callable[[datetime], None]) -> None:
        self._engine = engine
        self._randomness = randomness
        self._heard = heard
        self._lock = threading.Lock()
        self._driver: Any = None
        self._cursor: Any = None
        self._end: tuple[int, bytes] | None = None
        self._others = 0
        self._embedded = engine.dialect.name == "sqlite"
        driver: Any = engine.dialect.loaded_dbapi
        self._failure: type[Exception] = driver.Error
        clock = literal_column("NULL") if self._embedded else func.clock_timestamp()
        now = bindparam("now", type_=head.c.seq.type)
        at = case((head.c.at < now, now), else_=head.c.at)
        held = update(head).where(head.c.epoch == bindparam("known"))
        held = held.values(seq=head.c.seq + bindparam("count", type_=head.c.seq.type), at=at)
        self._advance = self._compiled(held.returning(head.c.seq, head.c.hash, clock))
        self._finish = self._compiled(update(head).values(hash=bindparam("hash", type_=head.c.hash.type)))
        moved = update(head).where(
            head.c.epoch == bindparam("known"), head.c.seq == bindparam("last"), head.c.hash == bindparam("former")
        )
        moved = moved.values(seq=bindparam("seq"), hash=bindparam("hash", type_=head.c.hash.type), at=at)
        self._insert = self._compiled(insert(batches))
        self._look = str(select(head.c.epoch).compile(dialect=engine.dialect))
        if self._embedded:
            self._move = self._compiled(moved)
        else:
            names = [column.name for column in batches.c]
            once = moved.returning(head.c.seq).cte("moved")
            row = select(*(bindparam(each, type_=batches.c[each].type) for each in names)).select_from(once)
            both = insert(batches).from_select(names, row, include_defaults=False).add_cte(once)
            self._move = self._compiled(both.returning(func.clock_timestamp()))

    def append(self, key: bytes, events: Sequence[Event], epoch: int, *, patient: bool = True) -> bool:
        """True: they are on disk. False: the epoch is another one, and nothing was recorded.

        Raises Unrecorded; and Busy, where it is not `patient` and another process writes.
        """
        return self._kept(lambda: self._append(key, events, epoch, patient), patient=patient)

    def stands(self, epoch: int) -> bool:
        """Is the epoch still this one? Nothing is recorded. Raises Unrecorded; and Busy, where others append."""
        return self._kept(lambda: bool(self._opened().execute(self._look).fetchone()[0] == epoch), patient=False)

    def _kept(self, act: Callable[[], bool], *, patient: bool) -> bool:
        """Use the connection, which is given up if that fails."""
        if not self._lock.acquire(blocking=patient):
            raise Busy
        try:
            return act()
        except Busy:
            raise
        except BaseException as error:
            self._give_up()  # with whatever it had begun
            if isinstance(error, self._failure) and (why := why_away(error)):
                raise Unrecorded(said_away(Unrecorded, why)) from error
            raise
        finally:
            self._lock.release()

    def ended(self, seq: int, end: bytes) -> None:
        """Somebody of this process has appended: this is the last event, and the end of the chain."""
        self._end = seq, end

    def close(self) -> None:
        """Give the connection up, once nobody uses it: SQLite's may not be closed under a statement."""
        with self._lock:
            self._give_up()

    def _give_up(self) -> None:
        driver, cursor = self._driver, self._cursor
        self._driver, self._cursor, self._end = None, None, None
        if driver is not None:
            if self._embedded and cursor is not None:
                # SQLite's connection lives on, and keeps its lock, while anything refers to a statement of it.
                with contextlib.suppress(self._failure):
                    cursor.execute("ROLLBACK")
            driver.invalidate()

    def _append(self, key: bytes, events: Sequence[Event], epoch: int, patient: bool) -> bool:
        cursor = self._opened()
        made = batch(events, self._randomness)
        now = microseconds(max(event.at for event in events))
        if self._end is not None and not self._others:
            if self._moved(cursor, key, made, {"known": epoch, "now": now}, patient):
                return True
            self._others = 0 if self._embedded else ALONE_AGAIN
        self._others = max(0, self._others - 1)
        return self._held(cursor, key, made, {"known": epoch, "now": now, "count": made.count}, patient)

    def _moved(self, cursor: Any, key: bytes, made: Batch, values: Values, patient: bool) -> bool:
        """On the end that is remembered. False: that, or the epoch, is another one."""
        assert self._end is not None  # asked before  # noqa: S101
        last, former = self._end
        row = _row(made, last + 1, link(key, former, last + 1, made))
        values |= row | {"last": last, "former": former, "seq": last + made.count}
        if self._embedded:
            self._begin(cursor, patient)
            self._run(cursor, self._move, values)
            if cursor.rowcount == 0:
                cursor.execute("ROLLBACK")
                return False
            self._run(cursor, self._insert, row)
            cursor.execute("COMMIT")
        else:
            self._run(cursor, self._move, values)
            told = cursor.fetchone()
            if told is None:
                return False
            self._heard(told[0])
        self._end = last + made.count, row["hash"]
        return True

    def _held(self, cursor: Any, key: bytes, made: Batch, values: Values, patient: bool) -> bool:
        """With the row held."""
        self._begin(cursor, patient)
        self._run(cursor, self._advance, values)
        found = cursor.fetchone()
        if found is None:
            cursor.execute("ROLLBACK")
            return False
        last, former, clock = found
        if clock is not None:
            self._heard(clock)
        first = last - made.count + 1
        row = _row(made, first, link(key, bytes(former), first, made))
        self._run(cursor, self._insert, row)
        self._run(cursor, self._finish, row)
        cursor.execute("COMMIT")
        self._end = last, row["hash"]
        return True

    def _opened(self) -> Any:
        if self._cursor is None:
            with told_apart(Unrecorded):
                self._driver = self._engine.raw_connection()
            if self._embedded:
                self._driver.cursor().execute("PRAGMA busy_timeout=0")  # who waits does so in `_begin`
            else:
                self._driver.driver_connection.autocommit = True  # one statement is a transaction, and one round trip
            self._cursor = self._driver.cursor()
        return self._cursor

    def _begin(self, cursor: Any, patient: bool) -> None:
        if not self._embedded:
            cursor.execute("BEGIN")
            return
        until = time.monotonic() + WAITS
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if not patient:
                    raise Busy from None
                if time.monotonic() > until:
                    raise
                time.sleep(_SHORT)
            else:
                return

    def _compiled(self, statement: UpdateBase) -> Statement:
        made = statement.compile(dialect=self._engine.dialect)
        places = made.positiontup
        if places is not None and len(places) == 1:  # of one place `itemgetter` makes no tuple
            return str(made), lambda values: (values[places[0]],)
        return str(made), itemgetter(*places) if places is not None else None

    @staticmethod
    def _run(cursor: Any, statement: Statement, values: Values) -> None:
        text, ordered = statement
        cursor.execute(text, values if ordered is None else ordered(values))


def _row(made: Batch, first: int, end: bytes) -> Values:
    return {"first": first, "events": made.count, "body": made.body, "persons": made.persons, "hash": end}
