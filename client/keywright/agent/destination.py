"""Files that are written whole or not at all, and never where somebody else points.

    the folder   walked from the root, one name after the other (openat(2), O_NOFOLLOW): a symbolic link on the way is
                 followed only if it is root's or our own, since whoever owns it decides where it leads
    the draft    .NAME.keywright-XXXXXXXX beside it: made anew, mode 0600, then owner and mode, then its content, fsync
    the file     the draft, by rename(2), which follows no link; then the folder is synced

A file that is already so, in content, mode and owner, is left alone.
"""

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

_LINKS = 40  # path_resolution(7)


class Unwritable(Exception):
    """A file that cannot be written; says which, why, and what to do."""


@dataclass(frozen=True)
class Destination:
    """Where, and for whom. `owner` and `group` are numbers, None for our own."""

    path: Path = field()
    mode: int = 0o600
    owner: int | None = None
    group: int | None = None

    def write(self, content: bytes) -> bool:
        """Make it so; False when its content was already. Raises Unwritable."""
        try:
            folder = _walk(self.path.parent)
        except OSError as error:
            raise Unwritable(f"the folder {self.path.parent} cannot be entered: {error.strerror}") from None
        try:
            found = self._found(folder)
            same = found is not None and found[1] == content
            if found is None or not same or not self._fits(found[0]):
                self._replace(folder, content)
            return not same
        except OSError as error:
            raise Unwritable(f"{self.path} cannot be written: {error.strerror}") from None
        finally:
            os.close(folder)

    def look(self) -> None:
        """Raises Unwritable if writing would be refused, as far as can be seen without doing it."""
        try:
            folder = _walk(self.path.parent)
        except OSError as error:
            raise Unwritable(f"the folder {self.path.parent} cannot be entered: {error.strerror}") from None
        try:
            self._found(folder)
            if not os.access(".", os.W_OK | os.X_OK, dir_fd=folder, effective_ids=True):
                raise Unwritable(f"the folder {self.path.parent} may not be written by this user")
        finally:
            os.close(folder)

    def _found(self, folder: int) -> tuple[os.stat_result, bytes | None] | None:
        """The file that is there, None without one; its content only where we may read it."""
        about = os.fstat(folder)
        if about.st_mode & stat.S_IWOTH and not about.st_mode & stat.S_ISVTX:
            raise Unwritable(f"everybody may replace files in {self.path.parent}: chmod o-w it")
        try:
            here = os.stat(self.path.name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        if stat.S_ISLNK(here.st_mode):
            raise Unwritable(f"{self.path} is a symbolic link: name the file itself, or remove the link")
        if not stat.S_ISREG(here.st_mode):
            kind = "a directory" if stat.S_ISDIR(here.st_mode) else "no plain file"
            raise Unwritable(f"{self.path} is {kind}: name a file")
        try:
            file = os.open(self.path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except PermissionError:
            return here, None
        with os.fdopen(file, "rb") as stream:
            return os.fstat(file), stream.read()

    def _fits(self, about: os.stat_result) -> bool:
        return (
            stat.S_IMODE(about.st_mode) == self.mode
            and about.st_uid == (os.geteuid() if self.owner is None else self.owner)
            and (self.group is None or about.st_gid == self.group)
        )

    def _replace(self, folder: int, content: bytes) -> None:
        name = self.path.name
        for left in os.listdir(folder):  # by one who was killed
            if left.startswith(f".{name}.keywright-"):
                with contextlib.suppress(OSError):
                    os.unlink(left, dir_fd=folder)
        draft = f".{name}.keywright-{secrets.token_hex(4)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(draft, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(file, "wb") as stream:
                if self.owner is not None or self.group is not None:
                    os.fchown(file, -1 if self.owner is None else self.owner, -1 if self.group is None else self.group)
                os.fchmod(file, self.mode)
                stream.write(content)
                stream.flush()
                os.fsync(file)
            os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise
        os.fsync(folder)


def _walk(folder: Path) -> int:
    """The open folder. Raises Unwritable for a link that somebody else owns, OSError for what is not there."""
    names = [part for part in reversed(folder.parts) if part != "/"]
    place = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    links = 0
    try:
        while names:
            name = names.pop()
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place)
            about = os.fstat(inner)
            if not stat.S_ISLNK(about.st_mode):
                os.close(place)
                place = inner
                continue
            try:
                target = os.readlink("", dir_fd=inner)
            finally:
                os.close(inner)
            links += 1
            if about.st_uid not in (0, os.geteuid()):
                raise Unwritable(f"{name}, on the way to {folder}, is a symbolic link that somebody else owns")
            if links > _LINKS:
                raise Unwritable(f"there are too many symbolic links on the way to {folder}")
            if target.startswith("/"):
                os.close(place)
                place = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            names += [part for part in reversed(target.split("/")) if part not in ("", ".")]
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
    finally:
        os.close(place)
