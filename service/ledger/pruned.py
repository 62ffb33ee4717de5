"""The record of what was pruned: one row, or none."""

from sqlalchemy import insert, select, update

from service.core.pruned import Pruned
from service.ledger.ledger import Transaction
from service.ledger.tables import pruned as table

_FIELDS = ("installation", "seq", "hash", "at", "signature")


def record(tx: Transaction) -> Pruned | None:
    """What was pruned; None if nothing ever was."""
    row = tx.sql.execute(select(*(table.c[name] for name in _FIELDS))).one_or_none()
    return Pruned(bytes(row[0]), row[1], bytes(row[2]), row[3], bytes(row[4])) if row else None


def note(tx: Transaction, made: Pruned) -> None:
    """This stands there from now on."""
    row = {name: getattr(made, name) for name in _FIELDS}
    if tx.sql.execute(update(table).values(row)).rowcount == 0:
        tx.sql.execute(insert(table).values(row | {"id": 1}))
