"""The event log itself: one event, or its batches a page at a time. The proof of its chain is in `chain.py`, its query
index in `postings.py`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, select

from service.core.event import Batch, Opened
from service.ledger.ledger import Transaction
from service.ledger.tables import batches, head


def last(tx: Transaction) -> int:
    """The sequence number of the last event."""
    return int(tx.sql.execute(select(head.c.seq)).scalar_one())


def shown(tx: Transaction, seq: int) -> dict[str, Any] | None:
    """One event, as it is shown: names and addresses as far as they were not erased. None if it is not there."""
    query = select(batches).where(batches.c.first <= seq).order_by(batches.c.first.desc()).limit(1)
    row = tx.sql.execute(query).one_or_none()
    if row is None or seq >= row.first + row.events:
        return None
    return {"id": str(seq)} | Opened(stored(row)).entry(seq - row.first)


def stored(row: Row[Any]) -> Batch:
    """A row of the table as a batch."""
    return Batch(row.body, row.persons, row.events)


def page(tx: Transaction, behind: int, most: int, events: int, last: int | None = None) -> Sequence[Row[Any]]:
    """The next batches that begin behind event `behind`, the oldest first, and not behind event `last`.

    At most so many, and with so many events in them, about: batches are of very different sizes.
    """
    sizes = select(batches.c.first, batches.c.events).where(batches.c.first > behind).order_by(batches.c.first)
    if last is not None:
        sizes = sizes.where(batches.c.first <= last)
    end, counted = behind, 0
    for first, number in tx.sql.execute(sizes.limit(most)):
        end, counted = first, counted + number
        if counted >= events:
            break
    query = select(batches).where(batches.c.first > behind, batches.c.first <= end).order_by(batches.c.first)
    return tx.sql.execute(query).all()
