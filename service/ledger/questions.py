"""Questions to the event log: the postings of their terms are intersected, and what is found is looked through.

A page of batches at a time, the youngest first, until the answer is full: each page is a statement of its own on
whatever snapshot the caller opens for it, since what is in the log stays as it is.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, select, text

from service.core.event import Batch, Opened, microseconds
from service.ledger import postings
from service.ledger.ledger import Transaction
from service.ledger.postings import FITS, STRETCH, answered, called, minute_term, term
from service.ledger.tables import batches
from service.ledger.tables import postings as table

STRETCHES = 16
"""Stretches that are looked through at a time, at first; twice as many each time, up to:"""
MOST_STRETCHES = 128
COUNTED = 2_000
"""So far are the postings of a term counted, to begin with the rarest one."""
_LATE = 60_000_000
_ALL = 2**62


@dataclass(frozen=True)
class Question:
    """Which events are wanted; empty fields ask for anything. `before` is a sequence number, for paging."""

    actor: str = ""
    action: str = ""
    resource: str = ""
    environment: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True)
class Search:
    """A question on its way: the terms that every stretch must have one of, and where to look on."""

    question: Question
    told: Collection[str] | None
    groups: tuple[tuple[str, ...], ...]
    named: frozenset[str]
    """The callers that ever had the name that is asked for."""
    lower: int
    upper: int
    """Stretches: from, and below. Above there are only late ones."""
    bound: int
    """Stretches from here on were looked through."""
    stretches: int = STRETCHES


def begun(tx: Transaction, question: Question, told: Collection[str] | None = None) -> Search | None:
    """Where to look, in what is indexed by now; events of the environments in `told` only, if given.

    None: nothing fits.
    """
    since = microseconds(question.since) if question.since else None
    until = microseconds(question.until) if question.until else None
    lower = 0 if since is None else postings.first_from(tx, since)
    if lower is None:
        return None
    upper = None if until is None else postings.first_from(tx, until + _LATE + 59_999_999)
    named = frozenset(called(tx, question.actor) if question.actor else ())
    groups: list[tuple[str, ...]] = []
    if question.resource:
        groups.append((term("r", question.resource),))
    if question.actor:
        groups.append(tuple(sorted({term("a", actor) for actor in {question.actor, *named}})))
    if question.outcome not in ("", "allowed"):
        groups.append((term("o", question.outcome),))
    if question.action:
        groups.append((term("d", question.action),))
    if question.environment:
        groups.append((term("e", question.environment),))
    if told is not None:
        groups.append(tuple(sorted(term("e", environment) for environment in told)))
    end = postings.reached(tx) + 1
    bound = ((end if question.before is None else min(end, question.before)) >> STRETCH) + 1
    search = Search(question, told, tuple(groups), named, lower, _ALL if upper is None else upper + 1, bound)
    return replace(search, groups=tuple(sorted(groups, key=lambda group: (len(group) > 1, _rarity(tx, search, group)))))


def went_on(tx: Transaction, search: Search, found: list[dict[str, Any]]) -> Search | None:
    """Look through the next stretches, and add to `found` what fits. None: there is nothing more to look for."""
    found_in = _candidates(tx, search)
    if not found_in:
        return None
    fits = _fitting(search)
    actors = [f'"{actor}"' for actor in search.named | {search.question.actor}] if search.question.actor else []
    for row in _read(tx, found_in):
        if actors and not any(actor in row.body for actor in actors):
            continue  # seen without taking it apart
        opened = Opened(Batch(row.body, row.persons, row.events))
        for place in fits(opened, row.first):
            found.append({"id": str(row.first + place)} | opened.entry(place))
            if len(found) == search.question.limit:
                return None
    return replace(search, bound=found_in[-1], stretches=min(MOST_STRETCHES, 2 * search.stretches))


def ask(tx: Transaction, question: Question, told: Collection[str] | None = None) -> list[dict[str, Any]]:
    """The events that fit, the youngest first, as they are shown; all on one snapshot."""
    found: list[dict[str, Any]] = []
    search = begun(tx, question, told)
    while search is not None:
        search = went_on(tx, search, found)
    return found


def _rarity(tx: Transaction, search: Search, group: tuple[str, ...]) -> int:
    if len(search.groups) < 2:
        return 0
    query = select(table.c.stretch).where(table.c.term == group[0], table.c.stretch >= search.lower)
    counted = query.where(table.c.stretch < min(search.upper, search.bound)).limit(COUNTED).subquery()
    return int(tx.sql.execute(select(func.count()).select_from(counted)).scalar_one())


def _candidates(tx: Transaction, search: Search) -> list[int]:
    """The next stretches to look through, the youngest first."""
    found = set(_late(tx, search))
    top = min(search.upper, search.bound)
    if search.groups:
        leader, *others = search.groups
        for each in leader:
            query = select(table.c.stretch).where(table.c.term == each, *_has(table.c.stretch, others))
            query = query.where(table.c.stretch >= search.lower, table.c.stretch < top)
            found |= set(tx.sql.execute(query.order_by(table.c.stretch.desc()).limit(search.stretches)).scalars())
    else:
        everything = select(batches.c.first).where(batches.c.first >= search.lower << STRETCH)
        everything = everything.where(batches.c.first < top << STRETCH)
        firsts = tx.sql.execute(everything.order_by(batches.c.first.desc()).limit(search.stretches)).scalars()
        found |= {first >> STRETCH for first in firsts}
    return sorted(found, reverse=True)[: search.stretches]


def _read(tx: Transaction, stretches: list[int]) -> Iterable[Row[Any]]:
    """The batches that begin in these stretches, the youngest first.

    A range for each: of many in one WHERE, SQLite would go through the whole table.
    """
    range_ = f"first BETWEEN s.value << {STRETCH} AND ((s.value + 1) << {STRETCH}) - 1"
    wanted = f"SELECT first, events, body, persons FROM batches WHERE {range_}"
    if tx.sql.dialect.name == "sqlite":
        wanted = wanted.replace("FROM batches", "FROM json_each(:stretches) s CROSS JOIN batches")
        return tx.sql.execute(text(f"{wanted} ORDER BY s.key, first DESC"), {"stretches": str(stretches)})
    each = f"unnest(CAST(:stretches AS bigint[])) s(value) CROSS JOIN LATERAL ({wanted} ORDER BY first OFFSET 0) b"
    return tx.sql.execute(text(f"SELECT b.* FROM {each} ORDER BY first DESC"), {"stretches": stretches})


def _late(tx: Transaction, search: Search) -> list[int]:
    """Stretches above the upper end that have events of the wanted times all the same: a clock went back."""
    if search.upper == _ALL or search.question.until is None:
        return []
    since = microseconds(search.question.since) if search.question.since else 0
    query = (
        select(table.c.stretch)
        .distinct()
        .where(
            table.c.term >= minute_term("l", since),
            table.c.term <= minute_term("l", microseconds(search.question.until)),
            table.c.stretch >= search.upper,
            table.c.stretch < search.bound,
            *_has(table.c.stretch, search.groups),
        )
    )
    return list(tx.sql.execute(query.order_by(table.c.stretch.desc()).limit(search.stretches)).scalars())


def _has(stretch: ColumnElement[int], groups: Collection[tuple[str, ...]]) -> list[ColumnElement[bool]]:
    """Does the stretch have one term of each group?"""
    others = [table.alias() for _ in groups]
    return [
        exists().where(and_(other.c.stretch == stretch, other.c.term.in_(group)))
        for other, group in zip(others, groups, strict=True)
    ]


def _fitting(search: Search) -> Callable[[Opened, int], list[int]]:
    """Finds the places of a batch's events that fit, the youngest first."""
    question = search.question
    since = microseconds(question.since) if question.since else None
    until = microseconds(question.until) if question.until else None
    before = question.before

    def fits(opened: Opened, first: int) -> list[int]:
        callers = {
            place
            for place, (actor, *_) in enumerate(opened.callers)
            if not question.actor
            or actor == question.actor
            or (actor in search.named and _named(opened, place, question.actor))
        }
        if not callers:
            return []
        deeds = {place for place, deed in enumerate(opened.deeds) if _wanted(search, *deed)}
        return [
            place
            for place in range(len(opened.lines) - 1, -1, -1)
            if (line := opened.lines[place])[1] in callers
            and line[2] in deeds
            and (since is None or line[0] >= since)
            and (until is None or line[0] < until)
            and (before is None or first + place < before)
        ]

    return fits


def _named(opened: Opened, place: int, name: str) -> bool:
    person = opened.persons[place]
    return person is not None and person["name"] == name


def _wanted(search: Search, action: str, outcome: str, environment: str, resource: str, detail: dict[str, Any]) -> bool:
    question = search.question
    return (
        (not question.action or action == question.action)
        and (not question.outcome or outcome == question.outcome)
        and (not question.environment or environment == question.environment)
        and (search.told is None or environment in search.told)
        and (not question.resource or _touched(question.resource, resource, detail))
    )


def _touched(wanted: str, resource: str, detail: dict[str, Any]) -> bool:
    """As far as a term tells names apart."""
    return any(name[:FITS] == wanted[:FITS] for name in (resource, *answered(detail)))
