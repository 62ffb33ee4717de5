"""The escrow file: JSON, mode 0600, written whole and renamed into place.

    {"format": "keywright escrow 1",
     "wrapper": "file:/etc/keywright/master.key",       which master key opens it, for people
     "key": BASE64,                                     the file's data key, wrapped by the master key
     "entries": [{"connection_id": HEX, "sealed": BASE64}, …]}

`sealed` is a sealed value (`service/core/sealed.py`) under the file's data key, number 1, bound to the
connection's id; an entry that was moved to another id does not open. What is sealed is JSON:

    {"environment", "connection", "server", "database", "written_at",
     "accounts": [{"standing", "username", "password"}, …]}

The data key is made with the file. Writers take turns by a lock on the file `.NAME.lock` beside it; readers
need none. Entries of connections that the writer does not know stay as they are.
"""

import fcntl
import json
import os
import stat
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from service.core.connection import Account
from service.core.errors import EscrowError, KeyWrong
from service.core.escrow import Entry, Escrowed
from service.core.keyring import KeyWrapper
from service.core.sealed import KEY_BYTES, Randomness, escrow_context, escrow_key_context, seal, unseal
from service.core.secret import Secret

FORMAT = "keywright escrow 1"
_KEY_NUMBER = 1


@dataclass(frozen=True)
class _Contents:
    """The file as it is stored; `sealed` by the connection's id."""

    wrapper: str
    wrapped: bytes
    sealed: dict[str, bytes]


class EscrowFile:
    """The port Escrow on a file. `wrapper` is where the master key lives."""

    def __init__(self, path: Path, wrapper: KeyWrapper, randomness: Randomness) -> None:
        self._path = path
        self._wrapper = wrapper
        self._randomness = randomness

    def entries(self) -> tuple[Entry, ...]:
        """`Escrow.entries`; none if there is no file. Raises SealBroken for an entry that was altered or moved."""
        contents = self._read()
        if contents is None or not contents.sealed:
            return ()
        key = self._unwrapped(contents)
        found = [_opened(connection_id, sealed, key) for connection_id, sealed in contents.sealed.items()]
        return tuple(sorted(found, key=lambda entry: (entry.environment, entry.connection)))

    def keep(self, entry: Entry, *, proven: bool) -> None:
        """`Escrow.keep`."""
        with self._turn():
            contents = self._read()
            if contents is None:
                key = self._randomness(KEY_BYTES)
                wrapped = self._wrapper.wrap(key, escrow_key_context())
                contents = _Contents(self._wrapper.name, wrapped, {})
            key = self._unwrapped(contents)
            earlier = contents.sealed.get(entry.connection_id)
            before = _opened(entry.connection_id, earlier, key) if earlier else None
            wanted = entry if proven else entry.with_former(before)
            if wanted.tells_the_same(before):
                return
            context = escrow_context(entry.connection_id)
            text = Secret(json.dumps(_plain(wanted)))
            contents.sealed[entry.connection_id] = seal(
                text, key=key, key_number=_KEY_NUMBER, context=context, randomness=self._randomness
            )
            self._write(contents)

    def exposed(self) -> str:
        """`Escrow.exposed`."""
        try:
            mode = stat.S_IMODE(self._path.stat().st_mode)
        except OSError:
            return ""
        if not mode & 0o077:
            return ""
        return f"others than its owner may open the escrow file (mode {mode:04o}): chmod 600"

    def rewrap(self, new: KeyWrapper) -> None:
        """Wrap the file's data key under another master key; nothing is done where that was done already."""
        with self._turn():
            contents = self._read()
            if contents is None:
                return
            try:
                key = self._unwrapped(contents)
            except KeyWrong:
                new.unwrap(contents.wrapped, escrow_key_context())
                return
            self._write(_Contents(new.name, new.wrap(key, escrow_key_context()), contents.sealed))

    def _unwrapped(self, contents: _Contents) -> bytes:
        try:
            return self._wrapper.unwrap(contents.wrapped, escrow_key_context())
        except KeyWrong as error:
            raise KeyWrong(
                "the escrow file was sealed under another master key, which its `wrapper` names, and does not open"
            ) from error

    def _read(self) -> _Contents | None:
        try:
            data = json.loads(self._path.read_bytes())
            if data["format"] != FORMAT:
                raise ValueError
            sealed = {each["connection_id"]: b64decode(each["sealed"], validate=True) for each in data["entries"]}
            return _Contents(data["wrapper"], b64decode(data["key"], validate=True), sealed)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise EscrowError(f"the escrow file cannot be read ({fault.strerror})", place=str(self._path)) from None
        except (ValueError, KeyError, TypeError):
            raise EscrowError(
                "the escrow file is damaged, or not an escrow file; it is left as it is: move it away",
                place=str(self._path),
            ) from None

    def _write(self, contents: _Contents) -> None:
        data = {
            "format": FORMAT,
            "wrapper": contents.wrapper,
            "key": b64encode(contents.wrapped).decode(),
            "entries": [
                {"connection_id": connection_id, "sealed": b64encode(sealed).decode()}
                for connection_id, sealed in contents.sealed.items()
            ],
        }
        draft = self._path.with_name(f".{self._path.name}.{self._randomness(8).hex()}")
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(handle, "wb") as file:
                    os.fchmod(file.fileno(), 0o600)  # whatever the umask took away
                    file.write(json.dumps(data, indent=1).encode() + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(self._path)
            finally:
                draft.unlink(missing_ok=True)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)  # the rename too is on disk
            finally:
                os.close(folder)
        except OSError as fault:
            raise EscrowError(f"the escrow file cannot be written ({fault.strerror})", place=str(self._path)) from None

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Writers take turns, those of other processes too."""
        lock = self._path.with_name(f".{self._path.name}.lock")
        try:
            handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise EscrowError(f"the escrow file cannot be written ({fault.strerror})", place=str(self._path)) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _plain(entry: Entry) -> dict[str, Any]:
    accounts = [
        {
            "standing": str(held.standing),
            "username": held.account.username,
            "password": held.account.password.reveal(),
        }
        for held in entry.accounts
    ]
    return {
        "environment": entry.environment,
        "connection": entry.connection,
        "server": entry.server,
        "database": entry.database,
        "written_at": entry.written_at.isoformat(),
        "accounts": accounts,
    }


def _opened(connection_id: str, sealed: bytes, key: bytes) -> Entry:
    data = json.loads(unseal(sealed, key=key, context=escrow_context(connection_id)).reveal())
    accounts = tuple(
        Escrowed(each["standing"], Account(each["username"], Secret(each["password"]))) for each in data["accounts"]
    )
    return Entry(
        connection_id,
        data["environment"],
        data["connection"],
        data["server"],
        data["database"],
        accounts,
        datetime.fromisoformat(data["written_at"]),
    )
