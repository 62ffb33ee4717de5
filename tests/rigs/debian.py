"""Programs that come with the operating system: found where Debian puts them, installed once if they are missing."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


def need(program: str, package: str, *places: str) -> Path:
    """The first file among `places` (globs), or `program` on the path; installed from Debian if it may be."""
    found = _found(program, places)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        # One worker of a test run installs, and the others wait for it: apt-get turns away who comes second.
        with (Path(tempfile.gettempdir()) / "keywright-tests-installing").open("w") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            found = _found(program, places)
            if found is None:
                _install(package)
                found = _found(program, places)
    if found is None:
        pytest.fail(f"{program} is missing: install Debian's package {package}, or the same version for this system")
    return found


def _found(program: str, places: tuple[str, ...]) -> Path | None:
    for place in places:
        if files := sorted(Path("/").glob(place.lstrip("/"))):
            return files[0]
    on_path = shutil.which(program)
    return Path(on_path) if on_path else None


def _install(package: str) -> None:
    # A test starts servers of its own; the package's must neither be created nor started.
    Path("/etc/postgresql-common").mkdir(exist_ok=True)
    for file, text in {
        "/etc/postgresql-common/createcluster.conf": "create_main_cluster = false\n",
        "/usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    }.items():
        if not Path(file).exists():
            Path(file).write_text(text)
            Path(file).chmod(0o755)
    quiet = {"PATH": os.defpath, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "install", "-y", "--no-install-recommends", package],
    ):
        subprocess.run(command, env=quiet, check=False, stdout=subprocess.DEVNULL, timeout=600)
