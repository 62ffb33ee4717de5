"""Restorations: their rows, what was found of each connection, and who is held back meanwhile.

restorations   at most one is open (`open_key`); while it is, every connection is held
findings       one for each connection that was there when it began; a `stuck` one holds that connection,
               and those that it administers, until it is settled
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, exists, func, insert, literal, not_, or_, select, update
from sqlalchemy.orm import aliased

from service.core.errors import Conflict
from service.core.restoration import Finding
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, credentials, findings, restorations, rotations

_OPEN = "open"


@dataclass(frozen=True)
class Restoration:
    """One time that the ledger's past was in doubt."""

    id: str
    reason: str
    requested_by: str
    began_at: datetime
    ended_at: datetime | None


# Who is held back.


def free(connection_id: ColumnElement[str]) -> tuple[ColumnElement[bool], ...]:
    """Conditions for a connection that may rotate: no restoration is open, and nobody must look at it first."""
    stuck = select(findings.c.connection_id).where(findings.c.finding == Finding.STUCK.value)
    administered = aliased(connections)
    through = select(administered.c.id).where(administered.c.administered_by.in_(stuck))
    return (
        ~exists(select(restorations.c.id).where(restorations.c.ended_at.is_(None))),
        connection_id.not_in(stuck),
        connection_id.not_in(through),
    )


def require_free(tx: Transaction, connection_id: str, name: str) -> None:
    """Raises Conflict, with the sentence and where to look, for a connection that is held."""
    if sentence := held(tx, connection_id):
        raise Conflict(f"connection {name} is held: {sentence}")


def held(tx: Transaction, connection_id: str) -> str:
    """Why a connection is held; empty if it is not."""
    query = (
        select(findings.c.sentence, findings.c.connection_id)
        .join(connections, connections.c.id == connection_id)
        .where(
            findings.c.finding == Finding.STUCK.value,
            or_(findings.c.connection_id == connection_id, findings.c.connection_id == connections.c.administered_by),
        )
        .order_by((findings.c.connection_id == connection_id).desc(), findings.c.updated_at.desc())
        .limit(1)
    )
    row = tx.sql.execute(query).first()
    if row is not None:
        return (
            str(row.sentence)
            if row.connection_id == connection_id
            else ("a person must look at its administration connection first; see `keywright restoration`")
        )
    if open_one(tx):
        return "the ledger's past may have been lost, and every login is probed first; see `keywright restoration`"
    return ""


def count_held(tx: Transaction) -> int:
    """How many connections may not rotate."""
    query = select(func.count()).select_from(connections).where(not_(and_(*free(connections.c.id))))
    return int(tx.sql.execute(query).scalar_one())


# Restorations.


def open_one(tx: Transaction) -> Restoration | None:
    """The one that has not ended, if any."""
    row = tx.sql.execute(select(restorations).where(restorations.c.open_key == _OPEN)).one_or_none()
    return _restoration(row) if row else None


def find(tx: Transaction, restoration_id: str) -> Restoration | None:
    """By id."""
    row = tx.sql.execute(select(restorations).where(restorations.c.id == restoration_id)).one_or_none()
    return _restoration(row) if row else None


def listed(tx: Transaction, after: str, limit: int) -> list[Restoration]:
    """The latest first, behind the one with the id `after`."""
    query = select(restorations).order_by(restorations.c.began_at.desc(), restorations.c.id.desc()).limit(limit)
    marker = tx.sql.execute(select(restorations.c.began_at).where(restorations.c.id == after)).scalar_one_or_none()
    if marker is not None:
        same = (restorations.c.began_at == marker) & (restorations.c.id < after)
        query = query.where(or_(restorations.c.began_at < marker, same))
    return [_restoration(row) for row in tx.sql.execute(query)]


def _restoration(row: Row[Any]) -> Restoration:
    return Restoration(row.id, row.reason, row.requested_by, row.began_at, row.ended_at)


def begin(tx: Transaction, restoration_id: str, reason: str, requested_by: str) -> int:
    """A new one, with every connection that rotates or has a password; how many those are.

    Whoever works on a rotation loses it: the fencing number of each open one moves, and a connection is not
    probed before the lease of that worker is over, since it may be changing the target this very moment.
    """
    row = {"id": restoration_id, "reason": reason, "requested_by": requested_by, "began_at": tx.now}
    tx.sql.execute(insert(restorations).values(row | {"open_key": _OPEN}))
    has_password = exists(select(credentials.c.id).where(credentials.c.connection_id == connections.c.id))
    busy = select(rotations.c.lease_until).where(rotations.c.open_key == connections.c.id).scalar_subquery()
    subjects = select(
        literal(restoration_id),
        connections.c.id,
        literal(Finding.PENDING.value),
        literal(""),
        literal([], findings.c.rejected.type),
        literal(0),
        func.coalesce(busy, literal(tx.now, findings.c.wake_at.type)),
        literal(tx.now, findings.c.updated_at.type),
    ).where(or_(connections.c.policy.is_not(None), has_password))
    columns = [
        "restoration_id",
        "connection_id",
        "finding",
        "sentence",
        "rejected",
        "attempts",
        "wake_at",
        "updated_at",
    ]
    begun = tx.sql.execute(insert(findings).from_select(columns, subjects))
    moved = {"fence": rotations.c.fence + 1, "lease_until": None}
    tx.sql.execute(update(rotations).where(rotations.c.ended_at.is_(None)).values(moved))
    return int(begun.rowcount)


def close(tx: Transaction, restoration_id: str) -> None:
    """Nothing is pending any more."""
    values = {"ended_at": tx.now, "open_key": restoration_id}
    tx.sql.execute(update(restorations).where(restorations.c.id == restoration_id).values(values))
