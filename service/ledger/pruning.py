"""Pruning: the oldest events go, by whole stretches of the query index, with everything that the index has of them.

    read    the next stretches, followed along the chain: what does not fit is not pruned
    remove  in one short transaction: their batches, postings, callings and fetches go, and the record says so

A process that dies in between has removed a whole piece or nothing. What goes out of the index is computed from the
events themselves: by the terms, which come first in its key, it could not be found by stretch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, and_, delete, exists, func, select, text

from service.core.event import Opened, microseconds
from service.core.pruned import Pruned
from service.ledger import log, postings, pruned
from service.ledger.chain import Chain, Proof
from service.ledger.fetches import Youngest, take
from service.ledger.ledger import Transaction
from service.ledger.postings import STRETCH, late_terms, term
from service.ledger.tables import batches, connections, environments, indexed, rotations
from service.ledger.tables import fetches as youngest
from service.ledger.tables import postings as table

BATCHES = 500
EVENTS = 2_000
"""Of both, about so many in one piece."""
ROWS = 1_000
"""Postings in one piece, about: each piece holds up whoever writes, on SQLite, for a few milliseconds."""


@dataclass(frozen=True)
class Bounds:
    """What holds pruning back: of each, the first stretch that stays."""

    age: int
    checkpoint: int
    index: int
    rotations: int
    end: int
    """Some of the log always stays: its head must have something to stand on."""

    @property
    def stretch(self) -> int:
        """The first stretch that stays."""
        return min(self.age, self.checkpoint, self.index, self.rotations, self.end)


@dataclass
class Piece:
    """What one transaction removes: events behind `behind`, up to `seq` with the chain's hash there."""

    behind: int
    installation: bytes
    """The hash of the log's first batch."""
    seq: int = 0
    hash: bytes = b""
    last: int = 0
    """The first event of the last batch."""
    opened: list[tuple[int, Opened]] = field(default_factory=list)
    """The batches, each behind the number of its first event."""
    terms: set[tuple[str, int]] = field(default_factory=set)
    callings: set[tuple[str, str]] = field(default_factory=set)
    fetches: Youngest = field(default_factory=dict)
    minute: tuple[str, int] | None = None
    """The posting of the latest minute, moved to the first stretch that stays: it began there or before."""


