"""Postings: which stretch of the log has events that fit a term. The query index, built behind the log.

    a ID            an event of this caller           d ACTION        of this action
    e ENVIRONMENT   in this environment               o OUTCOME       refused or failed (most are allowed: no term)
    r RESOURCE      that touched this, also as one of several names that a fetch answered

    m MINUTE        the log's latest moment came into this minute, or from before to behind it
    l MINUTE        an event of this minute, although the log was more than a minute further already: a clock
                    went back

A stretch is 128 sequence numbers, and all batches that begin in it. A row for each distinct term of a stretch, and not
for each event: what is found is unfolded and looked through. Since the latest moment only grows, `m` turns times into
sequence numbers; `l` makes it true of clocks that went back.
Names of callers are no terms: they can be erased. `callings` has one row for each name that a caller ever had.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, delete, select, text, update

from service.core.event import Batch, Opened, Outcome, fit, microseconds, moment
from service.ledger import log, pruned
from service.ledger.fetches import Youngest, store, take
from service.ledger.ledger import Transaction
from service.ledger.tables import batches, callings, fetches, head, indexed
from service.ledger.tables import postings as table

STRETCH = 7
"""Bits of a sequence number that do not tell one stretch from another."""
FITS = 200
"""Characters of a word that a term holds: every name fits, a long list of them need not."""
READS = 4_000
"""Batches that are read for one page, at most."""
EVENTS = 16_000
"""And events in them, about: what is written together costs less, since each term is a place of its own on the disk."""
ROWS = 500
TERMS = 50
"""Postings in one transaction, about, and their terms: on SQLite each holds up whoever writes, for milliseconds."""
MINUTE = 60_000_000
_SHORT = 64
_TOLD = ("versions", "through", "generations")
_ALLOWED = Outcome.ALLOWED.value


@dataclass
class Page:
    """What some batches add to the index. `seq` is the last event in them, `at` the log's latest moment then."""

    behind: int
    seq: int
    at: int
    terms: dict[int, set[str]] = field(default_factory=dict)
    """By stretch."""
    callings: set[tuple[str, str]] = field(default_factory=set)
    fetches: Youngest = field(default_factory=dict)
    full: bool = False
    """There is probably more to do."""


def term(kind: str, word: str) -> str:
    """The term of a word, shortened to what fits."""
    return kind + word[: _SHORT if kind in "ad" else FITS]


def minute_term(kind: str, stamp: int) -> str:
    """The term of the minute that a stamp (microseconds) lies in; in the order of time."""
    return f"{kind}{max(0, stamp // MINUTE):012}"


def reached(tx: Transaction) -> int:
    """The last event that the index has."""
    return int(tx.sql.execute(select(indexed.c.seq)).scalar_one())


def lag(tx: Transaction) -> int:
    """How many events the index is behind the log."""
    return int(tx.sql.execute(select(head.c.seq - select(indexed.c.seq).scalar_subquery())).scalar_one())


def oldest_missing(tx: Transaction) -> datetime | None:
    """When the oldest event was recorded that the index does not have; None if it has all."""
    query = select(batches.c.body).where(batches.c.first > reached(tx)).order_by(batches.c.first).limit(1)
    body = tx.sql.execute(query).scalar_one_or_none()
    return moment(orjson.loads(body)["events"][0][0]) if body is not None else None


def read(tx: Transaction) -> Page:
    """The next batches that the index does not have, as what they add to it."""
    done, at = tx.sql.execute(select(indexed.c.seq, indexed.c.at)).one()
    page = Page(done, done, microseconds(at))
    rows = log.page(tx, done, READS, EVENTS)
    for row in rows:
        add(page, row)
    page.full = page.seq - done >= EVENTS or len(rows) == READS
    return page


