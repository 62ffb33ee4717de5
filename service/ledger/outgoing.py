"""The tables of what goes out: signals, and who is sent them.

    signals ─ what was changed, written by the change itself
    outbox ─ one row: how far of them deliveries were made, and which ones are gone
    webhooks ── deliveries

A signal is written in the transaction of its event; deliveries are made of signals, in order, in one transaction with
the place that this has come to. So a crash loses none and makes none twice.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from service.ledger.columns import NAME, PLACE, Moment, belongs, id_column
from service.ledger.tables import metadata

signals = Table(
    "signals",
    metadata,
    Column("seq", PLACE, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", String(32), nullable=False),
    # No foreign key: what is said of an environment that is gone stays, for owners of everything.
    Column("environment_id", String(64), nullable=False),
    Column("environment", String(200), nullable=False),
    Column("resource", String(200), nullable=False),
    Column("told", JSON, nullable=False),
    Index(None, "at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_outbox"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("dropped", BigInteger, nullable=False),  # the last signal that is not kept any more
)

webhooks = Table(
    "webhooks",
    metadata,
    id_column(),
    Column("name", NAME, nullable=False),
    Column("url", Text, nullable=False),
    Column("environment_id", String(64), ForeignKey("environments.id", ondelete="CASCADE")),
    Column("folder", NAME, nullable=False),
    Column("kinds", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("disabled_because", Text, nullable=False),
    Column("secret_number", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("former_sealed", LargeBinary),
    Column("former_until", Moment),
    Column("since", BigInteger, nullable=False),  # the event behind which it listens
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
    # Of its environment alone: nobody learns by a conflict what another one's owners have.
    UniqueConstraint("environment_id", "name"),
)

deliveries = Table(
    "deliveries",
    metadata,
    id_column(),
    belongs("webhook_id", "webhooks.id"),
    Column("seq", BigInteger),  # none: it is a test
    Column("kind", String(32), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Moment, nullable=False),
    Column("dead_at", Moment, nullable=False),  # no attempt begins behind it
    Column("holder", String(64)),
    Column("lease_until", Moment),
    Column("outcome", String(16), nullable=False),
    Column("status", Integer),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    UniqueConstraint("webhook_id", "seq"),
    Index(None, "webhook_id", "state", "next_at"),
    Index(None, "webhook_id", "created_at"),
    Index(None, "state", "next_at"),
    Index(None, "ended_at"),
)
