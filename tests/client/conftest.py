"""What the client's tests share: a server, and surroundings in which nothing is configured."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keywright.__main__ import main

from tests.client.command import Command, Inside
from tests.client.server import Server, serve


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as running:
        yield running


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No login, no variables, no proxies of whoever runs the tests."""
    for name in (
        "ADDR",
        "TOKEN",
        "TOKEN_FILE",
        "ENVIRONMENT",
        "CA_FILE",
        "ALLOW_PLAIN",
        "CLIENT_CERT",
        "CLIENT_KEY",
        "ROLE_ID",
        "SECRET_ID",
        "SECRET_ID_FILE",
        "MACHINE",
        "KUBERNETES_TOKEN_FILE",
    ):
        monkeypatch.delenv(f"KEYWRIGHT_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def keywright(server: Server, tmp_path: Path) -> Command:
    return Command(server, tmp_path / "config")


@pytest.fixture
def inside(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Inside:
    """The command as a call: for what needs no process of its own, since starting one takes most of the time."""

    def run(*arguments: str, **more: str | None) -> subprocess.CompletedProcess[str]:
        with monkeypatch.context() as around:
            for name, text in Command(server, tmp_path / "config").environ().items():
                around.setenv(name, text)
            for name, text_ in more.items():
                around.delenv(name) if text_ is None else around.setenv(name, text_)
            around.setattr(sys, "argv", ["keywright", *arguments])
            code = main()
        told = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, told.out, told.err)

    return run
