"""Findings: what probing a connection showed in a restoration, and who is probing it.

A worker holds a pending finding by a lease, one at a time on each database server, administration connections
before those that they administer. What a target rejected is noted at once: whoever resumes does not repeat it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, exists, func, literal, or_, select, update
from sqlalchemy.orm import aliased

from service.core.errors import Conflict
from service.core.restoration import Finding
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, environments, findings, restorations


@dataclass(frozen=True)
class Found:
    """What was found of one connection."""

    restoration_id: str
    connection_id: str
    connection: str
    environment_id: str
    environment: str
    finding: Finding
    sentence: str
    rejected: tuple[str, ...]
    fence: int | None
    """The target's number, where it is higher than any that this ledger gave out."""
    attempts: int
    began_at: datetime
    """Of the restoration."""
    updated_at: datetime


@dataclass(frozen=True)
class Probing:
    """A pending finding, held by this worker. `server` is the database server that the connection is on."""

    restoration_id: str
    connection_id: str
    holder: str
    server: str


class ProbeLost(Conflict):
    """Another worker probes it by now, or nobody has to any more."""


_QUERY = (
    select(
        findings,
        restorations.c.began_at,
        connections.c.name.label("connection"),
        connections.c.environment_id,
        environments.c.name.label("environment"),
    )
    .join(restorations, restorations.c.id == findings.c.restoration_id)
    .join(connections, connections.c.id == findings.c.connection_id)
    .join(environments, environments.c.id == connections.c.environment_id)
)


def _found(row: Row[Any]) -> Found:
    return Found(
        row.restoration_id,
        row.connection_id,
        row.connection,
        row.environment_id,
        row.environment,
        Finding(row.finding),
        row.sentence,
        tuple(row.rejected),
        row.fence,
        row.attempts,
        row.began_at,
        row.updated_at,
    )


def listed(
    tx: Transaction, restoration_id: str, finding: Finding | None, after: tuple[str, str], limit: int
) -> list[Found]:
    """By environment and name, behind those of `after`."""
    query = _QUERY.where(findings.c.restoration_id == restoration_id)
    if finding is not None:
        query = query.where(findings.c.finding == finding.value)
    environment, name = after
    behind = or_(environments.c.name > environment, and_(environments.c.name == environment, connections.c.name > name))
    query = query.where(behind).order_by(environments.c.name, connections.c.name).limit(limit)
    return [_found(row) for row in tx.sql.execute(query)]


@dataclass(frozen=True)
class Outline:
    """A finding without its story, for counting."""

    environment_id: str
    environment: str
    connection: str
    finding: Finding


def outlines(tx: Transaction, restoration_id: str) -> list[Outline]:
    """All of a restoration."""
    query = (
        select(connections.c.environment_id, environments.c.name.label("wall"), connections.c.name, findings.c.finding)
        .join(connections, connections.c.id == findings.c.connection_id)
        .join(environments, environments.c.id == connections.c.environment_id)
        .where(findings.c.restoration_id == restoration_id)
    )
    return [Outline(row.environment_id, row.wall, row.name, Finding(row.finding)) for row in tx.sql.execute(query)]


def pending(tx: Transaction, restoration_id: str) -> bool:
    """Is anything still to be probed?"""
    query = select(findings.c.connection_id).where(
        findings.c.restoration_id == restoration_id, findings.c.finding == Finding.PENDING.value
    )
    return tx.sql.execute(query.limit(1)).first() is not None


