"""Shops: a connection whose credential turns by itself, on a real database, and a machine that may fetch it.

Two kinds: PostgreSQL under the strategy `alternating`, and MariaDB, its TLS verified, under `overlapping`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from service.core.connection import Access
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.strangers.agents import Door

PLACE = "/environments/production"


@dataclass(frozen=True)
class Pace:
    """How often a credential turns, and how long a replaced one is promised to work: seconds.

    An agent may ask two seconds after a change, since it sleeps a second longer than it was told to and was told one at
    the least; in exec mode it waits two more before it starts the application again. Keywright retires a credential
    three seconds behind its promise, so that a rotation takes six and a little. One that is not over by the next one's
    time skips that one, which costs time and nothing else.
    """

    every: int = 7
    drain: int = 3

    @property
    def policy(self) -> dict[str, str]:
        """As REST takes it."""
        return {"every": f"{self.every}s", "drain_minimum": f"{self.drain}s", "drain_limit": f"{4 * self.drain}s"}


@dataclass(frozen=True)
class Shop:
    """A connection, as its owner sees it."""

    client: httpx2.Client
    name: str
    strategy: str
    database: Mapping[str, str]
    """Where the application finds it, as environment variables."""

    @property
    def rotations(self) -> list[dict[str, Any]]:
        """The youngest two hundred, those that go on included."""
        asked = {"connection": self.name, "limit": "200"}
        items: list[dict[str, Any]] = (
            self.client.get(f"{PLACE}/rotations", params=asked).raise_for_status().json()["items"]
        )
        return items

    @property
    def retired(self) -> int:
        """Rotations that went all the way."""
        return sum(rotation["stage"] == "retired" for rotation in self.rotations)

    @property
    def bad(self) -> list[str]:
        """Rotations that ended otherwise, or are stuck."""
        return [
            f"{self.name}: {r['stage']}" for r in self.rotations if r["stage"] in ("stuck", "abandoned", "reverted")
        ]


def on_postgresql(client: httpx2.Client, server: PostgresServer, pace: Pace) -> Shop:
    """Its login becomes the role that two logins share."""
    server.login("strangers", "first-password-of-the-strangers")
    admin = server.administration("keywright_strangers", "strangers")
    server.execute("GRANT pg_monitor TO keywright_strangers")  # it sees when nobody uses the former login any more
    return _shop(client, "postgresql", "alternating", admin, server.access("strangers", ""), pace)


def on_mariadb(client: httpx2.Client, server: MariaDBServer, pace: Pace, folder: Path) -> Shop:
    """Its one login has two passwords that work."""
    server.login("strangers", "first-password-of-the-strangers")
    admin = server.administration("keywright_strangers")
    made = _shop(client, "mariadb", "overlapping", admin, server.access("strangers", ""), pace)
    authority = folder / "ca.pem"
    authority.write_text(server.tls.ca or "")
    return Shop(made.client, made.name, made.strategy, {**made.database, "SHOP_CA": str(authority)})


def _shop(client: httpx2.Client, name: str, strategy: str, admin: Access, access: Access, pace: Pace) -> Shop:
    login = {"username": admin.account.username, "password": admin.account.password.reveal()}
    _put(client, f"admin/{name}", admin, login)
    login = {"username": access.account.username, "password": "first-password-of-the-strangers"}
    more = {"administered_by": f"admin/{name}", "rotation": {"strategy": strategy} | pace.policy}
    _put(client, f"shop/{name}", access, login, **more)
    (endpoint,) = access.target.endpoints
    where = {
        "SHOP_ENGINE": access.target.engine.value,
        "SHOP_HOST": endpoint.host,
        "SHOP_PORT": str(endpoint.port),
        "SHOP_DATABASE": access.target.database,
    }
    return Shop(client, f"shop/{name}", strategy, where)


def _put(client: httpx2.Client, name: str, access: Access, login: dict[str, str], **more: Any) -> None:
    tls = access.target.tls
    body = {
        "engine": access.target.engine.value,
        "endpoints": [{"host": e.host, "port": e.port} for e in access.target.endpoints],
        "database": access.target.database,
        "tls": {"mode": tls.mode.value} | ({"ca": tls.ca} if tls.ca else {}),
        "login": login,
    }
    answer = client.put(f"{PLACE}/connections/{name}", json=body | more)
    assert answer.status_code in (200, 201), answer.text


def door(client: httpx2.Client, address: str, shop: Shop) -> Door:
    """A machine of its own that may use the connection and nothing else."""
    grant = {"level": "use", "kind": "connection", "environment": "production", "path": shop.name}
    machine = {"name": shop.name, "grants": [grant], "proofs": [{"kind": "approle"}]}
    client.post("/machines", json=machine).raise_for_status()
    made = client.post("/machine-secrets", json={"machine": shop.name, "uses": 0}).raise_for_status().json()
    return Door(address, made["role_id"], made["secret_id"], f"database/static-creds/production/{shop.name}")
