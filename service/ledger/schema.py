"""The schema's revision: made when the ledger is new, moved only by `keywrightd migrate`."""

from pathlib import Path

from sqlalchemy import inspect, text

import service.ledger.identities
import service.ledger.persons
import service.ledger.wrappings  # noqa: F401 - their tables are tables, too
from service.core.errors import Unavailable
from service.ledger.ledger import Ledger
from service.ledger.outgoing import signals

metadata = signals.metadata
"""Of every table: `outgoing` builds on `tables`."""
REVISION = "0001"
"""The newest migration; a test holds it against the files."""


def revision(ledger: Ledger) -> str | None:
    """The ledger's revision; None for an empty database. Raises Unavailable if the database is not there."""
    file = ledger.engine.url.database
    if ledger.embedded and file and not Path(file).exists():
        return None  # looking must not make it: the start may yet be refused
    with ledger.connected() as sql:
        if not inspect(sql).has_table("alembic_version"):
            return None
        return str(sql.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def migrate(ledger: Ledger, to: str = "head") -> None:
    """Bring the ledger to a revision, all or nothing. Raises Unavailable for a ledger of a newer program."""
    # Imported here: a start that has nothing to migrate is quicker without it.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    found = revision(ledger)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise Unavailable(f"the ledger is at revision {found}, which this program does not know: run the newer program")
    with ledger.connected() as sql:
        # Several processes may find the same empty database: one at a time. Tables are made in this
        # transaction on both engines, so that an interruption leaves none.
        sql.execute(text("BEGIN IMMEDIATE" if ledger.embedded else "SELECT pg_advisory_xact_lock(7241963)"))
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
