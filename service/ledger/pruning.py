"""Pruning: the oldest events go, by whole stretches of the query index.

    read     the next stretches, followed along the chain: what does not fit is not pruned, nor what is younger, or
             still needed, by the events themselves. How far to read is told by the index, which nothing protects
    remove   in one short transaction: their batches go, and the record says so

A process that dies in between has removed a whole piece or nothing. What the index has of them is swept out
afterwards: see `sweeping.py`.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, select

from service.core.event import Opened, microseconds
from service.core.pruned import Pruned
from service.ledger import log, postings, pruned
from service.ledger.chain import Chain, Proof
from service.ledger.fetched import Needed, needed
from service.ledger.ledger import Transaction
from service.ledger.postings import STRETCH
from service.ledger.tables import batches
from service.ledger.tables import postings as table

BATCHES = 500
EVENTS = 2_000
"""Of both, about so many in one piece: each piece holds up whoever writes, on SQLite, for a few milliseconds."""


@dataclass(frozen=True)
class Bounds:
    """What holds pruning back: of each, the first stretch that stays."""

    age: int
    checkpoint: int
    rotations: int
    end: int
    """Some of the log always stays: its head must have something to stand on."""

    @property
    def stretch(self) -> int:
        """The first stretch that stays."""
        return min(self.age, self.checkpoint, self.rotations, self.end)


@dataclass(frozen=True)
class Mistaken:
    """By the index event `seq` was to go, and by what it tells itself it stays: `why`."""

    seq: int
    why: str


@dataclass
class Piece:
    """What one transaction removes: events behind `behind`, up to `seq` with the chain's hash there."""

    behind: int
    installation: bytes
    """The hash of the log's first batch."""
    seq: int = 0
    hash: bytes = b""
    rows: list[Row[Any]] = field(default_factory=list)
    """The batches."""
    minutes: list[tuple[str, int]] = field(default_factory=list)
    """Their postings of minutes. The last one moves to the first stretch that stays: it began there, or before."""


def bounds(tx: Transaction, before: datetime, checkpoint: int) -> Bounds:
    """How far may be pruned what was recorded `before` and lies behind the checkpoint of event `checkpoint`."""
    last = tx.sql.execute(select(func.max(batches.c.first))).scalar_one_or_none() or 0
    end = last >> STRETCH
    counted, aged = needed(tx), postings.first_from(tx, microseconds(before))
    return Bounds(
        age=end if aged is None else aged,
        checkpoint=_stretch_of(tx, checkpoint + 1),
        rotations=end if counted is None else _stretch_of(tx, counted),
        end=end,
    )


def _stretch_of(tx: Transaction, seq: int) -> int:
    """The stretch of the batch that event `seq` is in, or would be in."""
    first = tx.sql.execute(select(func.max(batches.c.first)).where(batches.c.first <= seq)).scalar_one()
    return (first or 0) >> STRETCH


def reaches(tx: Transaction, stretch: int) -> int:
    """The last event in front of a stretch."""
    first = tx.sql.execute(select(func.min(batches.c.first)).where(batches.c.first >= stretch << STRETCH)).scalar_one()
    return (first or 1) - 1


def read(tx: Transaction, chain: Chain, stretch: int, before: datetime) -> Piece | Proof | Mistaken | None:
    """The next stretches in front of that one, as far as all in them was recorded `before`, and is not needed.

    A proof: what is there does not fit. None: nothing is left.
    """
    following = chain.begun(tx)
    refused = following if isinstance(following, Proof) else chain.behind_what_was_pruned(tx, following)
    if refused or isinstance(following, Proof):
        return refused
    record, counted, bound = pruned.record(tx), Needed(tx, chain), microseconds(before)
    piece: Piece | None = None
    mistaken: Mistaken | None = None
    waiting: list[Row[Any]] = []  # a stretch is taken as a whole; a page has at least one
    for row in log.page(tx, following.seq, BATCHES, EVENTS, (stretch << STRETCH) - 1):
        if piece is None:
            piece = Piece(following.seq, record.installation if record else bytes(row.hash))
        if broken := chain.passed(following, row):
            return broken
        if mistaken := _mistaken(counted, row, bound):
            break
        waiting.append(row)
        if (row.first + row.events) >> STRETCH != row.first >> STRETCH:
            piece.rows += waiting
            waiting = []
            piece.seq, piece.hash = following.seq, following.former
    if mistaken and not (piece and piece.rows):
        return mistaken
    if piece is not None:
        # They are in the order of the log, and there is one of a batch at the most.
        query = select(table).where(table.c.term >= "m", table.c.term < "n").order_by(table.c.term, table.c.stretch)
        found = tx.sql.execute(query.limit(len(piece.rows) + 1))
        piece.minutes = [(term, at) for term, at in found if at < _stays(piece)]
    return piece


def _mistaken(counted: Needed, row: Row[Any], bound: int) -> Mistaken | None:
    opened = Opened(log.stored(row))
    for place, line in enumerate(opened.lines):
        if line[0] >= bound:
            return Mistaken(row.first + place, "was recorded later")
    holds = counted.by(opened, row.first)
    return Mistaken(holds, "is how an open rotation knows a holder") if holds is not None else None


def _stays(piece: Piece) -> int:
    return (piece.seq + 1) >> STRETCH


def remove(tx: Transaction, piece: Piece, record: Pruned) -> bool:
    """Remove it, and write down its record. False: somebody else is pruning, and nothing was removed.

    Raises RuntimeError if the log is not what it was when the piece was read.
    """
    postings.alone(tx)
    before = pruned.record(tx)
    if (before.seq if before else 0) != piece.behind:
        return False
    last = piece.rows[-1].first
    gone = tx.sql.execute(delete(batches).where(batches.c.first > piece.behind, batches.c.first <= last))
    if gone.rowcount != len(piece.rows):
        raise RuntimeError(f"{gone.rowcount} batches were there to be pruned, and {len(piece.rows)} had been read")
    if piece.minutes:
        minute = piece.minutes[-1][0]
        ended = delete(table).where(table.c.term >= "m", table.c.term <= minute, table.c.stretch < _stays(piece))
        tx.sql.execute(ended)
        postings.insert(tx, "postings", [(minute, _stays(piece))])
    pruned.note(tx, record)
    return True
