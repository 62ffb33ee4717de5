"""Rotations: their rows, their leases, their story.

A claim is a lease with a fencing number. Every transition is conditional on the number, so that a worker
whose lease was taken over changes nothing when it wakes up.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, Subquery, and_, bindparam, func, insert, or_, select, update

from service.core.errors import Conflict
from service.core.rotation import ENDED, Limits, Rotation, Stage, Strategy
from service.ledger import restorations
from service.ledger.changes import Kind as Changed
from service.ledger.columns import Moment
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, environments, rotation_steps, rotations

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOW = bindparam("now", type_=Moment)
_CLAIMING = 7241964
"""The advisory lock, in a ledger in PostgreSQL, of whoever claims (7241963 is the migrations')."""


class LeaseLost(Conflict):
    """Another worker holds the rotation by now: whoever sees this stops, and changes nothing."""


@dataclass(frozen=True)
class Claim:
    """A rotation held by this worker."""

    rotation_id: str
    fence: int


@dataclass(frozen=True)
class StoryLine:
    """One sentence of a rotation's history."""

    stage: str
    at: datetime
    sentence: str


_QUERY = (
    select(
        rotations,
        connections.c.name.label("connection"),
        connections.c.environment_id,
        environments.c.name.label("environment"),
    )
    .join(connections, connections.c.id == rotations.c.connection_id)
    .join(environments, environments.c.id == connections.c.environment_id)
)


def _rotation(row: Row[Any]) -> Rotation:
    return Rotation(
        id=row.id,
        environment_id=row.environment_id,
        environment=row.environment,
        connection_id=row.connection_id,
        connection=row.connection,
        strategy=Strategy(row.strategy),
        stage=Stage(row.stage),
        requested_by=row.requested_by,
        note=row.note,
        reason=row.reason,
        candidate_id=row.candidate_id,
        former_id=row.former_id,
        parking_id=row.parking_id,
        not_before=row.not_before,
        wake_at=row.wake_at,
        attempts=row.attempts,
        fence=row.fence,
        generation=row.generation,
        emergency=row.emergency,
        undo=row.undo,
        retiring=row.retiring,
        lease_until=row.lease_until,
        in_doubt=row.in_doubt,
        stuck_in=Stage(row.stuck_in) if row.stuck_in else None,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        seen=row.seen,
    )


# What every step of a rotation asks is made once: building a statement costs as much as running it.
_BY_ID = _QUERY.where(rotations.c.id == bindparam("wanted"))
_OPEN = _QUERY.where(rotations.c.open_key == bindparam("wanted"))
_CHANGE = update(rotations).where(rotations.c.id == bindparam("held"), rotations.c.fence == bindparam("number"))
_HOLDS = select(rotations.c.id).where(
    rotations.c.id == bindparam("held"), rotations.c.fence == bindparam("number"), rotations.c.lease_until.is_not(None)
)
_LAST = select(func.coalesce(func.max(rotation_steps.c.number), 0) + 1)
_TELL = insert(rotation_steps).values(
    number=_LAST.where(rotation_steps.c.rotation_id == bindparam("of")).scalar_subquery()
)


def find(tx: Transaction, rotation_id: str) -> Rotation | None:
    """By id."""
    row = tx.sql.execute(_BY_ID, {"wanted": rotation_id}).one_or_none()
    return _rotation(row) if row else None


def open_one(tx: Transaction, connection_id: str) -> Rotation | None:
    """The rotation of a connection that has not ended, if any."""
    row = tx.sql.execute(_OPEN, {"wanted": connection_id}).one_or_none()
    return _rotation(row) if row else None


def all_open(tx: Transaction, ids: Collection[str] | None = None) -> list[Rotation]:
    """As `open_one`, of all connections or of those."""
    query = _QUERY.where(rotations.c.ended_at.is_(None))
    query = query if ids is None else query.where(rotations.c.open_key.in_(ids))
    return [_rotation(row) for row in tx.sql.execute(query)]


def listed(
    tx: Transaction, environment_id: str, connection_id: str | None, stage: Stage | None, after: str, limit: int
) -> list[Rotation]:
    """Those of an environment, the youngest first, behind the one with the id `after`."""
    query = _QUERY.where(connections.c.environment_id == environment_id)
    if connection_id is not None:
        query = query.where(rotations.c.connection_id == connection_id)
    if stage is not None:
        query = query.where(rotations.c.stage == stage.value)
    marker = tx.sql.execute(select(rotations.c.created_at).where(rotations.c.id == after)).scalar_one_or_none()
    if marker is not None:
        same = (rotations.c.created_at == marker) & (rotations.c.id < after)
        query = query.where(or_(rotations.c.created_at < marker, same))
    query = query.order_by(rotations.c.created_at.desc(), rotations.c.id.desc()).limit(limit)
    return [_rotation(row) for row in tx.sql.execute(query)]


def add(tx: Transaction, rotation_id: str, connection_id: str, **values: Any) -> None:
    """A new one, planned and due at once."""
    row = {
        "id": rotation_id,
        "connection_id": connection_id,
        "stage": Stage.PLANNED.value,
        "reason": "",
        "attempts": 0,
        "undo": False,
        "retiring": False,
        "in_doubt": False,
        "seen": {},
        "fence": 0,
        "wake_at": tx.now,
        "created_at": tx.now,
        "updated_at": tx.now,
        "open_key": connection_id,
    }
    tx.sql.execute(insert(rotations).values(row | values))
    tx.touch(Changed.CONNECTION, connection_id)


def anything_to_claim(tx: Transaction, within: frozenset[str] | None) -> bool:
    """Is there work that nobody holds? A cheap look before the lock is taken."""
    return tx.sql.execute(_anything(within), {"now": tx.now}).first() is not None


# What is claimed by is made once for each set of environments and limits.


@lru_cache(maxsize=16)
def _claimable(within: frozenset[str] | None) -> tuple[Any, ...]:
    inside: tuple[Any, ...] = ()
    if within is not None:
        served = select(connections.c.id).join(environments).where(environments.c.name.in_(within))
        inside = (rotations.c.connection_id.in_(served),)
    return (
        *inside,
        rotations.c.ended_at.is_(None),
        rotations.c.wake_at <= _NOW,
        rotations.c.stage != Stage.STUCK.value,
        *restorations.free(rotations.c.connection_id),
        or_(rotations.c.lease_until.is_(None), rotations.c.lease_until < _NOW),
    )


@lru_cache(maxsize=16)
def _anything(within: frozenset[str] | None) -> Select[Any]:
    return select(rotations.c.id).where(*_claimable(within)).limit(1)


@lru_cache(maxsize=16)
def _takes(within: frozenset[str] | None) -> Select[Any]:
    return (
        select(rotations.c.id, rotations.c.fence, rotations.c.holder, rotations.c.in_doubt, rotations.c.connection_id)
        .add_columns(connections.c.fence.label("highest"))
        .join(connections, connections.c.id == rotations.c.connection_id)
        .where(rotations.c.id.in_(bindparam("first", expanding=True)), *_claimable(within))
        .with_for_update(skip_locked=True, key_share=True, of=[rotations, connections])
    )


def _held_by_server() -> Select[Any]:
    return (
        select(connections.c.server, func.count().label("number"))
        .join(rotations, rotations.c.connection_id == connections.c.id)
        .where(rotations.c.lease_until >= _NOW)
        .group_by(connections.c.server)
    )


@lru_cache(maxsize=16)
def _line(within: frozenset[str] | None, per_server: int) -> Select[Any]:
    held = _held_by_server().subquery()
    in_order = (rotations.c.emergency.desc(), rotations.c.wake_at, rotations.c.id)
    nth = func.row_number().over(partition_by=connections.c.server, order_by=in_order)
    line = (
        select(rotations.c.id, rotations.c.emergency, rotations.c.wake_at)
        .add_columns((nth + func.coalesce(held.c.number, 0)).label("place"))
        .join(connections, connections.c.id == rotations.c.connection_id)
        .outerjoin(held, held.c.server == connections.c.server)
        .where(*_claimable(within))
        .subquery()
    )
    return (
        select(line.c.id)
        .where(line.c.place <= per_server)
        .order_by(line.c.emergency.desc(), line.c.place, line.c.wake_at, line.c.id)
        .limit(bindparam("most"))
    )


_TAKEN = select(func.count()).select_from(rotations).where(rotations.c.lease_until >= _NOW)
_TAKE = update(rotations).where(rotations.c.id == bindparam("taken"))
_NUMBERED = update(connections).where(connections.c.id == bindparam("of"))


def claim(
    tx: Transaction,
    holder: str,
    lease: timedelta,
    limit: int,
    limits: Limits,
    within: frozenset[str] | None = None,
) -> list[Claim]:
    """Take what is due and not held, each with the next fencing number; in the environments named, if any are.

    Leases in force are counted, so `limits` hold for all processes together: one claims at a time.
    Numbers grow over all rotations of a connection. They begin at the clock's microseconds, so that they go on
    growing where a connection was deleted and put again, or the ledger came back from a copy.
    """
    if tx.sql.dialect.name == "postgresql":
        # Two that count at the same time would both take the last place. (SQLite has one writer anyway.)
        tx.sql.execute(select(func.pg_advisory_xact_lock(_CLAIMING)))
    # A window function and FOR UPDATE do not go together, hence two statements. The second looks again, and
    # passes over rows that somebody is changing this moment: it waits for nobody, so nobody waits in a ring.
    first = _first_in_line(tx, limit, within, limits)
    claims = []
    for row in tx.sql.execute(_takes(within), {"first": first, "now": tx.now}).all() if first else ():
        taken = Claim(row.id, max(row.fence, row.highest, (tx.now - _EPOCH) // _MICROSECOND) + 1)
        # Whoever held it and did not let go may yet wake up, or be at work in the target this very moment.
        in_doubt = row.in_doubt or row.holder is not None
        values = {"holder": holder, "fence": taken.fence, "lease_until": tx.now + lease, "in_doubt": in_doubt}
        tx.sql.execute(_TAKE, values | {"taken": taken.rotation_id})
        tx.sql.execute(_NUMBERED, {"fence": taken.fence, "of": row.connection_id})
        claims.append(taken)
    return claims


def _first_in_line(tx: Transaction, limit: int, within: frozenset[str] | None, limits: Limits) -> list[str]:
    """Ids of what may be taken now: emergencies first, then whatever leaves its server the least busy.

    So a server on which everything hangs takes its own places and no others, however much of it is due.
    """
    taken = tx.sql.execute(_TAKEN, {"now": tx.now}).scalar_one()
    most = max(0, min(limit, limits.in_all - int(taken)))
    line = _line(within, limits.per_server)
    return list(tx.sql.execute(line, {"now": tx.now, "most": most}).scalars())


def at_work(tx: Transaction) -> Subquery:
    """For each server the number of its rotations that are held, or that a worker could claim this moment."""
    claimable = and_(rotations.c.wake_at <= tx.now, rotations.c.stage != Stage.STUCK.value)
    return (
        select(connections.c.server, func.count().label("number"))
        .join(rotations, rotations.c.connection_id == connections.c.id)
        .where(rotations.c.ended_at.is_(None), or_(claimable, rotations.c.lease_until >= tx.now))
        .group_by(connections.c.server)
        .subquery()
    )


def take_over(tx: Transaction) -> None:
    """Every lease is over: for a process that knows that no other one lives."""
    tx.sql.execute(update(rotations).where(rotations.c.lease_until.is_not(None)).values(lease_until=None))


def renew(tx: Transaction, held: Claim, lease: timedelta) -> bool:
    """Hold on to a rotation for another `lease`. False: it is another's by now."""
    result = tx.sql.execute(update(rotations).where(*_held(held)).values(lease_until=tx.now + lease))
    return result.rowcount == 1


def holds(tx: Transaction, held: Claim) -> bool:
    """Is there a lease to let go of? One that ended has none any more."""
    query = _HOLDS, {"held": held.rotation_id, "number": held.fence}
    return tx.sql.execute(*query).first() is not None


def release(tx: Transaction, held: Claim) -> None:
    """Let go; whoever comes next may claim it when it wakes."""
    tx.sql.execute(update(rotations).where(*_held(held)).values(holder=None, lease_until=None))


def _held(held: Claim) -> tuple[Any, ...]:
    return (rotations.c.id == held.rotation_id, rotations.c.fence == held.fence)


def change(tx: Transaction, held: Claim, **values: Any) -> None:
    """Change a rotation that is held. Raises LeaseLost if it is another's by now."""
    given = {"updated_at": tx.now} | values | {"held": held.rotation_id, "number": held.fence}
    result = tx.sql.execute(_CHANGE, given)
    if result.rowcount != 1:
        raise LeaseLost("the rotation was taken over by another worker")
    tx.touch(Changed.ROTATION, held.rotation_id)


def note(tx: Transaction, held: Claim, **values: Any) -> None:
    """As `change`, for what is no news of the rotation. Raises LeaseLost if it is another's by now."""
    if tx.sql.execute(update(rotations).where(*_held(held)).values(values)).rowcount != 1:
        raise LeaseLost("the rotation was taken over by another worker")


def seize(tx: Transaction, rotation: Rotation, **values: Any) -> Claim:
    """Change a rotation by an operator's hand: the fencing number moves, so that no worker goes on with it.

    A worker may be changing the target this very moment, though: the next one begins when its lease is over.
    """
    held = Claim(rotation.id, rotation.fence + 1)
    wake_at = max(tx.now, rotation.lease_until or tx.now)
    # `holder` stays: a worker that did not let go is what the next one's doubt comes from.
    common = {"fence": held.fence, "lease_until": None, "updated_at": tx.now, "wake_at": wake_at}
    tx.sql.execute(update(rotations).where(rotations.c.id == rotation.id).values(common | values))
    tx.touch(Changed.ROTATION, rotation.id)
    return held


def tell(tx: Transaction, rotation_id: str, stage: Stage, sentence: str) -> None:
    """One more sentence of its story."""
    row = {"of": rotation_id, "rotation_id": rotation_id, "stage": stage.value, "at": tx.now, "sentence": sentence}
    tx.sql.execute(_TELL, row)


def story(tx: Transaction, rotation_id: str) -> list[StoryLine]:
    """Its history, in order."""
    query = select(rotation_steps).where(rotation_steps.c.rotation_id == rotation_id).order_by(rotation_steps.c.number)
    return [StoryLine(row.stage, row.at, row.sentence) for row in tx.sql.execute(query)]


def began(tx: Transaction, rotation_id: str) -> dict[Stage, datetime]:
    """When each stage that it has reached was reached for the first time."""
    query = select(rotation_steps.c.stage, func.min(rotation_steps.c.at, type_=rotation_steps.c.at.type).label("at"))
    query = query.where(rotation_steps.c.rotation_id == rotation_id).group_by(rotation_steps.c.stage)
    return {Stage(row.stage): row.at for row in tx.sql.execute(query)}


def closing(stage: Stage, rotation_id: str, now: datetime) -> dict[str, Any]:
    """The columns that change when a rotation ends."""
    if stage not in ENDED:
        return {}
    return {"ended_at": now, "open_key": rotation_id, "holder": None, "lease_until": None}


def open_by_stage(tx: Transaction) -> dict[str, int]:
    """How many have not ended, by stage."""
    query = select(rotations.c.stage, func.count().label("number")).where(rotations.c.ended_at.is_(None))
    return {row.stage: row.number for row in tx.sql.execute(query.group_by(rotations.c.stage))}


def any_open(tx: Transaction, environment_id: str) -> bool:
    """Is anything in the environment in a rotation?"""
    query = select(rotations.c.id).join(connections, connections.c.id == rotations.c.connection_id)
    query = query.where(connections.c.environment_id == environment_id, rotations.c.ended_at.is_(None)).limit(1)
    return tx.sql.execute(query).first() is not None
