"""What the best-known engine of this kind does with the same logins: OpenBao's static roles, turned by `rotate-role`.

It changes the password and writes it down, and looks at nothing before or after: no login verifies the new
password, none shows that the old one is dead. So the figures stand beside Keywright's, not against them.
"""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from bench.rounds import Rounds
from bench.shop import ADMINISTRATOR, DATABASE, LOGINS, Shop
from service.demo.server import HOST
from tests.rigs.openbao import OpenBao, openbao

CALLERS = (1, 16)
_TURN = "ALTER ROLE \"{{name}}\" WITH PASSWORD '{{password}}'"


def measure(shop: Shop, rounds: Rounds) -> dict[str, Any]:
    """By the number of callers: the median of rotations a second. Afterwards the passwords are its own."""
    with openbao() as bao:
        _configure(bao, shop)
        found = {}
        for callers in CALLERS:
            rates = [LOGINS / _seconds(bao, shop, callers) for _ in rounds]
            found[str(callers)] = {"rotations_per_second": statistics.median(rates), "rounds": len(rates)}
    return found


def _configure(bao: OpenBao, shop: Shop) -> None:
    bao.api("POST", "sys/mounts/database", {"type": "database"})
    where = f"postgresql://{{{{username}}}}:{{{{password}}}}@{HOST}:{shop.server.port}/{DATABASE}?sslmode=disable"
    bao.api(
        "POST",
        "database/config/shop",
        {
            "plugin_name": "postgresql-database-plugin",
            "allowed_roles": "*",
            "connection_url": where,
            "username": ADMINISTRATOR,
            "password": shop.administration,
            "password_authentication": "scram-sha-256",
        },
    )
    for username in shop.passwords:
        role = {"db_name": "shop", "username": username, "rotation_period": 86400, "rotation_statements": [_TURN]}
        bao.api("POST", f"database/static-roles/{username}", role)


def _seconds(bao: OpenBao, shop: Shop, callers: int) -> float:
    with requests.Session() as session, ThreadPoolExecutor(callers) as pool:
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=callers))
        session.headers["X-Vault-Token"] = bao.root_token.reveal()

        def turn(username: str) -> None:
            session.post(f"{bao.address}/v1/database/rotate-role/{username}", timeout=30).raise_for_status()

        began = time.perf_counter()
        list(pool.map(turn, shop.passwords))
        return time.perf_counter() - began
