"""A list of passwords known from breaches, in a file on this machine; nothing is asked of anybody.

    21BD12DC183F740EE76F27B78EB39C8AD972A757:52579      SHA-1 in hex, a colon, how often; one a line
    21BD12E5B5D2C8A1A5B5C2E0BBAA1B2D7A0D9E14:3          sorted by hash, as the well-known download has them

The file may have a thousand million lines: it is searched by halves where it lies, some thirty reads a look.
"""

import os
import re
from pathlib import Path
from typing import BinaryIO

from service.core.errors import Invalid, Unavailable

_LINE = re.compile(rb"[0-9A-Fa-f]{40}(:[0-9]{1,12})?\r?\n?")
_LONGEST = 64
"""Bytes of a line, its end included."""


class BreachFile:
    """One such file. Raises Invalid for what does not look like one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as file:
                first = file.readline(_LONGEST)
        except OSError as error:
            raise Invalid(f"KEYWRIGHT_BREACHED_PASSWORDS: {path} cannot be read ({type(error).__name__})") from None
        if not _LINE.fullmatch(first):
            raise Invalid(f"KEYWRIGHT_BREACHED_PASSWORDS: {path} must have lines of a SHA-1 in hex, sorted by it")

    def hold(self, sha1: str) -> bool:
        """See `Breaches`."""
        wanted = sha1.upper().encode()
        try:
            with self._path.open("rb") as file:
                return _found(file, wanted)
        except OSError as error:
            raise Unavailable(
                f"the list of known passwords cannot be read ({type(error).__name__})", place=str(self._path)
            ) from None


def _found(file: BinaryIO, wanted: bytes) -> bool:
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:  # the line sought, if there is one, begins in [low, high)
        middle = (low + high) // 2
        begin = _begin(file, middle)
        file.seek(begin)
        line = file.readline(_LONGEST)
        hash_ = line[:40].upper()
        if hash_ == wanted:
            return True
        if hash_ < wanted:
            low = begin + max(len(line), 1)
        else:
            high = begin
    return False


def _begin(file: BinaryIO, at: int) -> int:
    """Where the line begins that this byte is in."""
    back = max(at - _LONGEST, 0)
    file.seek(back)
    return back + file.read(at - back).rfind(b"\n") + 1
