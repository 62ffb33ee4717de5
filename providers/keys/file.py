"""A master key in a file: base64 text of 32 bytes, and a newline, mode 0600. Wrapped format: `aes.py`.

case                                           error
no such file                                   KeyMissing
no permission to read it                       KeyMissing
readable by group or others, not a key         KeyWrong
the disk or the network file system fails      KeyUnreachable
"""

import os
import stat
from pathlib import Path

from providers.keys.aes import decoded, encoded, unwrapped, wrapped
from service.core.errors import KeyMissing, KeyUnreachable, KeyWrong
from service.core.sealed import KEY_BYTES, Context, Randomness
from service.core.secret import Secret

_LONGEST = 4096  # bytes; a key has 45


class FileKey:
    """Wraps under the key in a file, which is read each time."""

    def __init__(self, path: Path, randomness: Randomness) -> None:
        self._path = path
        self._randomness = randomness

    @property
    def name(self) -> str:
        """`file:` and the path."""
        return f"file:{self._path}"

    def wrap(self, data_key: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        return wrapped(data_key, master=self._master(), context=context, randomness=self._randomness)

    def unwrap(self, wrapped: bytes, context: Context) -> bytes:
        """See KeyWrapper."""
        return unwrapped(wrapped, master=self._master(), context=context, name=self.name)

    def _master(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise KeyWrong(
                        f"the master key {self._path} has mode {mode:04o}, so that others than its owner may use it: "
                        f"run chmod 600 {self._path}"
                    )
                content = file.read(_LONGEST)
        except FileNotFoundError:
            raise KeyMissing(
                f"there is no master key at {self._path}: put it back from your backup, or mount it"
            ) from None
        except PermissionError:
            raise KeyMissing(
                f"the service may not read the master key {self._path}: make the service's user its owner"
            ) from None
        except OSError as fault:
            raise KeyUnreachable(f"the master key {self._path} cannot be read ({fault.strerror})") from None
        return decoded(Secret(content.decode("ascii", errors="replace")), self.name)


def create(path: Path, randomness: Randomness) -> None:
    """Make a new master key at `path`, mode 0600, on disk before this returns.

    Raises FileExistsError (an existing key is never replaced), or another OSError; then there is no file at
    `path`. It is written under another name and linked into place, so that nobody sees half a key.
    """
    draft = path.with_name(f".{path.name}.{randomness(8).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)  # whatever the umask took away
            file.write(encoded(randomness(KEY_BYTES)).reveal().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # fails if `path` exists, as O_EXCL does
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
