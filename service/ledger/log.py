"""The event log: its events, and the proof of its chain. Its query index is in `postings.py`."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, select

from service.core.event import GENESIS, Batch, Opened, link, persons_match
from service.core.event import entries as unfolded
from service.ledger.ledger import Transaction
from service.ledger.tables import batches, head

_PAGE = 500


@dataclass(frozen=True)
class Proof:
    """What checking the chain found. `broken_at` is the first sequence number that does not fit."""

    events: int
    end: str
    broken_at: int | None = None
    finding: str = "the chain is whole"


def last(tx: Transaction) -> int:
    """The sequence number of the last event."""
    return int(tx.sql.execute(select(head.c.seq)).scalar_one())


def shown(tx: Transaction, seq: int) -> dict[str, Any] | None:
    """One event, as it is shown: names and addresses as far as they were not erased. None if it is not there."""
    query = select(batches).where(batches.c.first <= seq).order_by(batches.c.first.desc()).limit(1)
    row = tx.sql.execute(query).one_or_none()
    if row is None or seq >= row.first + row.events:
        return None
    return {"id": str(seq)} | Opened(_batch(row)).entry(seq - row.first)


def _batch(row: Row[Any]) -> Batch:
    return Batch(row.body, row.persons, row.events)


def _stored(tx: Transaction) -> Iterator[tuple[int, Batch, bytes]]:
    behind: int | None = None
    while True:
        query = select(batches).order_by(batches.c.first).limit(_PAGE)
        rows = tx.sql.execute(query if behind is None else query.where(batches.c.first > behind)).all()
        for row in rows:
            yield row.first, _batch(row), row.hash
        if len(rows) < _PAGE:
            return
        behind = rows[-1].first


def prove(tx: Transaction, key: bytes, noted: bytes | None = None) -> Proof:
    """Follow the chain from its beginning to `head`.

    `noted` is an end that was noted outside the ledger earlier: a chain that does not pass through it was
    cut behind, or before, that point, and grown again.
    """
    expected, former = 1, GENESIS
    passed = noted in (None, GENESIS)
    for first, made, stored in _stored(tx):
        if first != expected:
            return Proof(
                expected - 1, former.hex(), expected, f"event {expected} is missing: removed, or moved elsewhere"
            )
        if not hmac.compare_digest(link(key, former, first, made), stored):
            return Proof(expected - 1, former.hex(), first, f"the batch that begins with event {first} was changed")
        try:
            intact = persons_match(made) and len(unfolded(made)) == made.count
        except (ValueError, KeyError, TypeError, IndexError):
            intact = False
        if not intact:
            return Proof(
                expected - 1, former.hex(), first, f"names or addresses beside event {first} and on were changed"
            )
        expected, former = first + made.count, stored
        passed = passed or (noted is not None and hmac.compare_digest(stored, noted))
    row = tx.sql.execute(select(head.c.seq, head.c.hash)).one()
    if row.seq != expected - 1 or not hmac.compare_digest(row.hash, former):
        return Proof(
            expected - 1, former.hex(), expected, f"the log ends at event {expected - 1}, its head at {row.seq}"
        )
    if not passed:
        finding = f"the log ends at event {expected - 1} and never had the end that was noted: its tail was cut"
        return Proof(expected - 1, former.hex(), expected, finding)
    return Proof(expected - 1, former.hex())
