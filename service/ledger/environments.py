"""Environments and their wrapped data keys."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, func, insert, select, update

from service.core.approval import Area, Glass, Terms
from service.core.environment import Environment
from service.ledger.changes import Kind as Changed
from service.ledger.grants import holder_of
from service.ledger.identities import grants
from service.ledger.ledger import Transaction
from service.ledger.persons import break_glasses, groups
from service.ledger.tables import connections, data_keys, environments


@dataclass(frozen=True)
class WrappedKey:
    """A data key as the ledger holds it."""

    environment_id: str
    number: int
    wrapped: bytes
    wrapper: str


def _environments(tx: Transaction, query: Select[Any]) -> list[Environment]:
    """With the rights to go without approvals that are in force, or were until just now.

    These are asked for also where no environment is: by its statements nobody tells that apart.
    """
    rows = tx.sql.execute(query).all()
    open_ones = select(break_glasses).where(break_glasses.c.ended_at.is_(None), break_glasses.c.expires_at > tx.now)
    glasses: dict[str, list[Glass]] = {}
    for row in tx.sql.execute(open_ones.order_by(break_glasses.c.id)):
        glasses.setdefault(row.environment_id, []).append(Glass(row.id, row.user_id, row.expires_at))
    return [
        Environment(
            row.id,
            row.name,
            row.stores,
            tuple(row.allowlist),
            row.revision,
            row.created_at,
            row.updated_at,
            row.stale_if_error,
            Terms(frozenset(map(Area, row.approvals["areas"])), timedelta(seconds=row.approvals["lasts"])),
            tuple(glasses.get(row.id, ())),
        )
        for row in rows
    ]


def _row(environment: Environment) -> dict[str, Any]:
    terms = environment.approvals
    values = {name: value for name, value in vars(environment).items() if name != "glasses"}
    kept = {"areas": sorted(terms.areas), "lasts": int(terms.lasts.total_seconds())}
    return values | {"allowlist": list(environment.allowlist), "approvals": kept}


def find(tx: Transaction, name: str) -> Environment | None:
    """By name."""
    return next(iter(_environments(tx, select(environments).where(environments.c.name == name))), None)


def get(tx: Transaction, environment_id: str) -> Environment | None:
    """By id."""
    return next(iter(_environments(tx, select(environments).where(environments.c.id == environment_id))), None)


def every(tx: Transaction, after: str = "", limit: int = 1000) -> list[Environment]:
    """By name, beginning behind `after`."""
    query = select(environments).where(environments.c.name > after).order_by(environments.c.name).limit(limit)
    return _environments(tx, query)


def read(tx: Transaction, ids: Collection[str] | None = None) -> list[Environment]:
    """All of them, or those that are still there."""
    query = select(environments) if ids is None else select(environments).where(environments.c.id.in_(ids))
    return _environments(tx, query)


def add(tx: Transaction, environment: Environment) -> None:
    """A new one."""
    tx.sql.execute(insert(environments).values(_row(environment)))
    tx.touch(Changed.ENVIRONMENT, environment.id)


def replace(tx: Transaction, environment: Environment) -> None:
    """Everything but the id."""
    tx.sql.execute(update(environments).where(environments.c.id == environment.id).values(_row(environment)))
    tx.touch(Changed.ENVIRONMENT, environment.id)


def shred(tx: Transaction, environment_id: str) -> None:
    """The environment with everything in it, its data keys first."""
    tx.touch(Changed.ENVIRONMENT, environment_id)
    tx.touch(Changed.KEYS, environment_id)
    for held in tx.sql.execute(select(grants).where(grants.c.environment_id == environment_id)).all():
        holder_of(held).touch(tx)
    landings = select(groups.c.id).where(groups.c.landing_environment_id == environment_id)
    tx.touch(Changed.GROUP, *tx.sql.execute(landings).scalars())
    tx.sql.execute(delete(data_keys).where(data_keys.c.environment_id == environment_id))
    # Connections may name one another as `administered_by`: loosened first, so that the cascade can run.
    within = connections.c.environment_id == environment_id
    tx.sql.execute(update(connections).where(within).values(administered_by=None))
    tx.sql.execute(delete(environments).where(environments.c.id == environment_id))


def keys(tx: Transaction, environment_id: str | None = None) -> list[WrappedKey]:
    """The data keys of one environment, or all there are."""
    query = select(data_keys).order_by(data_keys.c.environment_id, data_keys.c.number)
    if environment_id is not None:
        query = query.where(data_keys.c.environment_id == environment_id)
    return [WrappedKey(r.environment_id, r.number, r.wrapped, r.wrapper) for r in tx.sql.execute(query)]


def newest_key(tx: Transaction, environment_id: str) -> int:
    """The number of an environment's newest data key; 0 if it has none."""
    query = select(func.max(data_keys.c.number)).where(data_keys.c.environment_id == environment_id)
    return int(tx.sql.execute(query).scalar_one() or 0)


def add_key(tx: Transaction, key: WrappedKey, at: datetime) -> None:
    """One more data key."""
    tx.sql.execute(insert(data_keys).values(vars(key) | {"created_at": at}))
    tx.touch(Changed.KEYS, key.environment_id)


def rewrap_key(tx: Transaction, key: WrappedKey) -> None:
    """The same data key under another master key."""
    which = (data_keys.c.environment_id == key.environment_id) & (data_keys.c.number == key.number)
    tx.sql.execute(update(data_keys).where(which).values(wrapped=key.wrapped, wrapper=key.wrapper))


def drop_key(tx: Transaction, environment_id: str, number: int) -> None:
    """A data key that seals nothing any more."""
    which = (data_keys.c.environment_id == environment_id) & (data_keys.c.number == number)
    tx.sql.execute(delete(data_keys).where(which))
    tx.touch(Changed.KEYS, environment_id)


def count(tx: Transaction) -> int:
    """How many there are."""
    return int(tx.sql.execute(select(func.count()).select_from(environments)).scalar_one())
