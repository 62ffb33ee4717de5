"""Grants: what users, groups, machines may do, and tokens that stand for themselves."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select

from service.core.access import Grant
from service.ledger.changes import Kind as Changed
from service.ledger.identities import grants, machines, tokens
from service.ledger.ledger import Transaction
from service.ledger.persons import groups, users
from service.ledger.tokens import grant_of


class Holding(StrEnum):
    """Who can hold grants."""

    TOKEN = "token"  # noqa: S105 - no password
    MACHINE = "machine"
    USER = "user"
    GROUP = "group"

    @property
    def column(self) -> ColumnElement[str]:
        """Of its id, in the table of grants."""
        return grants.c[f"{self.value}_id"]


@dataclass(frozen=True)
class Holder:
    """Who holds grants: a user, a group, a machine, or a token that stands for itself."""

    id: str
    name: str
    kind: Holding = Holding.TOKEN

    def touch(self, tx: Transaction) -> None:
        """What it may do was changed."""
        tx.touch(Changed(self.kind.value), self.id)


def holder_of(row: Row[Any], name: str = "") -> Holder:
    """Who holds the grant of a row."""
    kind = next(kind for kind in Holding if getattr(row, f"{kind.value}_id") is not None)
    return Holder(getattr(row, f"{kind.value}_id"), name, kind)


@dataclass(frozen=True)
class HeldGrant:
    """A grant, and who holds it."""

    id: str
    holder: Holder
    grant: Grant


_HELD: Select[Any] = (
    select(grants, func.coalesce(tokens.c.name, machines.c.name, users.c.email, groups.c.name).label("holder"))
    .outerjoin(tokens, tokens.c.id == grants.c.token_id)
    .outerjoin(machines, machines.c.id == grants.c.machine_id)
    .outerjoin(users, users.c.id == grants.c.user_id)
    .outerjoin(groups, groups.c.id == grants.c.group_id)
)


def _held(row: Row[Any]) -> HeldGrant:
    return HeldGrant(row.id, holder_of(row, row.holder), grant_of(row))


def add(tx: Transaction, grant_id: str, holder: Holder, grant: Grant) -> None:
    """One more."""
    tx.sql.execute(
        insert(grants).values(
            id=grant_id,
            **{f"{holder.kind.value}_id": holder.id},
            level=grant.level.word,
            kind=grant.kind.value,
            environment_id=grant.environment_id or None,
            path=grant.path,
            rule=grant.rule,
        )
    )
    holder.touch(tx)


def every(tx: Transaction, after: str, limit: int) -> list[HeldGrant]:
    """By id, behind `after`."""
    query = _HELD.where(grants.c.id > after).order_by(grants.c.id).limit(limit)
    return [_held(row) for row in tx.sql.execute(query)]


def of(tx: Transaction, holder: Holder) -> list[HeldGrant]:
    """All that somebody holds."""
    query = _HELD.where(holder.kind.column == holder.id).order_by(grants.c.id)
    return [_held(row) for row in tx.sql.execute(query)]


def find(tx: Transaction, grant_id: str) -> HeldGrant | None:
    """By id."""
    row = tx.sql.execute(_HELD.where(grants.c.id == grant_id)).one_or_none()
    return _held(row) if row else None


def remove(tx: Transaction, held: HeldGrant) -> None:
    """One of them."""
    tx.sql.execute(delete(grants).where(grants.c.id == held.id))
    held.holder.touch(tx)
