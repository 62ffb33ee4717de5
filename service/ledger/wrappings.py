"""Wrappings: answers that were sealed to be opened once, by whoever has their token (`service.keeper.wrappings`)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

from service.ledger.columns import Moment, id_column
from service.ledger.ledger import Transaction
from service.ledger.tables import metadata

_SWEPT = 100

wrappings = Table(
    "wrappings",
    metadata,
    id_column(),
    Column("hash", LargeBinary, nullable=False),
    Column("made_by", String(64), nullable=False),  # id of a machine or of a token, which may be gone
    Column("served", Text, nullable=False),  # environments of the instance that made it; empty: all
    # What the answer came from; it goes with its environment. Empty: from none.
    Column("environment_id", String(64), ForeignKey("environments.id", ondelete="CASCADE")),
    Column("source_id", String(64), nullable=False),  # of a variable or a connection
    Column("composed", Boolean, nullable=False),  # of others in the environment as well
    Column("path", Text, nullable=False),
    Column("size", Integer, nullable=False),  # bytes of `sealed`, to be summed without reading it
    Column("sealed", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index(None, "made_by", "expires_at", "size"),
    Index(None, "expires_at", "size"),
    Index(None, "environment_id", "source_id"),
)


@dataclass(frozen=True)
class Wrapping:
    """An answer under its seal. `hash` is that of its token's secret, `path` where it was asked."""

    id: str
    hash: bytes
    made_by: str
    served: str
    environment_id: str | None
    source_id: str
    composed: bool
    path: str
    size: int
    sealed: bytes
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Kept:
    """How many there are, and of how many bytes together."""

    count: int
    size: int

    def below(self, count: int, size: int) -> bool:
        """Is there room for one more?"""
        return self.count < count and self.size < size


def add(tx: Transaction, new: Wrapping) -> None:
    """One more; expired ones go."""
    _sweep(tx)
    tx.sql.execute(insert(wrappings).values(vars(new)))


def kept(tx: Transaction, made_by: str | None = None) -> Kept:
    """What has neither been opened nor expired, of one maker or of all."""
    query = select(func.count(), func.coalesce(func.sum(wrappings.c.size), 0)).where(wrappings.c.expires_at > tx.now)
    if made_by is not None:
        query = query.where(wrappings.c.made_by == made_by)
    count, size = tx.sql.execute(query).one()
    return Kept(count, int(size))


def find(tx: Transaction, wrapping_id: str) -> Wrapping | None:
    """By id, unless it has expired."""
    query = select(wrappings).where(wrappings.c.id == wrapping_id, wrappings.c.expires_at > tx.now)
    row = tx.sql.execute(query).one_or_none()
    return Wrapping(*row) if row else None


def remove(tx: Transaction, wrapping_id: str) -> None:
    """It was opened; expired ones go, too."""
    tx.sql.execute(delete(wrappings).where(wrappings.c.id == wrapping_id))
    _sweep(tx)


def lost(tx: Transaction, environment_id: str, source_id: str) -> None:
    """What a variable or connection held is gone for good: so is every answer that came from it, or may have."""
    from_it = (wrappings.c.source_id == source_id) | wrappings.c.composed
    tx.sql.execute(delete(wrappings).where(wrappings.c.environment_id == environment_id, from_it))


def _sweep(tx: Transaction) -> None:
    """A number that makes nobody wait, and is more than can come between two of them."""
    over = select(wrappings.c.id).where(wrappings.c.expires_at <= tx.now).limit(_SWEPT)
    tx.sql.execute(delete(wrappings).where(wrappings.c.id.in_(over)))
