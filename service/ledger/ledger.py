"""The ledger's transactions, and the one `head` row that holds them together.

    head(epoch, seq, hash, at)
      epoch  moves with every change that an answer could depend on
      seq    number of the last event; hash: the end of the chain
      at     the latest moment that anything was recorded at; it does not go back with a clock

    read()    one consistent snapshot, with the epoch that it was taken at
    change()  locks `head` first; on leaving, the events noted in it are appended and the epoch moves, and what it
              touched is noted under the new epoch
    holding() events without a change, `head` locked
    record()  appends events of a fetch, only if the epoch is still the one it was evaluated on
    work()    leases and other bookkeeping of the scheduler that no answer depends on

On SQLite one process writes: `BEGIN IMMEDIATE` takes the lock, and the process holds a lock file so that
a second one is refused at start. On PostgreSQL the row is locked, and the database's clock is the clock.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, literal_column, select, text, update

from service.core.errors import Unavailable, Unrecorded
from service.core.event import Event, batch, link
from service.core.sealed import Randomness
from service.ledger import changes, signals
from service.ledger.appender import Appender, Busy
from service.ledger.engines import WAITS, engine_for, told_apart
from service.ledger.tables import batches, head
from service.ledger.turn import Turn

Now = Callable[[], datetime]
_IMMEDIATE = text("BEGIN IMMEDIATE")
_BATCH, _HEAD = insert(batches), update(head)


@dataclass
class Transaction:
    """A unit of work. `now` is the ledger's clock when it began; `events` are appended when it commits.

    `latest` is the latest moment that anything was ever recorded at, or now: it is not before any answer that was
    given, also where the clock went back since. What was promised is counted from it.

    `touched` names what a fetch depends on and was changed: processes that keep it in memory read it again.
    """

    sql: Connection = field(repr=False)
    epoch: int
    now: datetime
    latest: datetime
    events: list[Event] = field(default_factory=list)
    touched: set[changes.Touched] = field(default_factory=set)

    def touch(self, kind: changes.Kind, *ids: str) -> None:
        """These were changed, or are gone."""
        self.touched.update((kind, each) for each in ids)


@dataclass(frozen=True)
class _Head:
    epoch: int
    seq: int
    hash: bytes
    at: datetime


class Ledger:
    """Opens transactions on the database at `url` (`sqlite:///…` or `postgresql://…`)."""

    def __init__(self, url: str, *, now: Now, randomness: Randomness, pool_size: int = 16) -> None:
        self.embedded = url.startswith("sqlite")
        self._now = now
        self._randomness = randomness
        self._chain_key: bytes | None = None
        self._writing = Turn()
        self.engine = engine_for(url, pool_size)
        self._appender = Appender(self.engine, randomness, self._hear)
        self._heard: tuple[datetime, float] | None = None
        # Asked in every transaction, so made once.
        clock = literal_column("0") if self.embedded else func.clock_timestamp()
        self._begin = text("BEGIN" if self.embedded else "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._look = select(head.c.epoch, head.c.at, clock)
        self._time = select(clock)
        lock = select(head.c.epoch, head.c.seq, head.c.hash, head.c.at, clock)
        self._lock = lock if self.embedded else lock.with_for_update()

    def use_chain_key(self, key: bytes) -> None:
        """Given once, when the installation's data key was unwrapped; nothing can be recorded before."""
        self._chain_key = key

    def close(self) -> None:
        """Closes every connection."""
        self._appender.close()
        self.engine.dispose()

    def now(self) -> datetime:
        """The ledger's clock, without asking it: PostgreSQL's is what it last said, and the time since.

        A little behind, by the way that its answer took; never ahead.
        """
        if self.embedded:
            return self._now()
        if self._heard is None:
            self.epoch()
        assert self._heard is not None  # `epoch` hears it  # noqa: S101
        said, at = self._heard
        return said + timedelta(seconds=time.monotonic() - at)

    def _hear(self, said: datetime) -> None:
        self._heard = (said.astimezone(UTC), time.monotonic())

    def _key(self) -> bytes:
        if self._chain_key is None:
            raise Unrecorded("the ledger's keys are not open yet, so nothing can be recorded")
        return self._chain_key

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A consistent snapshot. Raises Unavailable if the ledger does not answer."""
        with self._connection(Unavailable) as sql:
            sql.execute(self._begin)
            epoch, at, read = sql.execute(self._look).one()
            now = self._moment(read)
            yield Transaction(sql, epoch, now, max(now, at))
            sql.rollback()

    def change(self) -> AbstractContextManager[Transaction]:
        """Changes and their events, all or nothing. Raises Unrecorded if they could not be made durable."""
        return self._holding(moves=True)

    def holding(self) -> AbstractContextManager[Transaction]:
        """Events without a change: `head` is held, so that nothing moves meanwhile. Raises Unrecorded."""
        return self._holding(moves=False)

    @contextmanager
    def _holding(self, *, moves: bool) -> Iterator[Transaction]:
        with self._turn(Unrecorded), self._connection(Unrecorded) as sql:
            last, now = self._locked_head(sql)
            transaction = Transaction(sql, last.epoch, now, max(now, last.at))
            yield transaction
            epoch = last.epoch + (moves or bool(transaction.touched))
            changes.note(sql, epoch, transaction.touched)
            end = self._append(sql, transaction.events, last, epoch)
            sql.commit()
            self._appender.ended(*end)

    def record(self, events: Sequence[Event], epoch: int) -> bool:
        """Append `events` if the epoch is still `epoch`. False: it moved, and nothing was recorded.

        Without events it only looks. Raises Unrecorded if the ledger cannot record.
        """
        if not events:
            return self.epoch() == epoch
        with self._turn(Unrecorded):
            return self._appender.append(self._key(), events, epoch)

    def record_at_once(self, events: Sequence[Event], epoch: int) -> bool | None:
        """As `record`, for a thread that must not wait for others who write: None if it would have to.

        Only where the ledger is embedded: a disk is waited for, no other machine.
        """
        if not self.embedded:
            return None
        try:
            if not events:
                return self._appender.stands(epoch)
            self._writing.take(0)
        except (TimeoutError, Busy):
            return None
        try:
            return self._appender.append(self._key(), events, epoch, patient=False)
        except Busy:
            return None
        finally:
            self._writing.give()

    @contextmanager
    def work(self) -> Iterator[Transaction]:
        """Bookkeeping that no answer depends on: no event, no epoch, and `head` is not locked."""
        with self._turn(Unavailable), self._connection(Unavailable) as sql:
            if self.embedded:
                sql.execute(_IMMEDIATE)
            now = self._moment(sql.execute(self._time).scalar_one())
            transaction = Transaction(sql, -1, now, now)
            yield transaction
            if transaction.touched:
                raise AssertionError(f"answers depend on what was changed as mere bookkeeping: {transaction.touched}")
            sql.commit()

    @contextmanager
    def _turn(self, failure: type[Unavailable]) -> Iterator[None]:
        """Writers of this process take turns."""
        if not self.embedded:
            yield
            return
        try:
            with self._writing.taken(WAITS):
                yield
        except TimeoutError:
            raise failure("the ledger is busy: no turn to write came in time, so nothing was done") from None

    def connected(self) -> AbstractContextManager[Connection]:
        """A bare connection, for migrations. Raises Unavailable."""
        return self._connection(Unavailable)

    def epoch(self) -> int:
        """The epoch now."""
        with self._connection(Unavailable) as sql:
            epoch, _, read = sql.execute(self._look).one()
            self._moment(read)
            return int(epoch)

    def _append(self, sql: Connection, events: Sequence[Event], last: "_Head", epoch: int) -> tuple[int, bytes]:
        seq, end = last.seq, last.hash
        if events:
            made = batch(events, self._randomness)
            end = link(self._key(), last.hash, seq + 1, made)
            row = {"first": seq + 1, "events": made.count, "body": made.body, "persons": made.persons, "hash": end}
            sql.execute(_BATCH, row)
            signals.note(sql, seq + 1, events)
        at = max([last.at, *(event.at for event in events)])
        seq += len(events)
        sql.execute(_HEAD, {"epoch": epoch, "seq": seq, "hash": end, "at": at})
        return seq, end

    def _locked_head(self, sql: Connection) -> "tuple[_Head, datetime]":
        if self.embedded:
            sql.execute(_IMMEDIATE)
        row = sql.execute(self._lock).one()
        return _Head(row[0], row[1], row[2], row[3]), self._moment(row[4])

    def _moment(self, read: Any) -> datetime:
        if not isinstance(read, datetime):
            return self._now()
        self._hear(read)
        return read

    @contextmanager
    def _connection(self, failure: type[Unavailable]) -> Iterator[Connection]:
        with told_apart(failure), self.engine.connect() as sql:
            yield sql
