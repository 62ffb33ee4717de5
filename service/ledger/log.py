"""The event log: reading it, its query index, and the proof of its chain.

Batches are the log. `entries` is an index for questions, built behind it: whoever asks first brings it up
to date, so a question is answered on everything that was recorded before it was asked.
"""

import hmac
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from service.core.event import GENESIS, Batch, link, persons_match
from service.core.event import entries as unfolded
from service.ledger import fetches
from service.ledger.ledger import Transaction
from service.ledger.tables import batches, entries, head, touched

_PAGE = 500
_INDEXED = 200
"""Characters of a resource that the index holds: every name fits, a long list of them need not."""
_HOLDING = select(batches).where(batches.c.first <= bindparam("seq")).order_by(batches.c.first.desc()).limit(1)
"""The batch that holds an event; asked a hundred times for one page, so made once."""


@dataclass(frozen=True)
class Question:
    """Which events are wanted; empty fields ask for anything. `before` is a sequence number, for paging."""

    actor: str = ""
    action: str = ""
    resource: str = ""
    environment: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


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


def lag(tx: Transaction) -> int:
    """How many events the index is behind the log."""
    row = tx.sql.execute(select(head.c.seq, head.c.indexed)).one()
    return int(row.seq - row.indexed)


def catch_up(tx: Transaction) -> bool:
    """Index the next page of batches. True if there is more to do."""
    done = tx.sql.execute(select(head.c.indexed).with_for_update()).scalar_one()
    query = select(batches).where(batches.c.first > done).order_by(batches.c.first).limit(_PAGE)
    rows = tx.sql.execute(query).all()
    indexed: list[dict[str, Any]] = []
    seen: list[dict[str, Any]] = []
    numbered: list[tuple[int, dict[str, Any]]] = []
    for row in rows:
        for seq, entry in enumerate(unfolded(_batch(row)), start=row.first):
            numbered.append((seq, entry))
            seen += [{"resource": name, "seq": seq} for name in _resources(entry)]
            indexed.append(
                {
                    "seq": seq,
                    "at": datetime.fromisoformat(entry["at"]),
                    "actor": entry["actor"],
                    "name": entry["name"] or "",
                    "action": entry["action"],
                    "outcome": entry["outcome"],
                    "environment": entry["environment"],
                }
            )
    if indexed:
        tx.sql.execute(insert(entries), indexed)
        tx.sql.execute(insert(touched), seen)
        fetches.index(tx, numbered)
        tx.sql.execute(update(head).values(indexed=indexed[-1]["seq"]))
    return len(rows) == _PAGE


def _resources(entry: dict[str, Any]) -> set[str]:
    """What an event touched: its resource, and what a fetch of several names or of a folder answered."""
    detail = entry["detail"]
    told = " ".join(str(detail.get(key) or "") for key in ("versions", "through", "generations")).split()
    return {name[:_INDEXED] for name in (entry["resource"], *(word.rpartition(":")[0] for word in told))}


def ask(tx: Transaction, question: Question, told: Collection[str] | None = None) -> list[dict[str, Any]]:
    """The events that fit, the youngest first, as they are shown; of the environments in `told` only, if given."""
    query = select(entries.c.seq).order_by(entries.c.seq.desc()).limit(question.limit)
    for column, wanted in (
        (entries.c.action, question.action),
        (entries.c.environment, question.environment),
    ):
        if wanted:
            query = query.where(column == wanted)
    if question.resource:
        query = query.join(touched, touched.c.seq == entries.c.seq)
        query = query.where(touched.c.resource == question.resource[:_INDEXED])
    if told is not None:
        query = query.where(entries.c.environment.in_(told))
    if question.actor:
        query = query.where((entries.c.actor == question.actor) | (entries.c.name == question.actor))
    if question.since:
        query = query.where(entries.c.at >= question.since)
    if question.until:
        query = query.where(entries.c.at < question.until)
    if question.before is not None:
        query = query.where(entries.c.seq < question.before)
    return [shown(tx, seq) for seq in tx.sql.execute(query).scalars().all()]


def shown(tx: Transaction, seq: int) -> dict[str, Any]:
    """One event, as it is shown: names and addresses as far as they were not erased."""
    row = tx.sql.execute(_HOLDING, {"seq": seq}).one()
    place = seq - row.first
    return {"id": str(seq)} | unfolded(_batch(row), slice(place, place + 1))[0]


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
