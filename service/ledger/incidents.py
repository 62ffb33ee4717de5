"""Incidents: their rows, their plans, and what of a plan may begin now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, insert, or_, select, update

from service.core.incident import Incident, Progress, Skipped, State, Trouble
from service.core.rotation import ENDED, Limits, Stage
from service.ledger import restorations
from service.ledger.ledger import Transaction
from service.ledger.rotations import at_work
from service.ledger.tables import connections, environments, incident_items, incidents, rotations

_FAILED = [Stage.STUCK.value, Stage.ABANDONED.value, Stage.REVERTED.value]


@dataclass(frozen=True)
class Item:
    """A connection in a plan."""

    number: int
    connection_id: str
    connection: str
    waits: bool
    """It is still to begin, and nothing that it joined is open any more."""


_QUERY = select(incidents, environments.c.name.label("environment")).join(environments)
_ITEMS = incident_items.join(connections, connections.c.id == incident_items.c.connection_id).outerjoin(
    rotations, rotations.c.id == incident_items.c.rotation_id
)
_joined = and_(incident_items.c.again, rotations.c.stage != Stage.STUCK.value)
_WAITING = and_(incident_items.c.skipped.is_(None), or_(incident_items.c.rotation_id.is_(None), _joined))
_READY = and_(
    incident_items.c.skipped.is_(None),
    or_(incident_items.c.rotation_id.is_(None), and_(incident_items.c.again, rotations.c.ended_at.is_not(None))),
)


def _incident(row: Row[Any]) -> Incident:
    return Incident(**{**row._mapping, "state": State(row.state)})


def find(tx: Transaction, incident_id: str) -> Incident | None:
    """By id."""
    row = tx.sql.execute(_QUERY.where(incidents.c.id == incident_id)).one_or_none()
    return _incident(row) if row else None


def listed(tx: Transaction, environment_id: str, after: str, limit: int) -> list[Incident]:
    """Those of an environment, the youngest first, behind the one with the id `after`."""
    query = _QUERY.where(incidents.c.environment_id == environment_id)
    marker = tx.sql.execute(select(incidents.c.created_at).where(incidents.c.id == after)).scalar_one_or_none()
    if marker is not None:
        same = (incidents.c.created_at == marker) & (incidents.c.id < after)
        query = query.where(or_(incidents.c.created_at < marker, same))
    query = query.order_by(incidents.c.created_at.desc(), incidents.c.id.desc()).limit(limit)
    return [_incident(row) for row in tx.sql.execute(query)]


def running(tx: Transaction, within: frozenset[str] | None) -> list[Incident]:
    """All that run, the oldest first; in the environments named, if any are."""
    query = _QUERY.where(incidents.c.state == State.RUNNING.value)
    if within is not None:
        query = query.where(environments.c.name.in_(within))
    return [_incident(row) for row in tx.sql.execute(query.order_by(incidents.c.created_at, incidents.c.id))]


def add(tx: Transaction, new: Incident, plan: Sequence[tuple[str, str | None]]) -> None:
    """A new one with its plan: ids of connections in their order, each with the reason if it is skipped."""
    row = {name: value for name, value in vars(new).items() if name != "environment"}
    tx.sql.execute(insert(incidents).values(row | {"state": new.state.value}))
    items = [
        {"incident_id": new.id, "number": number, "connection_id": connection_id, "skipped": skipped, "again": False}
        for number, (connection_id, skipped) in enumerate(plan, 1)
    ]
    tx.sql.execute(insert(incident_items), items)


def change(tx: Transaction, incident_id: str, **values: Any) -> None:
    """Change an incident's row."""
    tx.sql.execute(update(incidents).where(incidents.c.id == incident_id).values(values))


def change_item(tx: Transaction, incident_id: str, number: int, **values: Any) -> None:
    """Change an item's row."""
    one = (incident_items.c.incident_id == incident_id, incident_items.c.number == number)
    tx.sql.execute(update(incident_items).where(*one).values(values))


