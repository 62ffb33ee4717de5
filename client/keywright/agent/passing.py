"""How a program is given its values.

env    entries of its process environment
fd     a JSON object on an open file, whose number is KEYWRIGHT_FD; a memfd that nobody can change any more
file   a file for each value in the directory KEYWRIGHT_FILES, in memory, which only this user can enter:

           /dev/shm/keywright-XXXXXXXX/          0700
               now -> 2                          what KEYWRIGHT_FILES names; replaced in one step
               1/HOST 1/PASSWORD                 the former values, for whoever is reading them just now
               2/HOST 2/PASSWORD
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from keywright.errors import Invalid

FD, FILES = "KEYWRIGHT_FD", "KEYWRIGHT_FILES"
_MEMORY = ("tmpfs", "ramfs")


class PassAs(StrEnum):
    """Which way."""

    ENV = "env"
    FD = "fd"
    FILE = "file"


def sealed_memory(values: Mapping[str, str]) -> int:
    """An open file with the values as JSON (memfd_create(2), F_ADD_SEALS): it is on no disk, and does not change."""
    file = os.memfd_create("keywright", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    content = memoryview(json.dumps(dict(values)).encode())
    while content:
        content = content[os.write(file, content) :]
    os.lseek(file, 0, os.SEEK_SET)
    fcntl.fcntl(
        file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    )
    return file


def in_memory(environ: Mapping[str, str], mounts: str | None = None) -> Path:
    """A folder on tmpfs: $XDG_RUNTIME_DIR, else /dev/shm. Raises Invalid when neither is one.

    `mounts` is what /proc/self/mounts says (proc(5)).
    """
    listed = Path("/proc/self/mounts").read_text() if mounts is None else mounts
    kinds: dict[str, str] = {}
    for line in listed.splitlines():
        _, point, kind, *_ = line.split(" ")
        kinds[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)] = kind
    for place in (environ.get("XDG_RUNTIME_DIR", ""), "/dev/shm"):  # noqa: S108 - made with mkdtemp, mode 0700
        if not place.startswith("/"):
            continue
        real = os.path.realpath(place)
        above = next((str(p) for p in (Path(real), *Path(real).parents) if str(p) in kinds), None)
        if above is not None and kinds[above] in _MEMORY and os.access(real, os.W_OK | os.X_OK):
            return Path(real)
    raise Invalid(
        "values are passed as files in memory only, and neither XDG_RUNTIME_DIR nor /dev/shm is a tmpfs that can be "
        "written: mount one, or use --pass-as env or fd"
    )


class Files:
    """Values as files. Removed by `clear`; whoever reads meanwhile finds all of the former or all of the new."""

    def __init__(self, place: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="keywright-", dir=place))
        self._number = 0

    @property
    def now(self) -> Path:
        """The directory for KEYWRIGHT_FILES."""
        return self._folder / "now"

    def replace(self, values: Mapping[str, str]) -> None:
        """Put these in the place of those before. Raises OSError; then those before stay."""
        fresh = self._folder / str(self._number + 1)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        for name, value in values.items():
            file = os.open(fresh / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.write(value.encode())
        link = self._folder / "next"
        link.unlink(missing_ok=True)
        link.symlink_to(fresh.name)
        os.replace(link, self.now)
        self._number += 1
        shutil.rmtree(self._folder / str(self._number - 2), ignore_errors=True)

    def clear(self) -> None:
        """Remove them."""
        shutil.rmtree(self._folder, ignore_errors=True)


class Passing:
    """Hands values to a program, and takes them away when it is over."""

    def __init__(self, way: PassAs, around: Mapping[str, str]) -> None:
        """`around` is the environment that the program has besides. Raises Invalid as `in_memory`."""
        self._way, self._around = way, around
        self._files = Files(in_memory(around)) if way is PassAs.FILE else None

    def renew(self, values: Mapping[str, str]) -> None:
        """What changed while it runs, as far as it can see that."""
        if self._files is not None:
            self._files.replace(values)

    @contextlib.contextmanager
    def ready(self, values: Mapping[str, str]) -> Iterator[tuple[dict[str, str], list[int]]]:
        """The environment and the open files of a program that is started now."""
        environ = {name: text for name, text in self._around.items() if name not in (FD, FILES)}
        if self._way is PassAs.ENV:
            yield environ | dict(values), []
        elif self._files is not None:
            self._files.replace(values)
            yield environ | {FILES: str(self._files.now)}, []
        else:
            file = sealed_memory(values)
            try:
                yield environ | {FD: str(file)}, [file]
            finally:
                os.close(file)

    def clear(self) -> None:
        """Remove what is left."""
        if self._files is not None:
            self._files.clear()
