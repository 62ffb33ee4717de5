"""The settings that administrators decide; as they come with the program until somebody changes one."""

from dataclasses import asdict, fields, replace

from sqlalchemy import delete, insert, select

from service.core.person import Settings
from service.ledger.changes import Kind as Changed
from service.ledger.ledger import Transaction
from service.ledger.persons import settings

ID = "settings"
"""What is touched when they change."""


def read(tx: Transaction) -> Settings:
    """As they are now. What an older program kept and this one does not know is left out."""
    row = tx.sql.execute(select(settings)).one_or_none()
    if row is None:
        return Settings()
    known = {field.name for field in fields(Settings)} - {"revision"}
    kept = {name: value for name, value in row.definition.items() if name in known}
    return replace(Settings(**kept), revision=row.revision)


def write(tx: Transaction, changed: Settings) -> None:
    """As they are from now on."""
    definition = {name: value for name, value in asdict(changed).items() if name != "revision"}
    tx.sql.execute(delete(settings))
    tx.sql.execute(insert(settings).values(id=1, definition=definition, revision=changed.revision, updated_at=tx.now))
    tx.touch(Changed.SETTINGS, ID)
