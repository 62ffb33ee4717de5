"""What open rotations count holders by: the youngest fetch of their connection by each caller."""

from sqlalchemy import ColumnElement, and_, exists, func, select

from service.core.event import Opened
from service.ledger import log
from service.ledger.chain import Chain
from service.ledger.fetches import Youngest, take
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, environments, fetches, rotations

_OPEN = and_(
    environments.c.id == connections.c.environment_id,
    rotations.c.connection_id == connections.c.id,
    rotations.c.ended_at.is_(None),
)


def needed(tx: Transaction) -> int | None:
    """The oldest event that one counts by, as the index knows them; None if there is none."""
    of_open: ColumnElement[bool] = exists().where(
        _OPEN, environments.c.name == fetches.c.environment, connections.c.name == fetches.c.connection
    )
    found: int | None = tx.sql.execute(select(func.min(fetches.c.seq)).where(of_open)).scalar_one()
    return found


class Needed:
    """Tells of a batch whether one counts by it: by the events themselves, whatever the index says."""

    def __init__(self, tx: Transaction, chain: Chain) -> None:
        self._tx = tx
        self._chain = chain
        self._open = {
            tuple(row) for row in tx.sql.execute(select(environments.c.name, connections.c.name).where(_OPEN))
        }
        self._last: dict[tuple[str, str, str], int] = {}

    def by(self, opened: Opened, first: int) -> int | None:
        """An event of the batch that is somebody's youngest fetch of a connection that is being rotated."""
        if not self._open:
            return None
        found: Youngest = {}
        take(found, opened, first)
        for key, (seq, *_) in found.items():
            if key[:2] in self._open and self._later(key) <= seq:
                return seq
        return None

    def _later(self, key: tuple[str, str, str]) -> int:
        """The youngest fetch by the index, if the log has it; else 0."""
        if key not in self._last:
            self._last[key] = self._looked_up(key)
        return self._last[key]

    def _looked_up(self, key: tuple[str, str, str]) -> int:
        of_one = and_(fetches.c.environment == key[0], fetches.c.connection == key[1], fetches.c.actor == key[2])
        seq = self._tx.sql.execute(select(fetches.c.seq).where(of_one)).scalar_one_or_none()
        row = None if seq is None else self._chain.stands(self._tx, seq)
        found: Youngest = {}
        if row is not None:
            take(found, Opened(log.stored(row)), row.first)
        return found[key][0] if key in found else 0
