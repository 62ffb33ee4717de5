"""Grants: what machines may do, and tokens that stand for themselves."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select

from service.core.access import Grant
from service.ledger.changes import Kind as Changed
from service.ledger.identities import grants, machines, tokens
from service.ledger.ledger import Transaction
from service.ledger.tokens import grant_of


@dataclass(frozen=True)
class Holder:
    """Who holds grants: a machine, or a token that stands for itself."""

    id: str
    name: str
    is_machine: bool = False

    def touch(self, tx: Transaction) -> None:
        """What it may do was changed."""
        tx.touch(Changed.MACHINE if self.is_machine else Changed.TOKEN, self.id)


@dataclass(frozen=True)
class HeldGrant:
    """A grant, and who holds it."""

    id: str
    holder: Holder
    grant: Grant


_HELD: Select[Any] = (
    select(grants, func.coalesce(tokens.c.name, machines.c.name).label("holder"))
    .outerjoin(tokens, tokens.c.id == grants.c.token_id)
    .outerjoin(machines, machines.c.id == grants.c.machine_id)
)


def _held(row: Row[Any]) -> HeldGrant:
    holder = Holder(row.machine_id or row.token_id, row.holder, row.machine_id is not None)
    return HeldGrant(row.id, holder, grant_of(row))


def add(tx: Transaction, grant_id: str, holder: Holder, grant: Grant) -> None:
    """One more."""
    tx.sql.execute(
        insert(grants).values(
            id=grant_id,
            token_id=None if holder.is_machine else holder.id,
            machine_id=holder.id if holder.is_machine else None,
            level=grant.level.word,
            kind=grant.kind.value,
            environment_id=grant.environment_id or None,
            path=grant.path,
        )
    )
    holder.touch(tx)


def every(tx: Transaction, after: str, limit: int) -> list[HeldGrant]:
    """By id, behind `after`."""
    query = _HELD.where(grants.c.id > after).order_by(grants.c.id).limit(limit)
    return [_held(row) for row in tx.sql.execute(query)]


def of(tx: Transaction, holder: Holder) -> list[HeldGrant]:
    """All that somebody holds."""
    own = grants.c.machine_id if holder.is_machine else grants.c.token_id
    return [_held(row) for row in tx.sql.execute(_HELD.where(own == holder.id).order_by(grants.c.id))]


def find(tx: Transaction, grant_id: str) -> HeldGrant | None:
    """By id."""
    row = tx.sql.execute(_HELD.where(grants.c.id == grant_id)).one_or_none()
    return _held(row) if row else None


def remove(tx: Transaction, held: HeldGrant) -> None:
    """One of them."""
    tx.sql.execute(delete(grants).where(grants.c.id == held.id))
    held.holder.touch(tx)
