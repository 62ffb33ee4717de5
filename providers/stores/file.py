"""Files, such as those that Docker and Kubernetes mount for secrets. A location is a path.

    case                                                        error
    outside the roots, by '..' or by a link; a forbidden file,
    by whatever name; no permission                             StoreRefused
    not there                                                   StoreAbsent
    no regular file, over the limit, not UTF-8                  StoreMalformed
    the disk or the network file system fails                   StoreUnreachable

A path is resolved first (Kubernetes mounts are made of links: `password` → `..data/password` →
`..2026_11_01/password`) and must then lie inside a root. It is opened from the root downward, one
segment at a time and without following any link, so what is opened is what was judged, even if
somebody changes links meanwhile.
"""

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path

from providers.stored_object import LARGEST, checked, where
from service.core.errors import Invalid, StoreAbsent, StoreMalformed, StoreRefused, StoreUnreachable
from service.core.reference import Reading, Reference

ALWAYS_FORBIDDEN = (Path("/proc"), Path("/sys"))
"""Where the environment, and with it perhaps the master key, can be read as a file."""
TRIES = 4
"""A Kubernetes mount is swapped while it is read, or an editor writes: then look again."""
_ENOUGH = LARGEST + 3  # bytes to read until the limit is surely passed: a value, its newline (CR LF), one more
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not block


class FileStore:
    """Reads files under `roots`, but nothing that is, or lies in, `forbidden`.

    A relative location is looked for under each root in turn. Raises Invalid if a root is not absolute, or is `/`.
    """

    def __init__(self, roots: Iterable[Path], forbidden: Iterable[Path] = ()) -> None:
        self._roots = tuple(roots)
        self._forbidden = (*ALWAYS_FORBIDDEN, *forbidden)
        for root in self._roots:
            if not root.is_absolute() or os.path.realpath(root) == "/":
                raise Invalid(f"the file store cannot have the root '{root}': name a folder of its own, in full")

    def read(self, reference: Reference) -> Reading:
        """The file's text as it is now, without one newline at its end. `version` is "mtime_ns-inode"."""
        if "\0" in reference.location:
            raise StoreRefused("is not a path", **where(reference))
        missing: StoreAbsent | None = None
        for path in self._candidates(reference):
            try:
                return self._read(path, reference)
            except StoreAbsent as absent:
                missing = absent
        if missing is not None:
            raise missing
        raise _refused(reference)

    def _candidates(self, reference: Reference) -> list[str]:
        location = reference.location
        if os.path.isabs(location):
            return [location]
        return [os.path.join(root, location) for root in self._roots]

    def _read(self, path: str, reference: Reference) -> Reading:
        for _ in range(TRIES):
            try:
                found = self._attempt(path, reference)
            except FileNotFoundError:
                found = None  # not there, or swapped between resolving and opening: the next round tells
            except UnicodeEncodeError:
                raise StoreRefused("is not a path", **where(reference)) from None
            except OSError as fault:
                if fault.errno in (errno.ENOTDIR, errno.ELOOP):
                    continue  # a link appeared where none was
                raise _translated(fault, reference) from None
            if found is not None:
                return found
        raise StoreAbsent("there is no such file: check the path, and that it is mounted", **where(reference))

    def _attempt(self, path: str, reference: Reference) -> Reading | None:
        """Read `path`; None if it changed while it was read."""
        real = os.path.realpath(path)
        handle = self._opened(real, reference)
        try:
            before = os.fstat(handle)
            self._judge(real, before, reference)
            content = _content(handle)
            after = os.fstat(handle)
        finally:
            os.close(handle)
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            return None
        if len(content) == _ENOUGH:
            raise StoreMalformed(f"is larger than {LARGEST} bytes, the most that a value may have", **where(reference))
        try:
            text = content.decode()
        except UnicodeDecodeError:
            raise StoreMalformed("is not valid UTF-8", **where(reference)) from None
        text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
        return Reading(checked(text, reference), f"{after.st_mtime_ns}-{after.st_ino}")

    def _opened(self, real: str, reference: Reference) -> int:
        """Open a resolved path below whichever root holds it, without following links on the way."""
        for root in (os.path.realpath(root) for root in self._roots):
            if real.startswith(root + "/"):
                *folders, name = real[len(root) + 1 :].split("/")
                folder = os.open(root, _FOLDER)
                try:
                    for segment in folders:
                        parent, folder = folder, os.open(segment, _FOLDER, dir_fd=folder)
                        os.close(parent)
                    return os.open(name, _FILE, dir_fd=folder)
                finally:
                    os.close(folder)
        raise _refused(reference)

    def _judge(self, real: str, opened: os.stat_result, reference: Reference) -> None:
        for path in self._forbidden:
            try:
                same = os.path.samestat(path.stat(), opened)  # hard links and bind mounts too
            except OSError:
                same = False
            if same or Path(real).is_relative_to(os.path.realpath(path)):
                raise StoreRefused("is a file of Keywright itself: keep the value elsewhere", **where(reference))
        if not stat.S_ISREG(opened.st_mode):
            raise StoreMalformed("is no regular file", **where(reference))


def _content(handle: int) -> bytes:
    content = b""
    while len(content) < _ENOUGH:
        piece = os.read(handle, _ENOUGH - len(content))
        if not piece:
            break
        content += piece
    return content


def _refused(reference: Reference) -> StoreRefused:
    return StoreRefused("is outside the folders that the setting for the file store allows", **where(reference))


def _translated(fault: OSError, reference: Reference) -> StoreRefused | StoreAbsent | StoreUnreachable:
    told, name = where(reference), errno.errorcode.get(fault.errno or 0, "error")
    if fault.errno in (errno.EACCES, errno.EPERM):
        return StoreRefused("the service may not read this file: check its owner and mode", **told)
    if fault.errno == errno.ENAMETOOLONG:
        return StoreAbsent("no file can have so long a name", **told)
    return StoreUnreachable(f"the file system failed ({name}): check the mount", **told)
