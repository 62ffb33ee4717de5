"""What changed at which epoch: how a process that keeps things in memory learns what to read again.

    changes(epoch, kind, id)    one row for each thing that a fetch depends on and that was changed, or removed

Whoever knows the state at epoch e reads the rows behind e, in one snapshot with what they name. Rows are dropped
when they are KEPT epochs old: who is further behind reads everything.
"""

from collections.abc import Collection
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, select

from service.ledger.tables import changes

KEPT = 10_000
_DROPS = 500
"""Old rows are dropped at each so many-th epoch."""


class Kind(StrEnum):
    """What can be changed.

    A credential and a rotation stand for the connection that they belong to, a machine for its tokens, a user for
    itself and its tokens.
    """

    TOKEN = "token"  # noqa: S105 - no password
    MACHINE = "machine"
    USER = "user"
    GROUP = "group"
    SETTINGS = "settings"
    ENVIRONMENT = "environment"
    KEYS = "keys"  # the data keys of an environment, by its id
    VARIABLE = "variable"
    CONNECTION = "connection"
    CREDENTIAL = "credential"
    ROTATION = "rotation"
    APPROVAL = "approval"  # waited for, and not kept in memory


Touched = tuple[Kind, str]
_NOTE, _DROP = insert(changes), delete(changes)


def note(sql: Connection, epoch: int, touched: Collection[Touched]) -> None:
    """These were changed at this epoch."""
    if touched:
        sql.execute(_NOTE, [{"epoch": epoch, "kind": kind.value, "id": each} for kind, each in sorted(touched)])
    if epoch % _DROPS == 0:
        sql.execute(_DROP.where(changes.c.epoch <= epoch - KEPT))


def since(sql: Connection, known: int, epoch: int) -> set[Touched] | None:
    """What was changed behind the epoch `known`, seen at `epoch`. None: nobody knows any more."""
    if not 0 <= epoch - known < KEPT:
        return None
    rows = sql.execute(select(changes.c.kind, changes.c.id).where(changes.c.epoch > known))
    return {(Kind(row.kind), row.id) for row in rows}
