"""What the client's tests share: a server, and surroundings in which nothing is configured."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.command import Command
from tests.client.server import Server, serve


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login, no variables, no proxies of whoever runs the tests."""
    for name in ("ADDR", "TOKEN", "TOKEN_FILE", "ENVIRONMENT", "CA_FILE", "ALLOW_PLAIN"):
        monkeypatch.delenv(f"KEYWRIGHT_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def keywright(server: Server, tmp_path: Path) -> Command:
    return Command(server, tmp_path / "config")
