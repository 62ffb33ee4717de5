"""Signals in the ledger: written with their events, read in order, dropped when they are old.

Changes hold `head` until they are committed, so numbers become visible in their order: whoever reads behind a number
misses none.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from service.core.event import Event, fit
from service.core.signal import Signal, told
from service.ledger.outgoing import outbox, signals
from service.ledger.tables import environments

_WALL = select(environments.c.id).where(environments.c.name == bindparam("named")).scalar_subquery()
_NOTE = insert(signals).values(environment_id=func.coalesce(_WALL, ""))
_BEHIND = select(signals).where(signals.c.seq > bindparam("behind")).order_by(signals.c.seq).limit(bindparam("most"))


def note(sql: Connection, first: int, events: Sequence[Event]) -> None:
    """What is to be signalled of these events, the first of which has this number."""
    rows = [
        {
            "seq": seq,
            "at": event.at,
            "kind": event.action,
            "named": event.environment,
            "environment": event.environment,
            "resource": fit(event.resource)[:200],
            "told": said,
        }
        for seq, event in enumerate(events, first)
        if (said := told(event)) is not None
    ]
    if rows:
        sql.execute(_NOTE, rows)


def behind(sql: Connection, seq: int, most: int) -> list[Signal]:
    """The next ones behind an event, in order."""
    return [Signal(*row) for row in sql.execute(_BEHIND, {"behind": seq, "most": most})]


def before(sql: Connection, at: datetime) -> int:
    """The last one before that moment, or where those begin that are kept."""
    last = sql.execute(select(func.max(signals.c.seq)).where(signals.c.at < at)).scalar_one()
    return max(int(last or 0), dropped(sql))


def dropped(sql: Connection) -> int:
    """The last one that is not kept any more."""
    return int(sql.execute(select(outbox.c.dropped)).scalar_one())


def drop(sql: Connection, older: datetime, most: int) -> int:
    """Let go of those before that moment, and of all but the latest so many; as far as deliveries were made of them.

    The number of those that went.
    """
    kept = select(signals.c.seq).order_by(signals.c.seq.desc()).offset(most).limit(1)
    upto = max(before(sql, older), int(sql.execute(kept).scalar_one_or_none() or 0))
    upto = min(upto, int(sql.execute(select(outbox.c.seq)).scalar_one()))
    gone = sql.execute(delete(signals).where(signals.c.seq <= upto)).rowcount
    if gone:
        sql.execute(update(outbox).values(dropped=upto))
    return int(gone)