def bounds(tx: Transaction, before: datetime, checkpoint: int) -> Bounds:
    """How far may be pruned what was recorded `before` and lies behind the checkpoint of event `checkpoint`."""
    last = tx.sql.execute(select(func.max(batches.c.first))).scalar_one_or_none() or 0
    end = last >> STRETCH
    needed = tx.sql.execute(
        select(func.min(youngest.c.seq)).where(
            exists().where(
                and_(
                    environments.c.name == youngest.c.environment,
                    connections.c.environment_id == environments.c.id,
                    connections.c.name == youngest.c.connection,
                    rotations.c.connection_id == connections.c.id,
                    rotations.c.ended_at.is_(None),
                )
            )
        )
    ).scalar_one()
    aged = postings.first_from(tx, microseconds(before))
    return Bounds(
        age=end if aged is None else aged,
        checkpoint=_stretch_of(tx, checkpoint + 1),
        index=_stretch_of(tx, postings.reached(tx) + 1),
        rotations=end if needed is None else _stretch_of(tx, needed),
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


def read(tx: Transaction, chain: Chain, stretch: int) -> Piece | Proof | None:
    """The next stretches in front of that one. A proof: what is there does not fit. None: nothing is left."""
    following = chain.begun(tx)
    refused = following if isinstance(following, Proof) else chain.behind_what_was_pruned(tx, following)
    if refused or isinstance(following, Proof):
        return refused
    record = pruned.record(tx)
    piece: Piece | None = None
    waiting: list[Row[Any]] = []  # a stretch is taken as a whole; a page has at least one
    for row in log.page(tx, following.seq, BATCHES, EVENTS, (stretch << STRETCH) - 1):
        if piece is None:
            piece = Piece(following.seq, record.installation if record else bytes(row.hash))
        if broken := chain.passed(following, row):
            return broken
        waiting.append(row)
        if (row.first + row.events) >> STRETCH != row.first >> STRETCH:
            for each in waiting:
                _add(piece, each)
            waiting.clear()
            piece.seq, piece.hash, piece.last = following.seq, following.former, row.first
            if len(piece.terms) >= ROWS:
                break
    if piece is not None:
        _add_minutes(tx, piece)
    return piece


def _add(piece: Piece, row: Row[Any]) -> None:
    first, opened = row.first, Opened(log.stored(row))
    piece.opened.append((first, opened))
    stretch = first >> STRETCH
    piece.terms.update((term(*word), stretch) for word in postings.words(opened))
    piece.terms.update((each, stretch) for each in late_terms(line[0] for line in opened.lines))
    piece.callings |= postings.names(opened)
    take(piece.fetches, opened, first)


def _add_minutes(tx: Transaction, piece: Piece) -> None:
    """Postings of minutes are in the order of the log: those that go are the first ones."""
    stays = (piece.seq + 1) >> STRETCH
    query = select(table).where(table.c.term >= "m", table.c.term < "n").order_by(table.c.term, table.c.stretch)
    for minute, stretch in tx.sql.execute(query.limit(len(piece.opened) + 1)):
        if stretch >= stays:
            break
        piece.terms.add((minute, stretch))
        piece.minute = (minute, stays)


def remove(tx: Transaction, piece: Piece, record: Pruned) -> bool:
    """Remove it, and write down its record. False: somebody else is pruning, and nothing was removed.

    Raises RuntimeError if the log is not what it was when the piece was read.
    """
    # Whoever builds the index takes this lock too: what a caller's name is dropped for must not come in meanwhile.
    tx.sql.execute(select(indexed.c.seq).with_for_update())
    before = pruned.record(tx)
    if (before.seq if before else 0) != piece.behind:
        return False
    gone = tx.sql.execute(delete(batches).where(batches.c.first > piece.behind, batches.c.first <= piece.last))
    if gone.rowcount != len(piece.opened):
        raise RuntimeError(f"{gone.rowcount} batches were there to be pruned, and {len(piece.opened)} had been read")
    _run(tx, _POSTINGS, sorted(piece.terms))
    if piece.minute:
        postings.insert(tx, "postings", [piece.minute])
    _run(tx, _CALLINGS, sorted((name, actor, term("a", actor)) for name, actor in piece.callings))
    _run(tx, _FETCHES, sorted((*key, piece.seq) for key in piece.fetches))
    pruned.note(tx, record)
    return True


_POSTINGS = ("postings", {"term": "text", "stretch": "bigint"}, "t.term = {0} AND t.stretch = {1}")
_CALLINGS = (
    "callings",
    {"name": "text", "actor": "text", "term": "text"},
    "t.name = {0} AND t.actor = {1} AND NOT EXISTS (SELECT 1 FROM postings p WHERE p.term = {2})",
)
_FETCHES = (
    "fetches",
    {"environment": "text", "connection": "text", "actor": "text", "seq": "bigint"},
    # Who may still fetch is kept: the youngest fetch of a token tells what it holds.
    """t.environment = {0} AND t.connection = {1} AND t.actor = {2} AND t.seq <= {3}
    AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.id = t.actor)""",
)


def _run(tx: Transaction, what: tuple[str, dict[str, str], str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Delete many rows by their keys, at what the driver alone takes for it."""
    if not rows:
        return
    name, columns, condition = what
    if tx.sql.dialect.name == "sqlite":
        places = condition.format(*(f"?{place + 1}" for place in range(len(columns))))
        tx.sql.exec_driver_sql(f"DELETE FROM {name} AS t WHERE {places}", list(rows))
        return
    arrays = ", ".join(f"CAST(:c{place} AS {kind}[])" for place, kind in enumerate(columns.values()))
    wanted = condition.format(*(f"g.c{place}" for place in range(len(columns))))
    names = ", ".join(f"c{place}" for place in range(len(columns)))
    many = text(f"DELETE FROM {name} t USING unnest({arrays}) AS g({names}) WHERE {wanted}")
    tx.sql.execute(many, {f"c{place}": list(column) for place, column in enumerate(zip(*rows, strict=True))})
