"""The tables of who asks.

machines ─┬─ proofs ── secret_ids
          ├─ grants
          └─ tokens                  (that its logins gave out, or that a certificate of its own stands for)
tokens ─┬─ grants                    (of those that belong to no machine)
        └─ replies ─ answers kept for repeated Idempotency-Keys
"""

from sqlalchemy import (
    JSON,
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
)

from service.ledger.columns import NAME, Moment, belongs, id_column
from service.ledger.tables import metadata

machines = Table(
    "machines",
    metadata,
    id_column(),
    Column("name", NAME, nullable=False, unique=True),
    Column("enabled", Boolean, nullable=False),
    Column("allowlist", JSON, nullable=False),
    Column("token_ttl", Integer, nullable=False),  # seconds, like the next one
    Column("token_max_life", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
)

proofs = Table(
    "proofs",
    metadata,
    id_column(),
    belongs("machine_id", "machines.id"),
    Column("kind", String(16), nullable=False),
    Column("role_id", String(64), unique=True),  # of an approle
    Column("definition", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Index(None, "machine_id"),
)

secret_ids = Table(
    "secret_ids",
    metadata,
    id_column(),
    belongs("proof_id", "proofs.id"),
    Column("hash", LargeBinary, nullable=False),
    Column("uses_left", Integer),  # empty: any number
    Column("allowlist", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Moment),
    Index(None, "proof_id"),
    Index(None, "expires_at"),
)

tokens = Table(
    "tokens",
    metadata,
    id_column(),
    Column("name", NAME, unique=True),  # empty for a machine's, which goes by the machine's name
    Column("hash", LargeBinary, nullable=False),  # empty: a certificate alone stands for its caller
    Column("allowlist", JSON, nullable=False),
    Column("certificates", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Moment),
    Column("machine_id", String(64), ForeignKey("machines.id", ondelete="CASCADE")),
    Column("renewable_until", Moment),
    Column("metadata", JSON, nullable=False),  # what its login proved
    CheckConstraint("(name IS NULL) = (machine_id IS NOT NULL)", name="named_or_a_machines"),
    Index(None, "machine_id", "expires_at"),
)

grants = Table(
    "grants",
    metadata,
    id_column(),
    Column("token_id", String(64), ForeignKey("tokens.id", ondelete="CASCADE")),
    Column("machine_id", String(64), ForeignKey("machines.id", ondelete="CASCADE")),
    Column("level", String(8), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("environment_id", String(64), ForeignKey("environments.id", ondelete="CASCADE")),
    Column("path", String(200), nullable=False),
    CheckConstraint("(token_id IS NULL) <> (machine_id IS NULL)", name="one_holder"),
    Index(None, "token_id"),
    Index(None, "machine_id"),
)

replies = Table(
    "replies",
    metadata,
    Column("token_id", String(64), ForeignKey("tokens.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("request", LargeBinary, nullable=False),  # digest of method, path and body
    Column("status", Integer, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Index(None, "expires_at"),
)
