"""The first tables."""

import sqlalchemy as sa
from alembic import op

from service.ledger.columns import EMAIL, NAME, PLACE, TERM, Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To this revision."""
    op.create_table(
        "batches",
        sa.Column("first", PLACE, autoincrement=False, nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("persons", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("first", name="pk_batches"),
    )
    op.create_table(
        "changes",
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("epoch", "kind", "id", name="pk_changes"),
    )
    op.create_table(
        "data_keys",
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("wrapper", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", "number", name="pk_data_keys"),
    )
    op.create_table(
        "indexed",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_indexed_one_index")),
        sa.PrimaryKeyConstraint("id", name="pk_indexed"),
    )
    op.create_table(
        "pruned",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("installation", sa.LargeBinary(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_pruned_one_record")),
        sa.PrimaryKeyConstraint("id", name="pk_pruned"),
    )
    op.create_table(
        "postings",
        sa.Column("term", TERM, nullable=False),
        sa.Column("stretch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("term", "stretch", name="pk_postings"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "callings",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", "actor", name="pk_callings"),
    )
    op.create_table(
        "rejections",
        sa.Column("endpoint", sa.String(length=300), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("endpoint", "username", name="pk_rejections"),
    )
    op.create_table(
        "fetches",
        sa.Column("environment", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("environment", "connection", "actor", name="pk_fetches"),
    )
    op.create_table(
        "environments",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("stores", sa.JSON(), nullable=False),
        sa.Column("allowlist", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("stale_if_error", sa.Integer(), nullable=False),
        sa.Column("approvals", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_environments"),
        sa.UniqueConstraint("name", name="uq_environments_name"),
    )
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_head_one_row")),
        sa.PrimaryKeyConstraint("id", name="pk_head"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("email", EMAIL, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("attributes", sa.JSON(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("password_changed_at", Moment(), nullable=True),
        sa.Column("password_ends_at", Moment(), nullable=True),
        sa.Column("must_change", sa.Boolean(), nullable=False),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", Moment(), nullable=True),
        sa.Column("last_login_at", Moment(), nullable=True),
        sa.Column("last_active_at", Moment(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_index("ix_users_external_id", "users", ["external_id"], unique=False)
    op.create_index("ix_users_provider_id_subject", "users", ["provider_id", "subject"], unique=False)
    op.create_table(
        "profiles",
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("user_name", EMAIL, nullable=False),
        sa.Column("ended", sa.Boolean(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_profiles_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name="pk_profiles"),
        sa.UniqueConstraint("user_name", name="uq_profiles_user_name"),
    )
    op.create_table(
        "groups",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("provisioned", sa.Boolean(), nullable=False),
        sa.Column("landing_environment_id", sa.String(length=64), nullable=True),
        sa.Column("landing_folder", NAME, nullable=False),
        sa.Column("second_factor", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["landing_environment_id"],
            ["environments.id"],
            name="fk_groups_landing_environment_id",
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_groups"),
        sa.UniqueConstraint("name", name="uq_groups_name"),
    )
    op.create_index("ix_groups_external_id", "groups", ["external_id"], unique=False)
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_identity_providers"),
        sa.UniqueConstraint("name", name="uq_identity_providers_name"),
    )
    op.create_table(
        "settings",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_settings"),
    )
    op.create_table(
        "machines",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("allowlist", sa.JSON(), nullable=False),
        sa.Column("token_ttl", sa.Integer(), nullable=False),
        sa.Column("token_max_life", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_machines"),
        sa.UniqueConstraint("name", name="uq_machines_name"),
    )
    op.create_table(
        "proofs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("machine_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("role_id", sa.String(length=64), nullable=True),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["machine_id"], ["machines.id"], name="fk_proofs_machine_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_proofs"),
        sa.UniqueConstraint("role_id", name="uq_proofs_role_id"),
    )
    with op.batch_alter_table("proofs", schema=None) as batch_op:
        batch_op.create_index("ix_proofs_machine_id", ["machine_id"], unique=False)

    op.create_table(
        "secret_ids",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("proof_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=True),
        sa.Column("allowlist", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["proof_id"], ["proofs.id"], name="fk_secret_ids_proof_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_secret_ids"),
    )
    with op.batch_alter_table("secret_ids", schema=None) as batch_op:
        batch_op.create_index("ix_secret_ids_expires_at", ["expires_at"], unique=False)
        batch_op.create_index("ix_secret_ids_proof_id", ["proof_id"], unique=False)

    op.create_table(
        "tokens",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=True),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("allowlist", sa.JSON(), nullable=False),
        sa.Column("certificates", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("machine_id", sa.String(length=64), nullable=True),
        sa.Column("renewable_until", Moment(), nullable=True),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("label", NAME, nullable=False),
        sa.CheckConstraint(
            "(name IS NULL) = (machine_id IS NOT NULL OR user_id IS NOT NULL)",
            name=op.f("ck_tokens_named_or_somebodys"),
        ),
        sa.CheckConstraint("machine_id IS NULL OR user_id IS NULL", name=op.f("ck_tokens_one_owner")),
        sa.ForeignKeyConstraint(["machine_id"], ["machines.id"], name="fk_tokens_machine_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_tokens_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("name", name="uq_tokens_name"),
    )
    op.create_index("ix_tokens_machine_id_expires_at", "tokens", ["machine_id", "expires_at"], unique=False)
    op.create_index("ix_tokens_user_id_expires_at", "tokens", ["user_id", "expires_at"], unique=False)

    op.create_table(
        "connections",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("administered_by", sa.String(length=64), nullable=True),
        sa.Column("server", sa.String(length=300), nullable=False),
        sa.Column("host", sa.String(length=300), nullable=False),
        sa.Column("siblings", sa.String(length=200), nullable=True),
        sa.Column("spacing", sa.Integer(), nullable=True),
        sa.Column("policy", sa.JSON(), nullable=True),
        sa.Column("health", sa.JSON(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("next_due_at", Moment(), nullable=True),
        sa.Column("waits_since", Moment(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("check_at", Moment(), nullable=True),
        sa.Column("known", sa.JSON(), nullable=False),
        sa.Column("promised_until", Moment(), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["administered_by"], ["connections.id"], name="fk_connections_administered_by"),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_connections_environment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
        sa.UniqueConstraint("environment_id", "name", name="uq_connections_environment_id_name"),
    )
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.create_index("ix_connections_administered_by", ["administered_by"], unique=False)
        batch_op.create_index("ix_connections_check_at", ["check_at"], unique=False)
        batch_op.create_index("ix_connections_next_due_at", ["next_due_at"], unique=False)
        batch_op.create_index("ix_connections_server", ["server"], unique=False)
        batch_op.create_index("ix_connections_host_spacing", ["host", "spacing"], unique=False)
        batch_op.create_index("ix_connections_siblings_spacing", ["siblings", "spacing"], unique=False)
        batch_op.create_index("ix_connections_waits_since", ["waits_since"], unique=False)

    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=64), nullable=True),
        sa.Column("machine_id", sa.String(length=64), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("level", sa.String(length=8), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=True),
        sa.Column("path", sa.String(length=200), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "(CASE WHEN token_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN machine_id IS NULL THEN 0 ELSE 1 END)"
            " + (CASE WHEN user_id IS NULL THEN 0 ELSE 1 END) + (CASE WHEN group_id IS NULL THEN 0 ELSE 1 END) = 1",
            name=op.f("ck_grants_one_holder"),
        ),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_grants_environment_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_grants_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["machine_id"], ["machines.id"], name="fk_grants_machine_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name="fk_grants_token_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_grants_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_grants"),
    )
    op.create_index("ix_grants_group_id", "grants", ["group_id"], unique=False)
    op.create_index("ix_grants_machine_id", "grants", ["machine_id"], unique=False)
    op.create_index("ix_grants_token_id", "grants", ["token_id"], unique=False)
    op.create_index("ix_grants_user_id", "grants", ["user_id"], unique=False)

    op.create_table(
        "replies",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name="fk_replies_token_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id", "key", name="pk_replies"),
    )
    with op.batch_alter_table("replies", schema=None) as batch_op:
        batch_op.create_index("ix_replies_expires_at", ["expires_at"], unique=False)

    op.create_table(
        "members",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("child_id", sa.String(length=64), nullable=True),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.CheckConstraint("(user_id IS NULL) <> (child_id IS NULL)", name=op.f("ck_members_one_member")),
        sa.ForeignKeyConstraint(["child_id"], ["groups.id"], name="fk_members_child_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], name="fk_members_group_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_members_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_members"),
        sa.UniqueConstraint(
            "group_id", "user_id", "child_id", "source", name="uq_members_group_id_user_id_child_id_source"
        ),
    )
    op.create_index("ix_members_child_id", "members", ["child_id"], unique=False)
    op.create_index("ix_members_user_id", "members", ["user_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("token_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("method", sa.String(length=80), nullable=False),
        sa.Column("provider_id", sa.String(length=64), nullable=False),
        sa.Column("provider_session", sa.Text(), nullable=False),
        sa.Column("factor_at", Moment(), nullable=True),
        sa.Column("signed_in_at", Moment(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("agent", sa.Text(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["tokens.id"], name="fk_sessions_token_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id", name="pk_sessions"),
    )
    op.create_index(
        "ix_sessions_provider_id_provider_session", "sessions", ["provider_id", "provider_session"], unique=False
    )
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"], unique=False)
    op.create_table(
        "factors",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("credential_id", sa.String(length=1400), nullable=True),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("last_used_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_factors_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_factors"),
        sa.UniqueConstraint("credential_id", name="uq_factors_credential_id"),
    )
    op.create_index("ix_factors_user_id", "factors", ["user_id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("used_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_recovery_codes_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_recovery_codes"),
    )
    op.create_index("ix_recovery_codes_user_id", "recovery_codes", ["user_id"], unique=False)
    op.create_table(
        "pendings",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("user_id", sa.String(length=64), nullable=True),
        sa.Column("network", sa.LargeBinary(), nullable=True),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_pendings_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("hash", name="pk_pendings"),
    )
    op.create_index("ix_pendings_expires_at", "pendings", ["expires_at"], unique=False)
    op.create_index("ix_pendings_user_id", "pendings", ["user_id"], unique=False)
    op.create_index("ix_pendings_network", "pendings", ["network"], unique=False)
    op.create_table(
        "delays",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", Moment(), nullable=True),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_delays"),
    )
    op.create_index("ix_delays_expires_at", "delays", ["expires_at"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.Text(), nullable=False),
        sa.Column("things", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("decided_by", sa.String(length=64), nullable=True),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("applied_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["users.id"], name="fk_approvals_asked_by", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["decided_by"], ["users.id"], name="fk_approvals_decided_by", ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_approvals_environment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
    )
    op.create_index(
        "ix_approvals_environment_id_state_created_at",
        "approvals",
        ["environment_id", "state", "created_at"],
        unique=False,
    )
    op.create_index("ix_approvals_state_expires_at", "approvals", ["state", "expires_at"], unique=False)
    op.create_table(
        "break_glasses",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_break_glasses_environment_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_break_glasses_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_break_glasses"),
    )
    op.create_index(
        "ix_break_glasses_environment_id_expires_at", "break_glasses", ["environment_id", "expires_at"], unique=False
    )

    op.create_table(
        "variables",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("secret", sa.Boolean(), nullable=False),
        sa.Column("live", sa.Integer(), nullable=True),
        sa.Column("newest", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_variables_environment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_variables"),
        sa.UniqueConstraint("environment_id", "name", name="uq_variables_environment_id_name"),
    )
    op.create_table(
        "wrappings",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.String(length=64), nullable=False),
        sa.Column("served", sa.Text(), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=True),
        sa.Column("source_id", sa.String(length=64), nullable=False),
        sa.Column("composed", sa.Boolean(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_wrappings_environment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_wrappings"),
    )
    with op.batch_alter_table("wrappings", schema=None) as batch_op:
        batch_op.create_index("ix_wrappings_made_by_expires_at_size", ["made_by", "expires_at", "size"], unique=False)
        batch_op.create_index("ix_wrappings_environment_id_source_id", ["environment_id", "source_id"], unique=False)
        batch_op.create_index("ix_wrappings_expires_at_size", ["expires_at", "size"], unique=False)

    op.create_table(
        "logins",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("username", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_logins_connection_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_logins"),
        sa.UniqueConstraint("connection_id", "username", name="uq_logins_connection_id_username"),
    )
    op.create_table(
        "rotations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("strategy", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("stuck_in", sa.String(length=16), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("undo", sa.Boolean(), nullable=False),
        sa.Column("retiring", sa.Boolean(), nullable=False),
        sa.Column("in_doubt", sa.Boolean(), nullable=False),
        sa.Column("seen", sa.JSON(), nullable=False),
        sa.Column("candidate_id", sa.String(length=64), nullable=True),
        sa.Column("former_id", sa.String(length=64), nullable=True),
        sa.Column("parking_id", sa.String(length=64), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("not_before", Moment(), nullable=True),
        sa.Column("wake_at", Moment(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("open_key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_rotations_connection_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_rotations"),
        sa.UniqueConstraint("open_key", name="uq_rotations_open_key"),
    )
    with op.batch_alter_table("rotations", schema=None) as batch_op:
        batch_op.create_index("ix_rotations_connection_id_created_at", ["connection_id", "created_at"], unique=False)
        batch_op.create_index("ix_rotations_ended_at_wake_at", ["ended_at", "wake_at"], unique=False)
        batch_op.create_index("ix_rotations_lease_until", ["lease_until"], unique=False)
        batch_op.create_index("ix_rotations_created_at", ["created_at"], unique=False)

    op.create_table(
        "versions",
        sa.Column("variable_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("deleted_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["variable_id"], ["variables.id"], name="fk_versions_variable_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("variable_id", "number", name="pk_versions"),
    )
    op.create_table(
        "credentials",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("login_id", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("valid_from", Moment(), nullable=True),
        sa.Column("good_until", Moment(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_credentials_connection_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["login_id"], ["logins.id"], name="fk_credentials_login_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_credentials"),
    )
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.create_index("ix_credentials_connection_id_state", ["connection_id", "state"], unique=False)

    op.create_table(
        "incidents",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("folder", NAME, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("emergency", sa.Boolean(), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("next_at", Moment(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_incidents_environment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_incidents"),
    )
    with op.batch_alter_table("incidents", schema=None) as batch_op:
        batch_op.create_index("ix_incidents_environment_id_created_at", ["environment_id", "created_at"], unique=False)
        batch_op.create_index("ix_incidents_state", ["state"], unique=False)

    op.create_table(
        "incident_items",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("skipped", sa.Text(), nullable=True),
        sa.Column("rotation_id", sa.String(length=64), nullable=True),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.id"], name="fk_incident_items_incident_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_incident_items_connection_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("incident_id", "number", name="pk_incident_items"),
    )
    with op.batch_alter_table("incident_items", schema=None) as batch_op:
        batch_op.create_index("ix_incident_items_connection_id", ["connection_id"], unique=False)

    op.create_table(
        "rotation_steps",
        sa.Column("rotation_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["rotation_id"], ["rotations.id"], name="fk_rotation_steps_rotation_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("rotation_id", "number", name="pk_rotation_steps"),
    )
    op.create_table(
        "home",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("system", sa.String(length=64), nullable=False),
        sa.Column("database", sa.BigInteger(), nullable=False),
        sa.Column("timeline", sa.BigInteger(), nullable=False),
        sa.Column("witnessed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("id = 1", name="ck_home_one_home"),
        sa.PrimaryKeyConstraint("id", name="pk_home"),
    )
    op.create_table(
        "restorations",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("began_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.Column("open_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_restorations"),
        sa.UniqueConstraint("open_key", name="uq_restorations_open_key"),
    )
    op.create_index("ix_restorations_began_at", "restorations", ["began_at"])
    op.create_index("ix_restorations_ended_at", "restorations", ["ended_at"])
    op.create_table(
        "findings",
        sa.Column("restoration_id", sa.String(length=64), nullable=False),
        sa.Column("connection_id", sa.String(length=64), nullable=False),
        sa.Column("finding", sa.String(length=16), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("rejected", sa.JSON(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("wake_at", Moment(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connections.id"], name="fk_findings_connection_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["restoration_id"], ["restorations.id"], name="fk_findings_restoration_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("restoration_id", "connection_id", name="pk_findings"),
    )
    op.create_index("ix_findings_finding", "findings", ["finding"])
    op.create_index("ix_findings_connection_id", "findings", ["connection_id"])
    # The one row, with the hash that the chain begins with.
    op.create_table(
        "signals",
        sa.Column("seq", PLACE, autoincrement=False, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=200), nullable=False),
        sa.Column("resource", sa.String(length=200), nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_signals"),
    )
    op.create_index("ix_signals_at", "signals", ["at"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("dropped", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_outbox_one_outbox")),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("environment_id", sa.String(length=64), nullable=True),
        sa.Column("folder", NAME, nullable=False),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("disabled_because", sa.Text(), nullable=False),
        sa.Column("secret_number", sa.Integer(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("former_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("former_until", Moment(), nullable=True),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="fk_webhooks_environment_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        sa.UniqueConstraint("environment_id", "name", name="uq_webhooks_environment_id_name"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("webhook_id", sa.String(length=64), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", Moment(), nullable=False),
        sa.Column("dead_at", Moment(), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("ended_at", Moment(), nullable=True),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"], name="fk_deliveries_webhook_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("webhook_id", "seq", name="uq_deliveries_webhook_id_seq"),
    )
    op.create_index("ix_deliveries_webhook_id_state_next_at", "deliveries", ["webhook_id", "state", "next_at"])
    op.create_index("ix_deliveries_webhook_id_created_at", "deliveries", ["webhook_id", "created_at"])
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"])
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"])
    op.execute(
        sa.text("INSERT INTO head (id, epoch, seq, hash, at) VALUES (1, 0, 0, :hash, 0)").bindparams(hash=bytes(32))
    )
    op.execute(sa.text("INSERT INTO indexed (id, seq, at) VALUES (1, 0, 0)"))
    op.execute(sa.text("INSERT INTO outbox (id, seq, dropped) VALUES (1, 0, 0)"))


def downgrade() -> None:
    """Back to the one before."""
    op.drop_table("deliveries")
    op.drop_table("webhooks")
    op.drop_table("outbox")
    op.drop_table("signals")
    op.drop_table("incident_items")
    op.drop_table("incidents")
    op.drop_table("rejections")
    op.drop_index("ix_findings_connection_id", "findings")
    op.drop_index("ix_findings_finding", "findings")
    op.drop_table("findings")
    op.drop_index("ix_restorations_ended_at", "restorations")
    op.drop_index("ix_restorations_began_at", "restorations")
    op.drop_table("restorations")
    op.drop_table("home")
    op.drop_table("rotation_steps")
    with op.batch_alter_table("credentials", schema=None) as batch_op:
        batch_op.drop_index("ix_credentials_connection_id_state")

    op.drop_table("credentials")
    op.drop_table("versions")
    with op.batch_alter_table("rotations", schema=None) as batch_op:
        batch_op.drop_index("ix_rotations_created_at")
        batch_op.drop_index("ix_rotations_lease_until")
        batch_op.drop_index("ix_rotations_ended_at_wake_at")
        batch_op.drop_index("ix_rotations_connection_id_created_at")

    op.drop_table("rotations")
    op.drop_table("logins")
    with op.batch_alter_table("wrappings", schema=None) as batch_op:
        batch_op.drop_index("ix_wrappings_expires_at_size")
        batch_op.drop_index("ix_wrappings_environment_id_source_id")
        batch_op.drop_index("ix_wrappings_made_by_expires_at_size")

    op.drop_table("wrappings")
    op.drop_table("variables")
    op.drop_table("break_glasses")
    op.drop_table("approvals")
    op.drop_table("delays")
    op.drop_table("pendings")
    op.drop_table("recovery_codes")
    op.drop_table("factors")
    op.drop_table("sessions")
    op.drop_table("members")
    with op.batch_alter_table("replies", schema=None) as batch_op:
        batch_op.drop_index("ix_replies_expires_at")

    op.drop_table("replies")
    op.drop_table("grants")
    with op.batch_alter_table("connections", schema=None) as batch_op:
        batch_op.drop_index("ix_connections_next_due_at")

    op.drop_table("connections")
    op.drop_table("tokens")
    with op.batch_alter_table("secret_ids", schema=None) as batch_op:
        batch_op.drop_index("ix_secret_ids_proof_id")
        batch_op.drop_index("ix_secret_ids_expires_at")

    op.drop_table("secret_ids")
    with op.batch_alter_table("proofs", schema=None) as batch_op:
        batch_op.drop_index("ix_proofs_machine_id")

    op.drop_table("proofs")
    op.drop_table("machines")
    op.drop_table("settings")
    op.drop_table("identity_providers")
    op.drop_table("groups")
    op.drop_table("profiles")
    op.drop_table("users")
    op.drop_table("head")
    op.drop_table("environments")
    op.drop_table("callings")
    op.drop_table("postings")
    op.drop_table("pruned")
    op.drop_table("indexed")
    op.drop_table("fetches")
    op.drop_table("data_keys")
    op.drop_table("changes")
    op.drop_table("batches")
