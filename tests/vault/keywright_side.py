"""Keywright as the same shop would find it: one environment, `production`, with a connection on a real PostgreSQL.

    secret/production/…                         its variables
    database/static-creds/production/shop/db    its connection, `shop/db`

Who logs in is the machine `app`: by an AppRole, an issuer's tokens or a cluster's. Its grant is on the environment.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from service.core.connection import Access
from tests.rigs.cluster import AUDIENCE as CLUSTERS
from tests.rigs.cluster import ApiServer
from tests.rigs.issuer import AUDIENCE, SUBJECT, Issuer, pem
from tests.rigs.keywright import running_keywright
from tests.rigs.postgresql import PostgresServer
from tests.vault.pair import Side

LOGIN = "keywright_shop"
PASSWORD = "first-password-of-the-shop"
OWN = {"level": "own", "kind": "environment", "environment": "production"}


@contextmanager
def keywright_side(postgresql: PostgresServer, issuer: Issuer, cluster: ApiServer, reviewer: Path) -> Iterator[Side]:
    """A service of its own, with nothing in it but what stands above. `reviewer` is the cluster's file."""
    with running_keywright(clock=True, tick=0.1, kubernetes_api=cluster.url, kubernetes_reviewer=reviewer) as it:
        client = it.client()
        client.post("/environments", json={"name": "production"}).raise_for_status()
        _database(client, postgresql)
        words = {
            "static role": "production/shop/db",
            "no static role": "production/shop/none",
            "static roles": "database/static-roles/production/shop",
            "jwt": issuer.signed(issuer.claims()),
            "kubernetes jwt": cluster.token("app"),
            **_machine(client, issuer),
        }
        side = Side("keywright", it.url, it.token("shop", OWN, expires_in="1h"), words)
        try:
            yield side
        finally:
            side.close()


def _machine(client: httpx2.Client, issuer: Issuer) -> dict[str, str]:
    """The machine; what its AppRole is called, and a secret id that is good any number of times."""
    signer = {"issuer": issuer.url, "keys": [pem(issuer.keys[0])]}
    proofs = [
        {"kind": "approle"},
        {"kind": "jwt", "signer": signer, "audiences": [AUDIENCE], "subject": SUBJECT},
        {"kind": "kubernetes", "namespaces": ["shop"], "service_accounts": ["app"], "audiences": [CLUSTERS]},
    ]
    machine = {"name": "app", "grants": [OWN], "proofs": proofs, "token_ttl": "1h", "token_max_life": "2h"}
    client.post("/machines", json=machine).raise_for_status()
    made = client.post("/machine-secrets", json={"machine": "app", "uses": 0}).raise_for_status().json()
    return {"role_id": made["role_id"], "secret_id": made["secret_id"]}


def _database(client: httpx2.Client, postgresql: PostgresServer) -> None:
    postgresql.login(LOGIN, PASSWORD)
    admin = postgresql.administration("keywright_of_the_pair", LOGIN)
    postgresql.execute("GRANT pg_monitor TO keywright_of_the_pair")
    rotation = {"strategy": "alternating", "every": "24h", "drain_minimum": "1s", "drain_limit": "5s"}
    _put(client, "admin", admin)
    _put(client, "shop/db", postgresql.access(LOGIN, PASSWORD), administered_by="admin", rotation=rotation)


def _put(client: httpx2.Client, name: str, access: Access, **more: Any) -> None:
    body = {
        "engine": "postgresql",
        "endpoints": [{"host": e.host, "port": e.port} for e in access.target.endpoints],
        "database": access.target.database,
        "tls": {"mode": "disable"},
        "login": {"username": access.account.username, "password": access.account.password.reveal()},
    }
    client.put(f"/environments/production/connections/{name}", json=body | more).raise_for_status()
