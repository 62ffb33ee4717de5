"""Agreement: does the query index have what the log has? Compared while the chain is followed, a page at a time.

Looked for is what would hide events from a question, or a holder from a rotation:

    terms, names   that an event has and the index has not; what it has beyond that only makes a question look in vain
    times          any that is missing, moved or added: they say where a question begins and ends
    fetches        that are missing, or tell another generation than their event does
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Row, and_, exists, literal, select, tuple_

from service.core.event import Opened
from service.ledger import log, postings, pruned
from service.ledger.fetches import Youngest, take
from service.ledger.ledger import Transaction
from service.ledger.postings import STRETCH, Page, minute_term
from service.ledger.tables import callings, fetches
from service.ledger.tables import postings as table

TERMS = 5_000
"""Terms that are asked for in one statement."""
FETCHES = 500
"""Fetches in one look."""
REBUILD = "`keywrightd events reindex` builds it anew"
Stands = Callable[[Transaction, int], Row[Any] | None]
Key = tuple[str, str, str]


class Agreement:
    """On the way along the chain: up to event `seq` it was compared, and `at` was the log's latest moment there."""

    def __init__(self, seq: int = 0, at: int = 0) -> None:
        self.seq = seq
        self.at = at
        self.finding = ""
        """The first difference; empty: none was found yet."""

    def page(self, tx: Transaction, rows: Sequence[Row[Any]]) -> None:
        """Compare some batches that follow each other, and fit the chain."""
        done, record = postings.reached(tx), pruned.record(tx)
        rows = [row for row in rows if row.first + row.events - 1 <= done]
        if not rows:
            return
        first = rows[0].first
        low = minute_term("m", self.at) if self.at else "m"
        if record and first == record.seq + 1:
            low = self._under_way(tx, first)  # when the log came there is told by the index alone
        elif first != self.seq + 1:
            return  # the index had not come further before: what is missing now is told at the end
        page = Page(first - 1, first - 1, self.at)
        for row in rows:
            postings.add(page, row)
        where = f"of events {first} to {page.seq}"
        self._times(tx, page, low, where)
        self._terms(tx, page, where)
        self._names(tx, page, where)
        self._fetches(tx, page.fetches)
        self.seq, self.at = page.seq, page.at

    def ended(self, tx: Transaction, end: int) -> None:
        """All was compared that there is, up to event `end`."""
        if self.seq < end:
            self._found(f"it has come to event {self.seq} only, and the log to event {end}")
        beyond = select(table.c.stretch).where(table.c.term > minute_term("m", self.at), table.c.term < "n")
        if tx.sql.execute(select(exists(beyond.where(table.c.stretch < self.seq >> STRETCH)))).scalar_one():
            self._found("it has times that no event has")

    def fetched(self, tx: Transaction, stands: Stands, after: Key = ("", "", "")) -> Key | None:
        """Compare the next youngest fetches with their events. None: these were the last ones."""
        key = (fetches.c.environment, fetches.c.connection, fetches.c.actor)
        query = select(fetches).where(tuple_(*key) > tuple_(*map(literal, after))).order_by(*key).limit(FETCHES)
        rows, record = tx.sql.execute(query).all(), pruned.record(tx)
        for row in rows:
            if record and row.seq <= record.seq:
                continue  # nobody can tell any more
            found: Youngest = {}
            if (made := stands(tx, row.seq)) is not None:
                take(found, Opened(log.stored(made)), made.first)
            if found.get(_key(row), (0, 0, 0))[::2] != (row.seq, row.generation):
                self._found(f"it knows a fetch of {row.environment}:{row.connection} that event {row.seq} is not")
        return _key(rows[-1]) if len(rows) == FETCHES else None

    def _found(self, what: str) -> None:
        self.finding = self.finding or f"the query index differs from the log: {what}; {REBUILD}"

    def _under_way(self, tx: Transaction, first: int) -> str:
        query = select(table).where(table.c.term >= "m", table.c.term < "n").order_by(table.c.term, table.c.stretch)
        row = tx.sql.execute(query.limit(1)).one_or_none()
        if row is None or row.stretch > first >> STRETCH:
            self._found(f"it does not know when event {first} was recorded")
            return "m"
        self.at = int(row.term[1:]) * postings.MINUTE
        return str(row.term)

    def _times(self, tx: Transaction, page: Page, low: str, where: str) -> None:
        high = minute_term("m", page.at)
        kept = tx.sql.execute(select(table).where(table.c.term > low, table.c.term <= high))
        made = {(term, at) for at, terms in page.terms.items() for term in terms if term.startswith("m")}
        if {tuple(row) for row in kept} != made:
            self._found(f"{where} it has not the times")

    def _terms(self, tx: Transaction, page: Page, where: str) -> None:
        made = {(term, at) for at, terms in page.terms.items() for term in terms if not term.startswith("m")}
        terms = sorted({term for term, _ in made})
        range_ = table.c.stretch.between(min(page.terms), max(page.terms))
        for start in range(0, len(terms), TERMS):
            kept = tx.sql.execute(select(table).where(table.c.term.in_(terms[start : start + TERMS]), range_))
            made -= {(row.term, row.stretch) for row in kept}
        if made:
            self._found(f"{where} it lacks {len(made)} terms, such as {min(made)[0]!r}")

    def _names(self, tx: Transaction, page: Page, where: str) -> None:
        kept = tx.sql.execute(select(callings).where(callings.c.name.in_({name for name, _ in page.callings})))
        if page.callings - {(row.name, row.actor) for row in kept}:
            self._found(f"{where} it lacks the name of a caller")

    def _fetches(self, tx: Transaction, made: Youngest) -> None:
        if not made:
            return
        names = {connection for _, connection, _ in made}, {actor for _, _, actor in made}
        query = select(fetches).where(and_(fetches.c.connection.in_(names[0]), fetches.c.actor.in_(names[1])))
        kept = {_key(row): row.seq for row in tx.sql.execute(query)}
        for key, (seq, *_) in made.items():
            if kept.get(key, 0) < seq:
                self._found(f"it does not know that event {seq} fetched {key[0]}:{key[1]}")


def _key(row: Row[Any]) -> Key:
    return row.environment, row.connection, row.actor
