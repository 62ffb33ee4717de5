"""The tables of people, and of what waits for them.

users ─┬─ members ── groups ─┬─ members       (groups in groups)
       │                     └─ grants        (`identities.py`, like those of users)
       ├─ profiles                           (what SCIM keeps of a user, beyond what Keywright needs)
       ├─ factors, recovery_codes
       └─ tokens ── sessions                  (`identities.py`)
identity_providers                            how people sign in from elsewhere
delays ─ how often passwords were wrong, by account and by place
pendings ─ what waits for its other half, for minutes      settings ─ at most one row
approvals, break_glasses ─ changes that wait for somebody else, and those that did not wait
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

from service.ledger.columns import EMAIL, NAME, Moment, belongs, id_column
from service.ledger.tables import metadata

users = Table(
    "users",
    metadata,
    id_column(),
    Column("email", EMAIL, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("type", String(16), nullable=False),
    Column("external_id", Text, nullable=False),
    Column("provider_id", String(64), nullable=False),  # empty: none
    Column("subject", Text, nullable=False),  # who it is at its provider
    Column("attributes", JSON, nullable=False),
    Column("password_hash", Text),  # argon2id, as the library writes it
    Column("password_changed_at", Moment),
    Column("password_ends_at", Moment),
    Column("must_change", Boolean, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),  # passwords and factors that were wrong, one after another
    Column("failed_at", Moment),
    Column("last_login_at", Moment),
    Column("last_active_at", Moment),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "provider_id", "subject"),
    Index(None, "external_id"),
)

groups = Table(
    "groups",
    metadata,
    id_column(),
    Column("name", NAME, nullable=False, unique=True),
    Column("external_id", Text, nullable=False),
    Column("provisioned", Boolean, nullable=False),
    Column("landing_environment_id", String(64), ForeignKey("environments.id", ondelete="SET NULL")),
    Column("landing_folder", NAME, nullable=False),
    Column("second_factor", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index(None, "external_id"),
)

# A user, or a group, in a group; once for each source that says so.
members = Table(
    "members",
    metadata,
    id_column(),
    belongs("group_id", "groups.id"),
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE")),
    Column("child_id", String(64), ForeignKey("groups.id", ondelete="CASCADE")),
    Column("source", String(80), nullable=False),
    CheckConstraint("(user_id IS NULL) <> (child_id IS NULL)", name="one_member"),
    UniqueConstraint("group_id", "user_id", "child_id", "source"),
    Index(None, "user_id"),
    Index(None, "child_id"),
)

profiles = Table(
    "profiles",
    metadata,
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("user_name", EMAIL, nullable=False, unique=True),  # in small letters
    Column("ended", Boolean, nullable=False),  # it was SCIM that disabled the user
    Column("document", JSON, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_id", String(64), ForeignKey("tokens.id", ondelete="CASCADE"), primary_key=True),
    belongs("user_id", "users.id"),
    Column("method", String(80), nullable=False),
    Column("provider_id", String(64), nullable=False),
    Column("provider_session", Text, nullable=False),
    Column("factor_at", Moment),
    Column("signed_in_at", Moment, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Index(None, "user_id"),
    Index(None, "provider_id", "provider_session"),
)

factors = Table(
    "factors",
    metadata,
    id_column(),
    belongs("user_id", "users.id"),
    Column("kind", String(16), nullable=False),
    Column("name", NAME, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("credential_id", String(1400), unique=True),  # of a passkey, base64url: 1023 bytes at most
    Column("used", BigInteger, nullable=False),  # the last time step of a TOTP code, the sign count of a passkey
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    Index(None, "user_id"),
)

recovery_codes = Table(
    "recovery_codes",
    metadata,
    id_column(),
    belongs("user_id", "users.id"),
    Column("hash", LargeBinary, nullable=False),
    Column("used_at", Moment),
    Index(None, "user_id"),
)

pendings = Table(
    "pendings",
    metadata,
    Column("hash", LargeBinary, primary_key=True),  # of the kind and the text that whoever goes on has to show
    Column("kind", String(32), nullable=False),
    Column("sealed", LargeBinary),  # empty for what is only remembered to have been seen
    Column("user_id", String(64), ForeignKey("users.id", ondelete="CASCADE")),
    Column("network", LargeBinary),  # where it was begun, as a keyed digest; empty where that is not counted
    Column("expires_at", Moment, nullable=False),
    Index(None, "expires_at"),
    Index(None, "user_id"),
    Index(None, "network"),
)

# Neither addresses nor e-mail addresses stand here: digests of them, also of accounts that there are not.
delays = Table(
    "delays",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("failed_at", Moment),
    Column("expires_at", Moment, nullable=False),
    Index(None, "expires_at"),
)

identity_providers = Table(
    "identity_providers",
    metadata,
    id_column(),
    Column("name", NAME, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("definition", JSON, nullable=False),
    Column("sealed", LargeBinary),  # its client secret, or our private key for it
    Column("enabled", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

settings = Table(
    "settings",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_set"), primary_key=True, autoincrement=False),
    Column("definition", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
)

approvals = Table(
    "approvals",
    metadata,
    id_column(),
    belongs("environment_id", "environments.id"),
    Column("action", String(64), nullable=False),
    Column("resource", Text, nullable=False),
    Column("things", JSON, nullable=False),  # what an approver must own: kind, environment, path
    Column("sealed", LargeBinary),  # what is to be done, and what is so before and after it; gone when it is over
    Column("summary", JSON, nullable=False),  # what it changes, without secrets
    Column("reason", Text, nullable=False),
    belongs("asked_by", "users.id"),
    Column("state", String(16), nullable=False),
    Column("decided_by", String(64), ForeignKey("users.id", ondelete="SET NULL")),
    Column("decided_at", Moment),
    Column("note", Text, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("applied_at", Moment),
    Index(None, "environment_id", "state", "created_at"),
    Index(None, "state", "expires_at"),
)

break_glasses = Table(
    "break_glasses",
    metadata,
    id_column(),
    belongs("environment_id", "environments.id"),
    belongs("user_id", "users.id"),
    Column("reason", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index(None, "environment_id", "expires_at"),
)
