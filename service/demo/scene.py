"""Setting the scene: a shop's database, and all that an admin would tell Keywright about it, over REST."""

import secrets
from collections import Counter
from pathlib import Path
from typing import Any

from service.core.secret import Secret
from service.demo.server import HOST, Server
from service.demo.stopping import Stopping
from service.demo.wire import Wire

ENVIRONMENT = "production"
CONNECTION = "shop/db"
DATABASE = "shop"
ROLE = "shop"
"""The login that the shop uses today, and owner of its tables: it becomes the role that two logins share."""
ADMINISTRATION = "admin/postgresql"
ADMINISTRATOR = "keywright_admin"
APPLICATIONS = ("checkout", "billing", "reporting")

DRAIN_MINIMUM = 2
"""Seconds that a replaced password keeps working, at least."""
DRAIN_LIMIT = 3
EVERY = 3
"""Seconds between two rotations; one that still drains is let finish first."""

MOUNTED = "payment-key"
SURROUNDINGS = {"SHOP_REGION": "eu-central"}
"""What an operator would set in the environment of the service."""


def mount(folder: Path) -> None:
    """A secret as a file, as Docker and Kubernetes mount them."""
    folder.mkdir(mode=0o700)
    (folder / MOUNTED).write_text(f"pk_{secrets.token_hex(12)}\n")


def furnish(server: Server) -> dict[str, Secret]:
    """The shop's database, with the login that it uses today, and an administration login that is no superuser."""
    passwords = {name: Secret(secrets.token_urlsafe(24)) for name in (ROLE, ADMINISTRATOR)}
    server.execute("CREATE ROLE {} LOGIN PASSWORD {password}", ROLE, password=passwords[ROLE])
    server.execute(
        "CREATE ROLE {} LOGIN CREATEROLE NOSUPERUSER PASSWORD {password}",
        ADMINISTRATOR,
        password=passwords[ADMINISTRATOR],
    )
    if server.major >= 16:  # before, CREATEROLE was enough
        server.execute("GRANT {} TO {} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE", ROLE, ADMINISTRATOR)
    server.execute("CREATE DATABASE {} OWNER {}", DATABASE, ROLE)
    return passwords


def describe(
    admin: Wire, server: Server, passwords: dict[str, Secret], mounted: Path, stopping: Stopping
) -> dict[str, Secret]:
    """Environments, variables and connections; a use-only token for each application. Raises CallFailed, Stopped."""
    for environment in ("development", ENVIRONMENT):
        rules = {"env": list(SURROUNDINGS), "file": [f"{mounted}/*"]}
        admin.post("/environments", {"name": environment, "stores": rules})
        variables: dict[str, dict[str, Any]] = {
            "shop/api/KEY": {"value": secrets.token_hex(16)},
            "shop/api/HOST": {"value": f"api.{environment}.example", "secret": False},
            "shop/REGION": {"reference": "env:SHOP_REGION", "secret": False},
            "shop/payment/KEY": {"reference": f"file:{mounted / MOUNTED}"},
            "shop/api/URL": {"template": "https://${shop/api/HOST}/?region=${shop/REGION}&key=${shop/api/KEY}"},
        }
        for name, body in variables.items():
            stopping.check()
            admin.put(f"/environments/{environment}/variables/{name}", body)
    connections = f"/environments/{ENVIRONMENT}/connections"
    target: dict[str, Any] = {
        "engine": "postgresql",
        "endpoints": [{"host": HOST, "port": server.port}],
        "database": DATABASE,
        "tls": {"mode": "disable"},  # the loopback; the server of the demo speaks no TLS
    }
    login = {"username": ADMINISTRATOR, "password": passwords[ADMINISTRATOR].reveal()}
    admin.put(f"{connections}/{ADMINISTRATION}", target | {"login": login})
    stopping.check()
    rotation = {
        "strategy": "alternating",
        "every": f"{EVERY}s",
        "drain_minimum": f"{DRAIN_MINIMUM}s",
        "drain_limit": f"{DRAIN_LIMIT}s",
    }
    login = {"username": ROLE, "password": passwords[ROLE].reveal()}
    shop = {"login": login, "administered_by": ADMINISTRATION, "rotation": rotation}
    admin.put(f"{connections}/{CONNECTION}", target | shop)
    stopping.check()
    admin.post(f"/environments/{ENVIRONMENT}/rotations", {"connection": CONNECTION, "reason": "to begin with"})
    grant = {"level": "use", "kind": "folder", "environment": ENVIRONMENT, "path": "shop"}
    return {name: Secret(admin.post("/tokens", {"name": name, "grants": [grant]})["token"]) for name in APPLICATIONS}


def fetched(wire: Wire) -> str:
    """A sentence about the values that an application gets, by kind; the values themselves are its own business."""
    values = wire.get(f"/environments/{ENVIRONMENT}/values", folder="shop")["values"]
    kinds = Counter(value["kind"] for value in values)
    said = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in sorted(kinds.items()))
    return f"Variables that they fetch from {ENVIRONMENT}: {said}."
