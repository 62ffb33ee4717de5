"""Webhooks: their rows, with their sealed secrets."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from service.core.webhook import Webhook
from service.ledger.ledger import Transaction
from service.ledger.outgoing import webhooks
from service.ledger.tables import environments

_QUERY = select(webhooks, environments.c.name.label("environment")).outerjoin(
    environments, environments.c.id == webhooks.c.environment_id
)


@dataclass(frozen=True)
class Secrets:
    """What a webhook signs with, sealed. Numbered, so that each is bound to its place."""

    number: int
    sealed: bytes = field(repr=False)
    former: bytes | None = field(repr=False)
    former_until: datetime | None


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        row.id,
        row.name,
        row.url,
        row.environment_id or "",
        row.environment or "",
        row.folder,
        tuple(row.kinds),
        row.enabled,
        row.disabled_because,
        row.since,
        row.revision,
        row.created_at,
        row.created_by,
        row.updated_at,
        row.former_until,
    )


def find(tx: Transaction, webhook_id: str) -> Webhook | None:
    """By id."""
    row = tx.sql.execute(_QUERY.where(webhooks.c.id == webhook_id)).one_or_none()
    return _webhook(row) if row else None


def named(tx: Transaction, environment_id: str, name: str) -> bool:
    """Is there one of that name in an environment, or in none?"""
    where = (func.coalesce(webhooks.c.environment_id, "") == environment_id, webhooks.c.name == name)
    return tx.sql.execute(select(webhooks.c.id).where(*where)).first() is not None


def listed(tx: Transaction, after: str, limit: int) -> list[Webhook]:
    """By name, behind the one with the id `after`."""
    query = _QUERY
    marker = tx.sql.execute(select(webhooks.c.name).where(webhooks.c.id == after)).scalar_one_or_none()
    if marker is not None:
        same = (webhooks.c.name == marker) & (webhooks.c.id > after)
        query = query.where(or_(webhooks.c.name > marker, same))
    return [_webhook(row) for row in tx.sql.execute(query.order_by(webhooks.c.name, webhooks.c.id).limit(limit))]


def enabled(tx: Transaction) -> list[Webhook]:
    """Those that are sent anything."""
    return [_webhook(row) for row in tx.sql.execute(_QUERY.where(webhooks.c.enabled))]


def count(tx: Transaction, environment_id: str) -> int:
    """How many there are of an environment; of none, if it is empty."""
    query = select(func.count()).where(func.coalesce(webhooks.c.environment_id, "") == environment_id)
    return int(tx.sql.execute(query).scalar_one())


def add(tx: Transaction, new: Webhook, secrets: Secrets) -> None:
    """A new one."""
    row = {name: value for name, value in vars(new).items() if name != "environment"}
    tx.sql.execute(insert(webhooks).values(row | _row(new) | _sealed(secrets)))


def replace(tx: Transaction, new: Webhook) -> None:
    """As it is from now on; its secrets stay."""
    row = {name: value for name, value in vars(new).items() if name not in ("environment", "id", "former_until")}
    tx.sql.execute(update(webhooks).where(webhooks.c.id == new.id).values(row | _row(new)))


def remove(tx: Transaction, webhook_id: str) -> None:
    """With its deliveries."""
    tx.sql.execute(delete(webhooks).where(webhooks.c.id == webhook_id))


def disable(tx: Transaction, webhook_id: str, because: str) -> None:
    """It is sent nothing more."""
    change = update(webhooks).where(webhooks.c.id == webhook_id)
    change = change.values(enabled=False, disabled_because=because, revision=webhooks.c.revision + 1, updated_at=tx.now)
    tx.sql.execute(change)


def secrets(tx: Transaction, webhook_id: str) -> Secrets | None:
    """What it signs with."""
    columns = (webhooks.c.secret_number, webhooks.c.sealed, webhooks.c.former_sealed, webhooks.c.former_until)
    row = tx.sql.execute(select(*columns).where(webhooks.c.id == webhook_id)).one_or_none()
    return Secrets(*row) if row else None


def sign_with(tx: Transaction, webhook_id: str, new: Secrets) -> None:
    """From now on with these."""
    tx.sql.execute(update(webhooks).where(webhooks.c.id == webhook_id).values(_sealed(new)))


def _row(it: Webhook) -> dict[str, Any]:
    return {"environment_id": it.environment_id or None, "kinds": list(it.kinds)}


def _sealed(it: Secrets) -> dict[str, Any]:
    return {
        "secret_number": it.number,
        "sealed": it.sealed,
        "former_sealed": it.former,
        "former_until": it.former_until,
    }
