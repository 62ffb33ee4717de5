"""Approvals: their rows, and how one of them moves on.

Whoever moves one holds `head`, so that of two who apply the same one at once, on any replica, the second finds it
applied. What is sealed of it goes when it is over.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, func, insert, or_, select, update

from service.core.access import Kind, Thing
from service.core.approval import OPEN, Approval, Changed, State
from service.ledger.changes import Kind as Touched
from service.ledger.ledger import Transaction
from service.ledger.persons import approvals, users
from service.ledger.tables import environments

_ASKER, _DECIDER = users.alias(), users.alias()
_QUERY: Select[Any] = (
    select(
        approvals,
        environments.c.name.label("environment"),
        _ASKER.c.email.label("asked_by_name"),
        func.coalesce(_DECIDER.c.email, "").label("decided_by_name"),
    )
    .join(environments, environments.c.id == approvals.c.environment_id)
    .join(_ASKER, _ASKER.c.id == approvals.c.asked_by)
    .outerjoin(_DECIDER, _DECIDER.c.id == approvals.c.decided_by)
)
_OPEN = approvals.c.state.in_([state.value for state in OPEN])


def _approval(row: Row[Any], now: datetime) -> Approval:
    state = State(row.state)
    late = state in OPEN and row.expires_at <= now
    return Approval(
        row.id,
        row.environment_id,
        row.environment,
        row.action,
        row.resource,
        tuple(Thing(Kind(kind), wall, path) for kind, wall, path in row.things),
        tuple(Changed(line["what"], line["old"], line["new"], line["secret"]) for line in row.summary),
        row.reason,
        row.asked_by,
        row.asked_by_name,
        State.EXPIRED if late else state,
        row.note,
        row.expires_at,
        row.created_at,
        row.decided_by or "",
        row.decided_by_name,
        row.decided_at,
        row.applied_at,
        row.sealed,
    )


def find(tx: Transaction, approval_id: str) -> Approval | None:
    """By id."""
    row = tx.sql.execute(_QUERY.where(approvals.c.id == approval_id)).one_or_none()
    return _approval(row, tx.now) if row else None


def listed(
    tx: Transaction, environment_id: str | None, states: Iterable[State], after: str, limit: int
) -> list[Approval]:
    """Those of an environment or of all, in these states, the youngest first, behind the one with the id `after`."""
    query = _QUERY if environment_id is None else _QUERY.where(approvals.c.environment_id == environment_id)
    found = [_in(state, tx.now) for state in states]
    if found:
        query = query.where(or_(*found))
    marker = tx.sql.execute(select(approvals.c.created_at).where(approvals.c.id == after)).scalar_one_or_none()
    if marker is not None:
        same = and_(approvals.c.created_at == marker, approvals.c.id < after)
        query = query.where(or_(approvals.c.created_at < marker, same))
    query = query.order_by(approvals.c.created_at.desc(), approvals.c.id.desc()).limit(limit)
    return [_approval(row, tx.now) for row in tx.sql.execute(query)]


def _in(state: State, now: datetime) -> Any:
    if state is State.EXPIRED:
        return or_(approvals.c.state == state.value, and_(_OPEN, approvals.c.expires_at <= now))
    mine = approvals.c.state == state.value
    return and_(mine, approvals.c.expires_at > now) if state in OPEN else mine


def waiting(tx: Transaction, user_id: str) -> int:
    """How many of somebody's are open."""
    query = select(func.count()).where(approvals.c.asked_by == user_id, _OPEN, approvals.c.expires_at > tx.now)
    return int(tx.sql.execute(query).scalar_one())


def add(tx: Transaction, new: Approval) -> None:
    """A new one."""
    row = {name: getattr(new, name) for name in ("id", "environment_id", "action", "resource", "reason", "asked_by")}
    row |= {"note": new.note, "sealed": new.sealed, "expires_at": new.expires_at, "created_at": new.created_at}
    things = [[thing.kind.value, thing.environment_id, thing.path] for thing in new.things]
    own = {"state": new.state.value, "things": things, "summary": [vars(line) for line in new.summary]}
    tx.sql.execute(insert(approvals).values(row | own))
    tx.touch(Touched.APPROVAL, new.id)


def move(tx: Transaction, approval: Approval, state: State, **values: Any) -> None:
    """It stands there from now on. What cannot go on is not kept. Raises Conflict."""
    approval.require_move(state)
    if state not in OPEN:
        values["sealed"] = None
    tx.sql.execute(update(approvals).where(approvals.c.id == approval.id).values(state=state.value, **values))
    tx.touch(Touched.APPROVAL, approval.id)


def sweep(tx: Transaction, limit: int) -> None:
    """What nobody decided on, or applied, in time is over, so many of them."""
    late = select(approvals.c.id).where(_OPEN, approvals.c.expires_at <= tx.now).limit(limit)
    ids = list(tx.sql.execute(late).scalars())
    if ids:
        over = update(approvals).where(approvals.c.id.in_(ids))
        tx.sql.execute(over.values(state=State.EXPIRED.value, sealed=None))
