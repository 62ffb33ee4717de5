"""What the sentinel and the watch keep and look for: columns of connections that no answer depends on, and the late.

`check_at` says when a connection is looked at next (empty: soon); `known` is what was seen there:
`{"identity": {endpoint: parts}, "seen": {endpoint: parts}}`, the second where it drifted from the first.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select, update

from service.core.rotation import Stage
from service.ledger.ledger import Transaction
from service.ledger.tables import connections, environments, rotations


def due(tx: Transaction, limit: int, within: frozenset[str] | None) -> list[str]:
    """Ids of connections to be looked at now, those that wait longest first."""
    query = select(connections.c.id).where(_due(tx)).order_by(connections.c.check_at).limit(limit)
    return list(tx.sql.execute(_inside(query, within)).scalars())


def claim(tx: Transaction, connection_id: str, until: datetime) -> bool:
    """Look at it next at `until`. False: somebody else took this look."""
    mine = update(connections).where(connections.c.id == connection_id, _due(tx)).values(check_at=until)
    return tx.sql.execute(mine).rowcount == 1


def known(tx: Transaction, connection_id: str) -> dict[str, Any]:
    """What was seen last."""
    query = select(connections.c.known).where(connections.c.id == connection_id)
    return dict(tx.sql.execute(query).scalar_one_or_none() or {})


def keep(tx: Transaction, connection_id: str, seen: dict[str, Any]) -> None:
    """What was seen now."""
    tx.sql.execute(update(connections).where(connections.c.id == connection_id).values(known=seen))


def saw(
    tx: Transaction,
    connection_id: str,
    seen: Mapping[str, Mapping[str, str]],
    moved: Mapping[str, Mapping[str, str]],
) -> None:
    """What was seen at endpoints where nothing is known yet; elsewhere only the parts that moved are another now."""
    before = known(tx, connection_id)
    identity = {place: dict(parts) for place, parts in before.get("identity", {}).items()}
    for place, parts in seen.items():
        identity[place] = identity.get(place, dict(parts)) | dict(moved.get(place, {}))
    if identity != before.get("identity", {}):
        keep(tx, connection_id, before | {"identity": identity})


def accept(tx: Transaction, connection_id: str, anew: Mapping[str, Mapping[str, str]] | None) -> None:
    """A person put the connection: what was reported is right, or what was seen `anew` is; it is looked at soon."""
    former = known(tx, connection_id) if anew is None else {}
    identity = former.get("identity", {}) | former.get("seen", {}) if anew is None else anew
    seen = {"identity": {place: dict(parts) for place, parts in identity.items()}}
    tx.sql.execute(update(connections).where(connections.c.id == connection_id).values(known=seen, check_at=None))


def late(tx: Transaction, by: timedelta, within: frozenset[str] | None) -> list[str]:
    """Ids of connections that were due longer ago than that, and have no open rotation."""
    is_open = select(rotations.c.id).where(rotations.c.open_key == connections.c.id)
    query = select(connections.c.id).where(connections.c.next_due_at < tx.now - by, ~is_open.exists())
    return list(tx.sql.execute(_inside(query, within)).scalars())


def still(tx: Transaction, by: timedelta, within: frozenset[str] | None) -> list[str]:
    """Ids of open rotations that should have moved longer ago than that; one that is stuck waits for a person."""
    query = (
        select(rotations.c.id)
        .join(connections, connections.c.id == rotations.c.connection_id)
        .where(rotations.c.ended_at.is_(None), rotations.c.stage != Stage.STUCK.value)
        .where(rotations.c.wake_at < tx.now - by)
    )
    return list(tx.sql.execute(_inside(query, within)).scalars())


def healths(tx: Transaction, within: frozenset[str] | None) -> dict[str, dict[str, Any]]:
    """The health of every connection, by id."""
    query = _inside(select(connections.c.id, connections.c.health), within)
    return {row.id: row.health for row in tx.sql.execute(query)}


def _due(tx: Transaction) -> Any:
    return or_(connections.c.check_at.is_(None), connections.c.check_at <= tx.now)


def _inside(query: Any, within: frozenset[str] | None) -> Any:
    if within is None:
        return query
    served = select(environments.c.id).where(environments.c.name.in_(within))
    return query.where(connections.c.environment_id.in_(served))
