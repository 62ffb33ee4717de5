"""The schema's revision: made when the ledger is new, moved only by `keywrightd migrate`."""

from pathlib import Path

from sqlalchemy import inspect, text

from service.core.errors import Unavailable
from service.ledger.ledger import Ledger
from service.ledger.tables import metadata

REVISION = "0001"
"""The newest migration; a test holds it against the files."""


def revision(ledger: Ledger) -> str | None:
    """The ledger's revision; None for an empty database. Raises Unavailable if the database is not there."""
    with ledger.connected() as sql:
        if not inspect(sql).has_table("alembic_version"):
            return None
        return str(sql.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def migrate(ledger: Ledger, to: str = "head") -> None:
    """Bring the ledger to a revision."""
    # Imported here: a start that has nothing to migrate is quicker without it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with ledger.connected() as sql:
        if not ledger.embedded:
            # Several replicas may find the same empty database: one at a time.
            sql.execute(text("SELECT pg_advisory_xact_lock(7241963)"))
        config.attributes["connection"] = sql
        command.upgrade(config, to)
        sql.commit()


def ready(ledger: Ledger) -> None:
    """Make a new ledger's tables; raise Unavailable for one that is older or newer than this program."""
    found = revision(ledger)
    if found is None:
        migrate(ledger)
    elif found != REVISION:
        raise Unavailable(
            f"the ledger is at revision {found} and this program needs {REVISION}: "
            "take a copy of it and run `keywrightd migrate`, or run the matching program"
        )


def differences(ledger: Ledger) -> list[object]:
    """What the tables in the database and in `tables.py` disagree about; for a test."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with ledger.connected() as sql:
        return list(compare_metadata(MigrationContext.configure(sql), metadata))