def add(page: Page, row: Row[Any]) -> None:
    """Take one more batch into account."""
    first, opened = row.first, Opened(Batch(row.body, row.persons, row.events))
    terms = page.terms.setdefault(first >> STRETCH, set())
    terms.update(_terms(opened))
    stamps = [line[0] for line in opened.lines]
    latest = max(page.at, *stamps)
    if latest // MINUTE > page.at // MINUTE:
        terms.add(minute_term("m", latest))
    if min(stamps) < latest - MINUTE:
        terms.update(minute_term("l", minute * MINUTE) for minute in {stamp // MINUTE for stamp in stamps})
    page.callings |= names(opened)
    take(page.fetches, opened, first)
    page.seq, page.at = first + row.events - 1, latest


def _terms(opened: Opened) -> set[str]:
    """The terms of a batch, without those of its times. Done for every event: what repeats is looked at once."""
    found = {"a" + actor[:_SHORT] for actor, *_ in opened.callers}
    ends = set()
    for action, outcome, environment, resource, detail in opened.deeds:
        ends.add((action, outcome, environment))
        found.add("r" + resource[:FITS])
        for key in _TOLD:
            if key in detail:
                for name in answered(detail):
                    found.add("r" + name[:FITS])
                break
    for action, outcome, environment in ends:
        found.add("d" + action[:_SHORT])
        found.add("e" + environment[:FITS])
        if outcome != _ALLOWED:
            found.add("o" + outcome[:FITS])
    return found


def names(opened: Opened) -> set[tuple[str, str]]:
    """Each name in a batch that was not erased, and whose it is."""
    each = zip(opened.callers, opened.persons, strict=True)
    return {(fit(person["name"])[:FITS], actor) for (actor, *_), person in each if person}


def answered(detail: dict[str, Any]) -> list[str]:
    """What a fetch of several names or of a folder answered."""
    return [word.rpartition(":")[0] for key in _TOLD if (said := detail.get(key)) for word in str(said).split()]


def parts(page: Page) -> list[list[tuple[str, int]]]:
    """Its postings in their order, in parts for a transaction each."""
    stretches: dict[str, list[int]] = {}
    for stretch, found in page.terms.items():
        for each in found:
            stretches.setdefault(each, []).append(stretch)
    made: list[list[tuple[str, int]]] = []
    part: list[tuple[str, int]] = []
    for number, each in enumerate(sorted(stretches), 1):
        part += [(each, stretch) for stretch in stretches[each]]
        if len(part) >= ROWS or number % TERMS == 0:
            made.append(part)
            part = []
    return [*made, part] if part else made


def write(tx: Transaction, page: Page, part: Sequence[tuple[str, int]]) -> bool:
    """Add a part of a page. False: somebody else wrote meanwhile, or is about to, and nothing was written.

    An interruption between two of them does no harm: postings are not looked at before `finish`, and will come again.
    """
    mine = select(indexed.c.seq).where(indexed.c.seq == page.behind).with_for_update(skip_locked=True)
    if tx.sql.execute(mine).one_or_none() is None:
        return False
    insert(tx, "postings", part)
    return True


def finish(tx: Transaction, page: Page) -> bool:
    """What the index has of a page beside its postings; from now on it has it. False as `write`."""
    if not write(tx, page, ()):
        return False
    insert(tx, "callings", sorted(page.callings))
    store(tx, page.fetches)
    tx.sql.execute(update(indexed).values(seq=page.seq, at=moment(page.at)))
    return True


def alone(tx: Transaction) -> None:
    """Until this transaction ends, nobody else adds to the index, or takes from it."""
    tx.sql.execute(select(indexed.c.seq).with_for_update())


def insert(tx: Transaction, name: str, rows: Sequence[tuple[str, Any]]) -> None:
    """Many rows of two columns in one statement, at what the driver alone takes for it."""
    if not rows:
        return
    if tx.sql.dialect.name == "sqlite":
        tx.sql.exec_driver_sql(f"INSERT OR IGNORE INTO {name} VALUES (?, ?)", list(rows))
        return
    kind = "bigint" if name == table.name else "text"
    arrays = f"unnest(CAST(:a AS text[]), CAST(:b AS {kind}[]))"
    many = text(f"INSERT INTO {name} SELECT * FROM {arrays} ON CONFLICT DO NOTHING")
    ones, others = zip(*rows, strict=True)
    tx.sql.execute(many, {"a": list(ones), "b": list(others)})


def first_from(tx: Transaction, stamp: int) -> int | None:
    """The stretch in which the log's latest moment came to that minute or behind it; None: it has not yet."""
    query = select(table.c.stretch).where(table.c.term >= minute_term("m", stamp), table.c.term < "n")
    return tx.sql.execute(query.order_by(table.c.term, table.c.stretch).limit(1)).scalar_one_or_none()


def times(tx: Transaction) -> bool:
    """Has the index any time? It has one as soon as it has an event."""
    return (
        tx.sql.execute(select(table.c.term).where(table.c.term >= "m", table.c.term < "n").limit(1)).first() is not None
    )


def drop(tx: Transaction) -> int:
    """Begin the index anew, and the table of youngest fetches; the event behind which it is to be built again.

    Fetches whose event was pruned stay: nothing else tells of them.
    """
    alone(tx)
    record = pruned.record(tx)
    behind = record.seq if record else 0
    tx.sql.execute(delete(table))
    tx.sql.execute(delete(callings))
    tx.sql.execute(delete(fetches).where(fetches.c.seq > behind))
    tx.sql.execute(update(indexed).values(seq=behind, at=moment(0)))
    return behind


def called(tx: Transaction, name: str) -> list[str]:
    """The callers that ever had this name, as far as it was not erased."""
    return list(tx.sql.execute(select(callings.c.actor).where(callings.c.name == name[:FITS])).scalars())
