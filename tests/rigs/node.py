"""Node.js from the machine or from Debian, and packages of npm: installed once, in a folder outside of the tree.

A folder of the tests holds `package.json`, `package-lock.json` and `.npmrc`. What the lock names is installed as it
says, hashes and all, into the user's cache, under a name that the lock gives it; no script of any package is run.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.rigs.debian import need

CACHE = Path.home() / ".cache" / "keywright-tests"
PATIENCE = 240
"""Seconds that downloading may take."""
OLDEST = 18
FILES = ("package.json", "package-lock.json", ".npmrc")


def node() -> Path:
    """The program, of version 18 or newer."""
    program = need("node", "nodejs")
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    if int(said.strip().removeprefix("v").partition(".")[0]) < OLDEST:
        pytest.fail(f"Node.js here is {said.strip()}: install version {OLDEST} or newer")
    return program


def installed(folder: Path) -> Path:
    """The `node_modules` of what this folder's lock names."""
    named = hashlib.sha256(b"\0".join((folder / name).read_bytes() for name in FILES)).hexdigest()[:32]
    home = CACHE / f"node-{named}"
    if not home.is_dir():
        _install(folder, home)
    return home / "node_modules"


def _install(folder: Path, home: Path) -> None:
    npm = need("npm", "npm")
    CACHE.mkdir(parents=True, exist_ok=True)
    # Whole or not at all: somebody else may be at it, and this run may be cut short.
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        made = Path(name, "made")
        made.mkdir()
        for file in FILES:
            shutil.copy(folder / file, made)
        try:
            done = subprocess.run([npm, "ci"], cwd=made, capture_output=True, text=True, timeout=PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            pytest.fail(
                f"npm did not install {folder.name}/package-lock.json in {PATIENCE} seconds: is its registry reachable?"
            )
        if done.returncode:
            pytest.fail(f"npm could not install {folder.name}/package-lock.json: {done.stderr[-1000:]}")
        try:
            os.rename(made, home)
        except OSError:
            if not home.is_dir():
                raise
