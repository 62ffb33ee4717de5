"""Sweeping: what the query index has of events that were pruned goes too.

    postings   of stretches that are gone; found by skipping from term to term, since terms come first in their key
    callings   names of callers of whom no event is left in the index
    fetches    of tokens and users that are gone, if their event is; who may still fetch is kept, since it tells who
               holds what

Each kind is looked through a glance at a time, and what is stale goes in short transactions. What is left over by a
process that died points at nothing: it does no harm, and goes with the next sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, literal, or_, select, text, tuple_

from service.ledger import postings, pruned
from service.ledger.identities import tokens
from service.ledger.ledger import Transaction
from service.ledger.persons import users
from service.ledger.postings import STRETCH
from service.ledger.tables import callings, fetches
from service.ledger.tables import postings as table

ROWS = 500
TERMS = 40
"""Postings that go in one transaction, and their terms: each is a place of its own on the disk."""
GLANCE = 500
"""Terms, or rows, in one look."""
_FIRST = ("", "", "")

# A look for the least term behind each, instead of going through all postings.
_SKIPPED = text(
    """
    WITH RECURSIVE skipped(term) AS (
        SELECT min(term) FROM postings WHERE term > :after
        UNION ALL
        SELECT (SELECT min(p.term) FROM postings p WHERE p.term > skipped.term)
        FROM skipped WHERE skipped.term IS NOT NULL
    )
    SELECT term, (SELECT min(q.stretch) FROM postings q WHERE q.term = skipped.term)
    FROM skipped WHERE term IS NOT NULL LIMIT :glance
    """
)
_OF_TERM = table.c.term == bindparam("wanted")
_EDGE = select(table.c.stretch).where(_OF_TERM, table.c.stretch < bindparam("below"))
_EDGE = _EDGE.order_by(table.c.stretch).limit(1).offset(bindparam("most"))
_DELETE = delete(table).where(_OF_TERM, table.c.stretch < bindparam("below"))


@dataclass(frozen=True)
class Found:
    """What is stale among what was looked at, and where to look on; None: it was the last look."""

    stale: Sequence[Any]
    after: Any


def terms(tx: Transaction, after: str = "") -> Found:
    """Terms that have postings of what is gone. Minutes went with their batches."""
    below = _gone(tx)
    looked = tx.sql.execute(_SKIPPED, {"after": after, "glance": GLANCE}).all()
    stale = [term for term, first in looked if first < below and not term.startswith("m")]
    return Found(stale, looked[-1][0] if len(looked) == GLANCE else None)


def sweep_terms(tx: Transaction, stale: Sequence[str]) -> Sequence[str]:
    """Remove postings of these terms; the terms that are left for another time."""
    below, left = _gone(tx), ROWS
    for number, term in enumerate(stale[:TERMS]):
        edge = tx.sql.execute(_EDGE, {"wanted": term, "below": below, "most": left}).scalar_one_or_none()
        left -= tx.sql.execute(_DELETE, {"wanted": term, "below": below if edge is None else edge}).rowcount
        if edge is not None:
            return stale[number:]
    return stale[TERMS:]


def names(tx: Transaction, after: tuple[str, ...] = _FIRST) -> Found:
    """Names of callers of whom the index has no event."""
    key = (callings.c.name, callings.c.actor)
    known = exists().where(table.c.term == literal("a") + callings.c.actor)
    query = select(*key, known.label("known")).where(tuple_(*key) > tuple_(*map(literal, after[:2])))
    looked = tx.sql.execute(query.order_by(*key).limit(GLANCE)).all()
    stale = [(row.name, row.actor) for row in looked if not row.known]
    return Found(stale, tuple(looked[-1][:2]) if len(looked) == GLANCE else None)


def sweep_names(tx: Transaction, stale: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """Remove them, as far as that is still so; those that are left for another time."""
    postings.alone(tx)
    unknown = ~exists().where(table.c.term == literal("a") + callings.c.actor)
    for name, actor in stale[:TERMS]:
        tx.sql.execute(delete(callings).where(callings.c.name == name, callings.c.actor == actor, unknown))
    return stale[TERMS:]


def holders(tx: Transaction, after: tuple[str, ...] = _FIRST) -> Found:
    """Youngest fetches that are gone, of tokens that are gone."""
    record = pruned.record(tx)
    key = (fetches.c.environment, fetches.c.connection, fetches.c.actor)
    known = or_(exists().where(tokens.c.id == fetches.c.actor), exists().where(users.c.id == fetches.c.actor))
    query = select(*key, fetches.c.seq, known.label("known"))
    query = query.where(tuple_(*key) > tuple_(*map(literal, after))).order_by(*key).limit(GLANCE)
    looked = tx.sql.execute(query).all()
    stale = [tuple(row[:4]) for row in looked if not row.known and record and row.seq <= record.seq]
    return Found(stale, tuple(looked[-1][:3]) if len(looked) == GLANCE else None)


def sweep_holders(tx: Transaction, stale: Sequence[tuple[str, str, str, int]]) -> Sequence[tuple[str, str, str, int]]:
    """Remove them, unless they fetched again; those that are left for another time."""
    for environment, connection, actor, seq in stale[:TERMS]:
        of_one = and_(
            fetches.c.environment == environment, fetches.c.connection == connection, fetches.c.actor == actor
        )
        tx.sql.execute(delete(fetches).where(of_one, fetches.c.seq == seq))
    return stale[TERMS:]


KINDS: Sequence[tuple[Any, Any]] = ((terms, sweep_terms), (names, sweep_names), (holders, sweep_holders))
"""How each kind is looked for, and swept: names after the terms that tell whether they are in use."""


def _gone(tx: Transaction) -> int:
    """The first stretch that is not gone."""
    record = pruned.record(tx)
    return (record.seq + 1) >> STRETCH if record else 0
