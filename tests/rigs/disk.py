"""A disk that can be held: SQLite's writes to a write-ahead log are kept, and its fdatasync waits, or fails, at will.

SQLite reaches files through a table of functions, its VFS (https://sqlite.org/vfs.html). Here the functions with
which the usual one opens, writes and syncs are replaced, in this process, for files that are opened meanwhile.
"""

import _sqlite3
import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

IS_WAL = 0x00080000
"""SQLITE_OPEN_WAL, in the flags of xOpen."""
SYNC_FAILED = 1034
"""SQLITE_IOERR_FSYNC."""
WITHIN = 30.0
"""Seconds that a sync is held at the most, so that a test that fails ends."""

_Open = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
_Write = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods; those after xSync are passed on as they are."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("before", ctypes.c_void_p * 2),  # xClose xRead
        ("write", ctypes.c_void_p),
        ("truncate", ctypes.c_void_p),
        ("sync", ctypes.c_void_p),
        ("after", ctypes.c_void_p * 13),
    )


class _Vfs(ctypes.Structure):
    """sqlite3_vfs, up to xOpen."""

    _fields_ = (
        ("numbers", ctypes.c_int * 3),
        ("pointers", ctypes.c_void_p * 3),  # pNext zName pAppData
        ("open", ctypes.c_void_p),
    )


class Disk:
    """What was written and synced, and the hold on it."""

    def __init__(self) -> None:
        self.written = bytearray()
        """Everything that was written to write-ahead logs."""
        self.synced = 0
        """How much of it was followed by a sync that succeeded."""
        self.asked = threading.Event()
        """A sync was asked for since `hold`."""
        self.fails = False
        self._free = threading.Event()
        self._free.set()
        self._kept: list[Any] = []
        self._patched: dict[int, int] = {}

    def hold(self) -> None:
        """From now on syncs wait for `release`."""
        self.asked.clear()
        self._free.clear()

    def release(self) -> None:
        """Let them through."""
        self._free.set()

    def open(self, real: Callable[..., int]) -> Any:
        """xOpen: the usual one, and then our functions for a write-ahead log."""

        def opened(vfs: int, name: int, file: int, flags: int, out: int) -> int:
            code = real(vfs, name, file, flags, out)
            methods = ctypes.cast(file, ctypes.POINTER(ctypes.c_void_p))
            if code == 0 and flags & IS_WAL and methods[0]:
                methods[0] = self._methods(methods[0])
            return code

        return self._keep(_Open(opened))

    def _methods(self, real: int) -> int:
        if real not in self._patched:
            usual = ctypes.cast(real, ctypes.POINTER(_Methods)).contents
            ours = self._keep(_Methods())
            ctypes.memmove(ctypes.byref(ours), real, ctypes.sizeof(_Methods))
            ours.write = self._address(_Write(self._writer(_Write(usual.write))))
            ours.sync = self._address(_Sync(self._syncer(_Sync(usual.sync))))
            self._patched[real] = ctypes.addressof(ours)
        return self._patched[real]

    def _writer(self, real: Callable[..., int]) -> Callable[..., int]:
        def write(file: int, data: int, length: int, offset: int) -> int:
            self.written += ctypes.string_at(data, length)
            return real(file, data, length, offset)

        return write

    def _syncer(self, real: Callable[..., int]) -> Callable[..., int]:
        def sync(file: int, flags: int) -> int:
            length = len(self.written)
            self.asked.set()
            self._free.wait(WITHIN)
            if self.fails:
                return SYNC_FAILED
            code = real(file, flags)
            self.synced = max(self.synced, length)
            return code

        return sync

    def _address(self, function: Any) -> int:
        return int(ctypes.cast(self._keep(function), ctypes.c_void_p).value or 0)

    def _keep(self, it: Any) -> Any:
        self._kept.append(it)  # as long as C may call it
        return it


_ALL: list[Disk] = []
"""For good: a connection that outlives its test still calls their functions."""


@contextmanager
def held_disk() -> Iterator[Disk]:
    """For the databases that are opened within."""
    library = ctypes.CDLL(_sqlite3.__file__)
    if not hasattr(library, "sqlite3_vfs_find"):
        pytest.fail("this Python has SQLite inside itself, out of reach: use one that is linked with libsqlite3")
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    vfs, disk = library.sqlite3_vfs_find(None).contents, Disk()
    _ALL.append(disk)
    usual = vfs.open
    vfs.open = ctypes.cast(disk.open(_Open(usual)), ctypes.c_void_p).value
    try:
        yield disk
    finally:
        vfs.open = usual
        disk.fails = False
        disk.release()
