"""Rows put straight into a ledger: many connections and rotations, without a database behind them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from service.core.environment import Environment
from service.ledger import environments, rotations
from service.ledger.ledger import Ledger, Transaction
from service.ledger.tables import connections


def furnish(ledger: Ledger, servers: Sequence[str], each: int) -> None:
    """An environment `production` with connections `server/number`, each with a planned rotation of that id."""
    with ledger.change() as tx:
        environment(tx)
        for server in servers:
            for number in range(each):
                name = f"{server}/{number:03}"
                connection(tx, name, server)
                plan(tx, name, number)


def environment(tx: Transaction) -> None:
    """`production`, with that id."""
    environments.add(tx, Environment("production", "production", {}, (), 1, tx.now, tx.now))


def connection(tx: Transaction, name: str, host: str, **values: Any) -> None:
    """One, with the id `name`."""
    row = {
        "id": name,
        "environment_id": "production",
        "name": name,
        "definition": {"engine": "postgresql", "endpoints": [{"host": host}], "database": "shop"},
        "server": f"postgresql://{host}:5432",
        "host": host,
        "policy": None,
        "health": {},
        "generation": 1,
        "revision": 1,
        "fence": 0,
        "known": {},
        "updated_at": tx.now,
    }
    tx.sql.execute(insert(connections).values(row | values))


def plan(tx: Transaction, name: str, order: int = 0, *, emergency: bool = False) -> None:
    """A rotation of the connection, due for longer the smaller `order` is; its id is the connection's."""
    wake_at = tx.now - timedelta(minutes=10) + timedelta(seconds=order)
    words = {"strategy": "single", "requested_by": "schedule", "note": ""}
    rotations.add(tx, name, name, **words, emergency=emergency, wake_at=wake_at)
