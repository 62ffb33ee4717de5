"""The command `keywrightd`, where it is run by hand."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

PATIENCE = 60


def run(*words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run it, in an environment of nothing else."""
    command = [str(Path(sys.executable).with_name("keywrightd")), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environ, check=False)


def test_it_tells_its_version_and_its_commands() -> None:
    told = run("--version")
    assert (told.returncode, told.stdout) == (0, f"keywrightd {metadata.version('keywright-server')}\n")
    for words in (("-h",), ("events", "-h"), ("serve", "-h")):
        assert run(*words).returncode == 0
        assert run(*words).stdout == run(*words[:-1], "--help").stdout


@pytest.mark.parametrize(
    "words",
    [("events", "verify"), ("events", "list"), ("keys", "rotate"), ("owner", "me"), ("keys", "rewrap", "env:X")],
)
def test_a_mistyped_folder_is_no_new_ledger(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Only `init` and `serve` make one: an audit of nothing must not say that all is well."""
    ended = run(*words, "--data", str(tmp_path / "typo"))
    assert ended.returncode == 1
    assert "there is no ledger at" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_new_master_key(tmp_path: Path) -> None:
    """Made with mode 0600, never over another, and good for a ledger."""
    path = tmp_path / "keys" / "master.key"
    path.parent.mkdir()
    made = run("keys", "new", str(path), "--json")
    assert json.loads(made.stdout) == {"key": f"file:{path}"}
    assert path.stat().st_mode & 0o777 == 0o600
    again = run("keys", "new", str(path))
    assert again.returncode == 1
    assert "never overwritten" in again.stderr
    begun = run("init", "--data", str(tmp_path / "data"), KEYWRIGHT_KEY=f"file:{path}")
    assert begun.returncode == 0, begun.stderr
    assert not (tmp_path / "data" / "master.key").exists()
