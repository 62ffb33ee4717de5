"""The tables.

    head ─ one row: epoch, sequence number and hash of the last batch    changes ─ what was changed at which epoch
    batches ─ the event log            postings, callings, fetches ─ its query index, built behind the log
    indexed ─ one row: how far that is pruned ─ at most one row: what is not in the log any more
    environments ─┬─ data_keys         (wrapped; `system` has keys of its own)
                  ├─ variables ── versions
                  ├─ connections ─┬─ logins ── credentials
                  │               └─ rotations ── rotation_steps
                  └─ incidents ── incident_items
    home ─ one row: where the ledger lives     restorations ── findings (of connections)
    tokens, machines, and what they may do: see `identities.py`; people: see `persons.py`
    signals, outbox, webhooks ── deliveries (`outgoing.py`)

Ids are random and immutable: sealed values are bound to them. Times are microseconds since 1970 in UTC,
the same on both engines. Sealed columns end in `sealed`; nothing else holds what somebody wanted secret.
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
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from service.ledger.columns import NAME, PLACE, TERM, Moment, belongs, id_column

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


head = Table(
    "head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_row"), primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", Moment, nullable=False),
)

# What was changed at which epoch: see `changes.py`.
changes = Table(
    "changes",
    metadata,
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(16), primary_key=True),
    Column("id", String(64), primary_key=True),
)

batches = Table(
    "batches",
    metadata,
    Column("first", PLACE, primary_key=True, autoincrement=False),
    Column("events", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("persons", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

# What stands in the place of events that were pruned: see `service/core/pruned.py`. No row: nothing was.
pruned = Table(
    "pruned",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_record"), primary_key=True, autoincrement=False),
    Column("installation", LargeBinary, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("at", Text, nullable=False),  # as it was signed, to the letter
    Column("signature", LargeBinary, nullable=False),
)

# How far the query index is. Not in `head`: whoever builds the index must not hold up whoever appends.
indexed = Table(
    "indexed",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_index"), primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),  # the latest moment in what is indexed
)

# Where in the log there are events that fit a term: see `postings.py`. Ordered by bytes: some terms are ranges.
postings = Table(
    "postings",
    metadata,
    Column("term", TERM, primary_key=True),
    Column("stretch", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# What callers were called: the index of batches knows ids only. A row is all there is to erase of it.
callings = Table(
    "callings",
    metadata,
    Column("name", Text, primary_key=True),
    Column("actor", String(64), primary_key=True),
)

# The youngest fetch of a connection by a caller; by names, as the log has them.
fetches = Table(
    "fetches",
    metadata,
    Column("environment", String(200), primary_key=True),
    Column("connection", String(200), primary_key=True),
    Column("actor", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("generation", Integer, nullable=False),
)

environments = Table(
    "environments",
    metadata,
    id_column(),
    Column("name", NAME, nullable=False, unique=True),
    Column("stores", JSON, nullable=False),
    Column("allowlist", JSON, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("stale_if_error", Integer, nullable=False),
    Column("approvals", JSON, nullable=False),  # areas that wait for a second person, and for how long one may ask
)

data_keys = Table(
    "data_keys",
    metadata,
    # No foreign key: the id `system` stands for the installation itself.
    Column("environment_id", String(64), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("wrapper", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
)

variables = Table(
    "variables",
    metadata,
    id_column(),
    belongs("environment_id", "environments.id"),
    Column("name", NAME, nullable=False),
    Column("secret", Boolean, nullable=False),
    Column("live", Integer),
    Column("newest", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("notes", Text),
    UniqueConstraint("environment_id", "name"),
)

versions = Table(
    "versions",
    metadata,
    Column("variable_id", String(64), ForeignKey("variables.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("sealed", LargeBinary),
    Column("created_at", Moment, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("deleted_at", Moment),
)

connections = Table(
    "connections",
    metadata,
    id_column(),
    belongs("environment_id", "environments.id"),
    Column("name", NAME, nullable=False),
    Column("definition", JSON, nullable=False),  # engine, endpoints, database, tls, options, kept_in
    Column("administered_by", String(64), ForeignKey("connections.id")),
    Column("server", String(300), nullable=False),  # engine and primary endpoint, as `definitions.server` writes them
    Column("host", String(300), nullable=False),  # of the primary endpoint
    Column("siblings", String(200)),
    Column("spacing", Integer),  # the policy's, in seconds
    Column("policy", JSON),
    Column("health", JSON, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("next_due_at", Moment),
    Column("waits_since", Moment),  # when it was due, if it waits because another one of its group began too lately
    Column("fence", BigInteger, nullable=False),  # the highest number that a worker was given
    Column("check_at", Moment),  # when the sentinel looks next
    Column("known", JSON, nullable=False),  # what the sentinel saw last
    Column("promised_until", Moment),  # the end of promises given under a longer drain minimum than the present one
    Column("updated_at", Moment, nullable=False),
    UniqueConstraint("environment_id", "name"),
    Index(None, "next_due_at"),
    Index(None, "check_at"),
    Index(None, "administered_by"),
    Index(None, "server"),
    Index(None, "host", "spacing"),
    Index(None, "siblings", "spacing"),
    Index(None, "waits_since"),
)

logins = Table(
    "logins",
    metadata,
    id_column(),
    belongs("connection_id", "connections.id"),
    Column("username", Text, nullable=False),
    UniqueConstraint("connection_id", "username"),
)

credentials = Table(
    "credentials",
    metadata,
    id_column(),
    belongs("connection_id", "connections.id"),
    belongs("login_id", "logins.id"),
    Column("state", String(16), nullable=False),
    Column("sealed", LargeBinary),
    Column("valid_from", Moment),
    Column("good_until", Moment),
    Column("created_at", Moment, nullable=False),
    Index(None, "connection_id", "state"),
)

rotations = Table(
    "rotations",
    metadata,
    id_column(),
    belongs("connection_id", "connections.id"),
    Column("strategy", String(16), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("stuck_in", String(16)),
    Column("requested_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("undo", Boolean, nullable=False),
    Column("retiring", Boolean, nullable=False),
    Column("in_doubt", Boolean, nullable=False),
    Column("seen", JSON, nullable=False),  # who was still on the former credential, when it was last looked
    Column("candidate_id", String(64)),
    Column("former_id", String(64)),
    Column("parking_id", String(64)),
    Column("generation", Integer),
    Column("not_before", Moment),
    Column("wake_at", Moment, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("holder", String(64)),
    Column("lease_until", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("ended_at", Moment),
    # One open rotation of a connection at a time: ended ones carry their own id here.
    Column("open_key", String(64), nullable=False, unique=True),
    Index(None, "connection_id", "created_at"),
    Index(None, "ended_at", "wake_at"),
    Index(None, "lease_until"),
    Index(None, "created_at"),
)

rotation_steps = Table(
    "rotation_steps",
    metadata,
    Column("rotation_id", String(64), ForeignKey("rotations.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("stage", String(16), nullable=False),
    Column("at", Moment, nullable=False),
    Column("sentence", Text, nullable=False),
)

incidents = Table(
    "incidents",
    metadata,
    id_column(),
    belongs("environment_id", "environments.id"),
    Column("folder", NAME, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("per_minute", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("next_at", Moment, nullable=False),  # when the rate lets the next one begin
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index(None, "environment_id", "created_at"),
    Index(None, "state"),
)

# Which connections, in which order. What has a `skipped` never begins; what has a `rotation_id` has begun.
incident_items = Table(
    "incident_items",
    metadata,
    Column("incident_id", String(64), ForeignKey("incidents.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    belongs("connection_id", "connections.id"),
    Column("skipped", Text),
    Column("rotation_id", String(64)),
    Column("again", Boolean, nullable=False),  # it joined one that had its password already: another one follows it
    Index(None, "connection_id"),
)

# Bookkeeping of logins in targets: see `rejections.py`.
rejections = Table(
    "rejections",
    metadata,
    Column("endpoint", String(300), primary_key=True),
    Column("username", Text, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("at", Moment, nullable=False),
)

home = Table(
    "home",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1", name="one_home"), primary_key=True, autoincrement=False),
    Column("system", String(64), nullable=False),
    Column("database", BigInteger, nullable=False),
    Column("timeline", BigInteger, nullable=False),
    Column("witnessed", Boolean, nullable=False),  # an embedded ledger had a witness in its data folder
)

restorations = Table(
    "restorations",
    metadata,
    id_column(),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("ended_at", Moment),
    # One open restoration at a time: ended ones carry their own id here.
    Column("open_key", String(64), nullable=False, unique=True),
    Index(None, "began_at"),
    Index(None, "ended_at"),
)

findings = Table(
    "findings",
    metadata,
    Column("restoration_id", String(64), ForeignKey("restorations.id", ondelete="CASCADE"), primary_key=True),
    Column("connection_id", String(64), ForeignKey("connections.id", ondelete="CASCADE"), primary_key=True),
    Column("finding", String(16), nullable=False),
    Column("sentence", Text, nullable=False),
    Column("rejected", JSON, nullable=False),  # ids of the credentials that the target has rejected
    Column("fence", BigInteger),  # the target's number, where it is higher than any that this ledger gave out
    Column("attempts", Integer, nullable=False),
    Column("wake_at", Moment, nullable=False),
    Column("holder", String(64)),
    Column("lease_until", Moment),
    Column("updated_at", Moment, nullable=False),
    Index(None, "finding"),
    Index(None, "connection_id"),
)
