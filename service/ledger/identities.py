"""The tables of who asks.

machines ─┬─ proofs ── secret_ids
          ├─ grants
          └─ tokens                  (that its logins gave out, or that a certificate of its own stands for)
users, groups ── grants; users ── tokens   (a person's: see `persons.py`)
tokens ─┬─ grants                    (of those that belong to nobody else)
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
    Column("name", NAME, unique=True),  # empty for a machine's or a user's, which goes by that one's name
    Column("hash", LargeBinary, nullable=False),  # empty: a certificate alone stands for its caller
    Column("allowlist", JSON, nullable=False),
    Column("certificates", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Moment),
    Column("machine_id", String(64), ForeignKey("machines.id", ondelete="CASCADE")),
    Column("renewable_until", Moment),
    Column("metadata", JSON, nullable=False),  # what its login proved
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE")),
    Column("label", NAME, nullable=False),  # what its user calls it; empty for sessions
    CheckConstraint("machine_id IS NULL OR user_id IS NULL", name="one_owner"),
    CheckConstraint("(name IS NULL) = (machine_id IS NOT NULL OR user_id IS NOT NULL)", name="named_or_somebodys"),
    Index(None, "machine_id", "expires_at"),
    Index(None, "user_id", "expires_at"),
)

grants = Table(
    "grants",
    metadata,
    id_column(),
    Column("token_id", String(64), ForeignKey("tokens.id", ondelete="CASCADE")),
    Column("machine_id", String(64), ForeignKey("machines.id", ondelete="CASCADE")),
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE")),
    Column("group_id", String(64), ForeignKey("groups.id", ondelete="CASCADE")),
    Column("level", String(8), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("environment_id", String(64), ForeignKey("environments.id", ondelete="CASCADE")),
    Column("path", String(200), nullable=False),
    Column("rule", Text, nullable=False),
    CheckConstraint(
        "(CASE WHEN token_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN machine_id IS NULL THEN 0 ELSE 1 END)"
        " + (CASE WHEN user_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN group_id IS NULL THEN 0 ELSE 1 END) = 1",
        name="one_holder",
    ),
    Index(None, "token_id"),
    Index(None, "machine_id"),
    Index(None, "user_id"),
    Index(None, "group_id"),
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
