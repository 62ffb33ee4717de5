"""The distribution: what applications install holds no server code and needs three libraries."""

import subprocess
import sys
import tomllib
from pathlib import Path

from keywright import __version__

CLIENT = Path(__file__).parents[2] / "client"


def test_it_imports_nothing_of_the_server() -> None:
    program = "import keywright.__main__, sys; print(*(m.partition('.')[0] for m in sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    loaded = set(told.stdout.split())
    assert "keywright" in loaded
    assert not {"service", "providers", "scheduler", "cryptography", "sqlalchemy"} & loaded


def test_every_package_is_in_the_distribution() -> None:
    listed = tomllib.loads((CLIENT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {".".join(file.parent.relative_to(CLIENT).parts) for file in (CLIENT / "keywright").rglob("*.py")}
    assert set(listed) == found


def test_it_needs_three_libraries() -> None:
    needed = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {line.partition(">=")[0] for line in needed} == {"httpx2", "rich", "typer"}


def test_it_tells_its_version() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "keywright", "--version"], capture_output=True, text=True, check=True, timeout=30
    )
    assert told.stdout == f"keywright {__version__}\n"
    assert __version__ == tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]["version"]
