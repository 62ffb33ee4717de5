"""The commands of docs/python.md, and with them every file of examples/, on real servers."""

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.applications.shops import ENVIRONMENT, FIRST
from tests.docs.sessions import ROOT, run, to_run
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

PAGE = ROOT / "docs" / "python.md"
EXAMPLES = ROOT / "examples"


def definition(server: PostgresServer | MariaDBServer, username: str) -> dict[str, object]:
    """A connection that nobody turns."""
    target = server.access(username, FIRST).target
    return {
        "engine": target.engine.value,
        "endpoints": [{"host": server.host, "port": server.port}],
        "database": target.database,
        "tls": {"mode": target.tls.mode.value} | ({"ca": target.tls.ca} if target.tls.ca else {}),
        "login": {"username": username, "password": FIRST},
    }


@pytest.fixture
def shop(old_postgresql: PostgresServer, mariadb: MariaDBServer) -> Iterator[Keywright]:
    """What the page takes for granted."""
    old_postgresql.login("shop", FIRST)
    mariadb.login("shop_stock", FIRST)
    try:
        with running_keywright() as it:
            client, place = it.client(), f"/environments/{ENVIRONMENT}"
            client.post("/environments", json={"name": ENVIRONMENT}).raise_for_status()
            for name, server, username in (("db", old_postgresql, "shop"), ("mariadb", mariadb, "shop_stock")):
                body = definition(server, username)
                client.put(f"{place}/connections/shop/{name}", json=body).raise_for_status()
            client.put(f"{place}/variables/shop/mail/HOST", json={"value": "mail.internal"}).raise_for_status()
            yield it
    finally:
        old_postgresql.execute("DROP ROLE shop")


@pytest.mark.timeout(240)
def test_the_page_does_what_it_says(shop: Keywright, tmp_path: Path) -> None:
    environ = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.defpath]),
        "HOME": str(tmp_path),
        "PYTHONWARNINGS": "error",
        "KEYWRIGHT_ADDR": shop.url,
        "KEYWRIGHT_TOKEN": shop.token("shop", {"level": "use", "kind": "environment", "environment": ENVIRONMENT}),
        "KEYWRIGHT_ENVIRONMENT": ENVIRONMENT,
    }
    (tmp_path / "examples").symlink_to(EXAMPLES)
    run(to_run(PAGE, from_16=False), tmp_path, environ, {})


def test_every_extra_is_on_the_page() -> None:
    project = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = re.findall(r"^\| `keywright\[(\w+)\]`", PAGE.read_text(encoding="utf-8"), re.M)
    # What the command `keywright agent` needs has a page of its own.
    assert sorted([*named, "agent"]) == sorted(project["optional-dependencies"])


def test_every_example_is_on_the_page() -> None:
    commands = "\n".join(block.text for block in to_run(PAGE, from_16=False))
    assert [file.name for file in sorted(EXAMPLES.glob("*.py")) if f"examples/{file.name}" not in commands] == []
