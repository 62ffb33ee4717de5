"""Connections for applications to live with: registered on real servers, and turned without a pause.

alternating   PostgreSQL      overlapping   MariaDB      single   both
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from service.core.connection import Access
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

ENVIRONMENT = "production"
FIRST = 'first-pässword \'and "more"'
QUICK = {"every": "2s", "drain_minimum": "1s", "drain_limit": "2s"}
"""Turned as soon as the last one is retired, six seconds or so later."""


@dataclass(frozen=True)
class Shop:
    """One connection, as its administrators see it."""

    name: str
    engine: str
    strategy: str

    def generation(self, client: httpx2.Client) -> int:
        """Of what is offered now."""
        return int(self._credential(client)["generation"])

    def stuck(self, client: httpx2.Client) -> list[str]:
        """The reasons of rotations that need a person."""
        query = {"connection": self.name, "stage": "stuck"}
        told = client.get(f"/environments/{ENVIRONMENT}/rotations", params=query).raise_for_status().json()
        return [str(found["reason"]) for found in told["items"]]

    def retired(self, client: httpx2.Client) -> int:
        """How many rotations came to their end."""
        place, query = f"/environments/{ENVIRONMENT}/rotations", {"connection": self.name, "stage": "retired"}
        count = 0
        while True:
            told = client.get(place, params=query).raise_for_status().json()
            count += len(told["items"])
            if not told.get("next"):
                return count
            query["cursor"] = told["next"]

    def _credential(self, client: httpx2.Client) -> dict[str, Any]:
        place = f"/environments/{ENVIRONMENT}/credentials/{self.name}"
        found: dict[str, Any] = client.get(place).raise_for_status().json()
        return found


def registered(
    client: httpx2.Client, server: PostgresServer | MariaDBServer, strategy: str, tag: str, rotation: Mapping[str, Any]
) -> Shop:
    """A login of its own with its administration connection; `rotation` is its policy beside the strategy."""
    login = f"shop_{tag}".replace("-", "_")
    server.login(login, FIRST)
    if isinstance(server, PostgresServer):
        admin = server.administration(f"keywright_{login}", login)
    else:
        admin = server.administration(f"kw_{login}")
    access = server.access(login, FIRST)
    shop = Shop(f"shop/{tag}", access.target.engine.value, strategy)
    for name, body in (
        (f"admin/{tag}", _definition(admin)),
        (
            shop.name,
            _definition(access) | {"administered_by": f"admin/{tag}", "rotation": {"strategy": strategy, **rotation}},
        ),
    ):
        answer = client.put(f"/environments/{ENVIRONMENT}/connections/{name}", json=body)
        assert answer.status_code == 201, answer.text
    return shop


def _definition(access: Access) -> dict[str, Any]:
    target = access.target
    return {
        "engine": target.engine.value,
        "endpoints": [{"host": e.host, "port": e.port} for e in target.endpoints],
        "database": target.database,
        "tls": {"mode": target.tls.mode.value} | ({"ca": target.tls.ca} if target.tls.ca else {}),
        "login": {"username": access.account.username, "password": access.account.password.reveal()},
    }