def item(tx: Transaction, incident_id: str, number: int) -> Item | None:
    """One of a plan; None if its connection is gone."""
    query = (
        select(incident_items.c.connection_id, connections.c.name, _READY.label("waits"))
        .select_from(_ITEMS)
        .where(incident_items.c.incident_id == incident_id, incident_items.c.number == number)
    )
    row = tx.sql.execute(query).one_or_none()
    return Item(number, row.connection_id, row.name, bool(row.waits)) if row else None


def names(tx: Transaction, incident_id: str) -> list[str]:
    """The connections of a plan, by name, in their order."""
    query = select(connections.c.name).select_from(_ITEMS).where(incident_items.c.incident_id == incident_id)
    return list(tx.sql.execute(query.order_by(incident_items.c.number)).scalars())


def ready(tx: Transaction, incident_id: str, limits: Limits, limit: int) -> list[int]:
    """Numbers of the items that may begin now, in their order, `limit` at most.

    None begins before somebody could work on it: what is at work on its server, or waits for a worker
    there, counts. So what hangs on one server holds up no item on another. What is held waits.
    """
    busy = at_work(tx)
    taken = tx.sql.execute(select(func.coalesce(func.sum(busy.c.number), 0))).scalar_one()
    nth = func.row_number().over(partition_by=connections.c.server, order_by=incident_items.c.number)
    line = (
        select(incident_items.c.number, (nth + func.coalesce(busy.c.number, 0)).label("place"))
        .select_from(_ITEMS.outerjoin(busy, busy.c.server == connections.c.server))
        .where(incident_items.c.incident_id == incident_id, _READY, *restorations.free(connections.c.id))
        .subquery()
    )
    query = select(line.c.number).where(line.c.place <= limits.per_server).order_by(line.c.number)
    return list(tx.sql.execute(query.limit(max(0, min(limit, limits.in_all - int(taken))))).scalars())


def unfinished(tx: Transaction, incident_id: str) -> bool:
    """Is anything still to begin, or open and not stuck?"""
    open_one = and_(rotations.c.ended_at.is_(None), rotations.c.stage != Stage.STUCK.value)
    begun = and_(incident_items.c.rotation_id.is_not(None), open_one)
    query = select(incident_items.c.number).select_from(_ITEMS)
    query = query.where(incident_items.c.incident_id == incident_id, or_(_WAITING, begun)).limit(1)
    return tx.sql.execute(query).first() is not None


def progress(tx: Transaction, incident_id: str) -> Progress:
    """How far it is."""
    mine = incident_items.c.incident_id == incident_id
    begun = and_(mine, incident_items.c.rotation_id.is_not(None), rotations.c.id.is_not(None))
    waiting = select(func.count()).select_from(_ITEMS).where(mine, _WAITING)
    staged = select(rotations.c.stage, func.count().label("number")).select_from(_ITEMS).where(begun, ~_WAITING)
    skipped = select(connections.c.name, incident_items.c.skipped).select_from(_ITEMS)
    skipped = skipped.where(mine, incident_items.c.skipped.is_not(None)).order_by(incident_items.c.number)
    tried_again = and_(rotations.c.attempts > 0, rotations.c.stage.not_in([stage.value for stage in ENDED]))
    troubles = select(connections.c.name, connections.c.health, rotations.c.id, rotations.c.stage, rotations.c.reason)
    troubles = troubles.select_from(_ITEMS).where(begun, or_(rotations.c.stage.in_(_FAILED), tried_again))
    return Progress(
        int(tx.sql.execute(waiting).scalar_one()),
        {Stage(row.stage): row.number for row in tx.sql.execute(staged.group_by(rotations.c.stage))},
        tuple(Skipped(row.name, row.skipped) for row in tx.sql.execute(skipped)),
        tuple(_trouble(row) for row in tx.sql.execute(troubles.order_by(incident_items.c.number))),
    )


def _trouble(row: Any) -> Trouble:
    # One that is tried again has no reason of its own yet: what keeps it is in the connection's health.
    return Trouble(row.name, row.id, Stage(row.stage), row.reason or row.health.get("rotation") or "no reason was told")