def claim(
    tx: Transaction, holder: str, lease: timedelta, limit: int, within: frozenset[str] | None, server: str | None
) -> list[Probing]:
    """Take what is pending and not held: one on each server, or one on that server. `within` names environments."""
    administration, other, elsewhere = aliased(findings), aliased(findings), aliased(connections)
    first = exists(
        select(administration.c.connection_id).where(
            administration.c.restoration_id == findings.c.restoration_id,
            administration.c.connection_id == connections.c.administered_by,
            administration.c.connection_id != connections.c.id,  # one may administer itself
            administration.c.finding == Finding.PENDING.value,
        )
    )
    busy = exists(
        select(other.c.connection_id)
        .join(elsewhere, elsewhere.c.id == other.c.connection_id)
        .where(elsewhere.c.server == connections.c.server, other.c.lease_until >= tx.now)
        .where(other.c.finding == Finding.PENDING.value)
    )
    query = (
        select(findings.c.restoration_id, findings.c.connection_id, connections.c.server)
        .join(restorations, restorations.c.id == findings.c.restoration_id)
        .join(connections, connections.c.id == findings.c.connection_id)
        .where(
            restorations.c.ended_at.is_(None),
            findings.c.finding == Finding.PENDING.value,
            findings.c.wake_at <= tx.now,
            or_(findings.c.lease_until.is_(None), findings.c.lease_until < tx.now),
            ~first,
            ~busy,
        )
        .order_by(findings.c.wake_at, findings.c.connection_id)
        .with_for_update(skip_locked=True, of=findings)
    )
    if within is not None:
        query = query.join(environments, environments.c.id == connections.c.environment_id)
        query = query.where(environments.c.name.in_(within))
    if server is not None:
        query = query.where(connections.c.server == server)
    taken: dict[str, Probing] = {}
    for row in tx.sql.execute(query):
        if row.server not in taken and len(taken) < limit:
            taken[row.server] = Probing(row.restoration_id, row.connection_id, holder, row.server)
    for held in taken.values():
        values = {"holder": holder, "lease_until": tx.now + lease}
        tx.sql.execute(update(findings).where(*_is(held)).values(values))
    return list(taken.values())


def _is(held: Probing) -> tuple[Any, ...]:
    return (findings.c.restoration_id == held.restoration_id, findings.c.connection_id == held.connection_id)


def get(tx: Transaction, held: Probing) -> Found:
    """What a worker holds. Raises ProbeLost if it is another's by now."""
    mine = (findings.c.holder == held.holder, findings.c.finding == Finding.PENDING.value)
    row = tx.sql.execute(_QUERY.where(*_is(held), *mine)).one_or_none()
    if row is None:
        raise ProbeLost("another worker probes this connection by now")
    return _found(row)


def change(tx: Transaction, held: Probing, **values: Any) -> None:
    """Change a finding that this worker holds. Raises ProbeLost."""
    mine = (findings.c.holder == held.holder, findings.c.finding == Finding.PENDING.value)
    result = tx.sql.execute(update(findings).where(*_is(held), *mine).values({"updated_at": tx.now} | values))
    if result.rowcount != 1:
        raise ProbeLost("another worker probes this connection by now")


def take_over(tx: Transaction) -> None:
    """Every lease is over: for a process that knows that no other one lives."""
    tx.sql.execute(update(findings).where(findings.c.lease_until.is_not(None)).values(lease_until=None))


def is_stuck(tx: Transaction, connection_id: str) -> bool:
    """Must a person look at this connection?"""
    query = select(findings.c.connection_id).where(
        findings.c.connection_id == connection_id, findings.c.finding == Finding.STUCK.value
    )
    return tx.sql.execute(query.limit(1)).first() is not None


def settle(tx: Transaction, connection_id: str, *, but: str = "") -> tuple[bool, int]:
    """Nobody must look at this connection any more, in any restoration `but` one: whether anybody had to, and the
    highest fencing number that its target was seen to have. What was found stays told, behind why it is settled."""
    stuck = (
        findings.c.connection_id == connection_id,
        findings.c.finding == Finding.STUCK.value,
        findings.c.restoration_id != but,
    )
    highest: int | None = tx.sql.execute(select(func.max(findings.c.fence)).where(*stuck)).scalar_one()
    why = "a later restoration looked at it" if but else "it was put again, with a login that works"
    sentence = literal(f"{why}. Before: ").concat(findings.c.sentence)
    values = {"finding": Finding.SETTLED.value, "sentence": sentence, "updated_at": tx.now}
    settled = tx.sql.execute(update(findings).where(*stuck).values(values))
    return settled.rowcount > 0, highest or 0
