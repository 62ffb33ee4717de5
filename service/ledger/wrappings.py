"""Wrappings: answers that were sealed to be opened once, by whoever has their token (`service.keeper.wrappings`)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Index, LargeBinary, String, Table, Text, delete, func, insert, select

from service.ledger.columns import Moment, id_column
from service.ledger.ledger import Transaction
from service.ledger.tables import metadata

wrappings = Table(
    "wrappings",
    metadata,
    id_column(),
    Column("hash", LargeBinary, nullable=False),
    Column("made_by", String(64), nullable=False),  # id of a caller, who may be gone
    Column("served", Text, nullable=False),  # environments of the instance that made it; empty: all
    Column("path", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index(None, "made_by"),
    Index(None, "expires_at"),
)


@dataclass(frozen=True)
class Wrapping:
    """An answer under its seal. `hash` is that of its token's secret, `path` where it was asked."""

    id: str
    hash: bytes
    made_by: str
    served: str
    path: str
    sealed: bytes
    created_at: datetime
    expires_at: datetime


def add(tx: Transaction, new: Wrapping) -> None:
    """One more; expired ones go."""
    tx.sql.execute(delete(wrappings).where(wrappings.c.expires_at <= tx.now))
    tx.sql.execute(insert(wrappings).values(vars(new)))


def count(tx: Transaction, made_by: str) -> int:
    """How many of a caller's have neither been opened nor expired."""
    mine = (wrappings.c.made_by == made_by) & (wrappings.c.expires_at > tx.now)
    return tx.sql.execute(select(func.count()).where(mine)).scalar_one()


def find(tx: Transaction, wrapping_id: str) -> Wrapping | None:
    """By id, unless it has expired."""
    query = select(wrappings).where(wrappings.c.id == wrapping_id, wrappings.c.expires_at > tx.now)
    row = tx.sql.execute(query).one_or_none()
    return Wrapping(*row) if row else None


def remove(tx: Transaction, wrapping_id: str) -> None:
    """It was opened."""
    tx.sql.execute(delete(wrappings).where(wrappings.c.id == wrapping_id))
