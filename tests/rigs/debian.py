"""Programs that come with the operating system: found where Debian puts them, installed once if they are missing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def need(program: str, package: str, *places: str) -> Path:
    """The newest-named file among `places` (globs), or `program` on the path; installed from Debian if it may be."""
    for attempt in (1, 2):
        found = [file for place in places for file in sorted(Path("/").glob(place.lstrip("/")))]
        if found:
            return found[0]
        if on_path := shutil.which(program):
            return Path(on_path)
        if attempt == 1 and os.geteuid() == 0 and shutil.which("apt-get"):
            _install(package)
    pytest.fail(f"{program} is missing: install Debian's package {package}, or the same version for this system")


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
