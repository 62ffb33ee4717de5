"""Spacing: what a connection's group did last, and who in it waits.

A group is who has the same host, or the same word `siblings`. Nothing here grows with the group itself: the
longest spacing is read off an index, and only rotations within it, and connections that wait, are looked at.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, or_, select

from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, rotations


@dataclass(frozen=True)
class Neighbour:
    """Another connection of the group: when its rotation began or will, and the spacing that it asks for."""

    at: datetime
    spacing: timedelta


def longest(tx: Transaction, stored: StoredConnection) -> timedelta | None:
    """The longest spacing that anybody in the group asks for, the connection itself among them."""
    groups = [connections.c.host == stored.host]
    if stored.siblings is not None:
        groups.append(connections.c.siblings == stored.siblings)
    found = [tx.sql.execute(select(func.max(connections.c.spacing)).where(group)).scalar_one() for group in groups]
    seconds = max((it for it in found if it is not None), default=None)
    return None if seconds is None else timedelta(seconds=seconds)


def begun(tx: Transaction, stored: StoredConnection, since: datetime) -> list[Neighbour]:
    """Rotations of others in the group that began after `since`, open or ended, whoever asked for them."""
    query = (
        select(rotations.c.created_at.label("at"), connections.c.spacing)
        .join(connections, connections.c.id == rotations.c.connection_id)
        .where(rotations.c.created_at > since, _near(stored))
    )
    return _neighbours(tx, query)


def ahead(tx: Transaction, stored: StoredConnection, since: datetime) -> list[Neighbour]:
    """Others in the group that wait for longer than this one, which was due at `since`; and when their turn is.

    Of those that were due at the same moment the earlier turn is ahead, and who has none yet is behind.
    """
    same = connections.c.waits_since == since
    if stored.waits_since is not None:
        turn = connections.c.next_due_at
        tied = (turn == stored.next_due_at) & (connections.c.id < stored.id)
        same = same & or_(turn < stored.next_due_at, tied)
    query = select(connections.c.next_due_at.label("at"), connections.c.spacing).where(
        or_(connections.c.waits_since < since, same), connections.c.next_due_at.is_not(None), _near(stored)
    )
    return _neighbours(tx, query)


def _near(stored: StoredConnection) -> Any:
    # `coalesce` keeps the planners from the index on the group, which may be large: what began, or waits, is little.
    same = func.coalesce(connections.c.host, "") == stored.host
    if stored.siblings is not None:
        same = or_(same, func.coalesce(connections.c.siblings, "") == stored.siblings)
    return and_(same, connections.c.id != stored.id)


def _neighbours(tx: Transaction, query: Any) -> list[Neighbour]:
    return [Neighbour(row.at, timedelta(seconds=row.spacing or 0)) for row in tx.sql.execute(query)]
