"""Exports: every event of a time, the oldest first, a page of batches at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from service.core.event import Opened, microseconds
from service.ledger import log, postings
from service.ledger.ledger import Transaction
from service.ledger.postings import STRETCH, minute_term
from service.ledger.tables import postings as table

BATCHES = 500
EVENTS = 2_000
"""Of both, about so many in one page."""
_MINUTE = 60_000_000


@dataclass
class Passage:
    """On the way through the log: events up to `seq` are behind, `end` is the last one.

    From stretch `upper` on there are events of the wanted times only in those that are `late`: a clock went back.
    """

    seq: int
    end: int
    since: int | None
    until: int | None
    told: Collection[str] | None
    upper: int | None = None
    late: tuple[int, ...] = ()


def begun(
    tx: Transaction, since: datetime | None, until: datetime | None, told: Collection[str] | None = None
) -> Passage:
    """At the first batch that may have one; events of the environments in `told` only, if given."""
    early = None if since is None else microseconds(since)
    bound = None if until is None else microseconds(until)
    end, indexed = log.last(tx), postings.reached(tx)
    # What is not in the index yet is looked through, whatever its time.
    tail = (indexed + 1) >> STRETCH
    lower = 0 if early is None else postings.first_from(tx, early)
    passage = Passage(((tail if lower is None else min(lower, tail)) << STRETCH) - 1, end, early, bound, told)
    if bound is not None and indexed >= end:
        upper = postings.first_from(tx, bound + 2 * _MINUTE - 1)
        if upper is not None:
            passage.upper = upper + 1
            late = select(table.c.stretch).distinct().where(table.c.stretch > upper)
            late = late.where(table.c.term >= minute_term("l", early or 0), table.c.term <= minute_term("l", bound))
            passage.late = tuple(tx.sql.execute(late.order_by(table.c.stretch)).scalars())
    return passage


def went_on(tx: Transaction, passage: Passage) -> list[dict[str, Any]] | None:
    """What fits in the next page. None: there is nothing more to look at."""
    last = passage.end
    if passage.upper is not None:
        stretch = passage.upper - 1
        if (passage.seq + 1) >> STRETCH > stretch:
            waiting = [each for each in passage.late if each > passage.seq >> STRETCH]
            if not waiting:
                return None
            stretch = waiting[0]  # which one page holds as a whole
            passage.seq = max(passage.seq, (stretch << STRETCH) - 1)
        last = min(last, ((stretch + 1) << STRETCH) - 1)
    rows = log.page(tx, passage.seq, BATCHES, EVENTS, last)
    if not rows and passage.upper is None:
        return None
    if not rows:
        passage.seq = max(passage.seq, last)
    found: list[dict[str, Any]] = []
    for row in rows:
        opened = Opened(log.stored(row))
        deeds = {place for place, deed in enumerate(opened.deeds) if passage.told is None or deed[2] in passage.told}
        found += [
            {"id": str(row.first + place)} | opened.entry(place)
            for place, line in enumerate(opened.lines)
            if line[2] in deeds
            and (passage.since is None or line[0] >= passage.since)
            and (passage.until is None or line[0] < passage.until)
        ]
        passage.seq = row.first + row.events - 1
    return found
