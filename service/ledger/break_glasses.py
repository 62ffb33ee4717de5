"""Rights to go without approvals: taken, ended, and over by themselves. Fetches depend on them by the environment."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, insert, or_, select, update

from service.core.approval import BreakGlass
from service.ledger.changes import Kind as Changed
from service.ledger.ledger import Transaction
from service.ledger.persons import break_glasses, users
from service.ledger.tables import environments

_QUERY: Select[Any] = (
    select(break_glasses, environments.c.name.label("environment"), users.c.email.label("user"))
    .join(environments, environments.c.id == break_glasses.c.environment_id)
    .join(users, users.c.id == break_glasses.c.user_id)
)


def _glass(row: Row[Any]) -> BreakGlass:
    return BreakGlass(**row._mapping)


def find(tx: Transaction, glass_id: str) -> BreakGlass | None:
    """By id."""
    row = tx.sql.execute(_QUERY.where(break_glasses.c.id == glass_id)).one_or_none()
    return _glass(row) if row else None


def listed(tx: Transaction, environment_id: str, after: str, limit: int) -> list[BreakGlass]:
    """Those of an environment, the youngest first, behind the one with the id `after`."""
    query = _QUERY.where(break_glasses.c.environment_id == environment_id)
    began = select(break_glasses.c.created_at).where(break_glasses.c.id == after)
    marker = tx.sql.execute(began).scalar_one_or_none()
    if marker is not None:
        same = and_(break_glasses.c.created_at == marker, break_glasses.c.id < after)
        query = query.where(or_(break_glasses.c.created_at < marker, same))
    query = query.order_by(break_glasses.c.created_at.desc(), break_glasses.c.id.desc()).limit(limit)
    return [_glass(row) for row in tx.sql.execute(query)]


def add(tx: Transaction, new: BreakGlass) -> None:
    """A new one."""
    row = {name: value for name, value in vars(new).items() if name not in ("environment", "user")}
    tx.sql.execute(insert(break_glasses).values(row))
    tx.touch(Changed.ENVIRONMENT, new.environment_id)


def end(tx: Transaction, glass: BreakGlass, at: datetime) -> None:
    """It is over."""
    tx.sql.execute(update(break_glasses).where(break_glasses.c.id == glass.id).values(ended_at=at))
    tx.touch(Changed.ENVIRONMENT, glass.environment_id)
