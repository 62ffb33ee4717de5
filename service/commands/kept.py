"""Files of events, one JSON object a line (JSON Lines): written so that nothing of them is lost, or overwritten."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from service.core.errors import KeywrightError


@contextmanager
def new_file(path: Path) -> Iterator[IO[str]]:
    """A file that is not there yet, readable by its owner only; on disk in the end. Raises KeywrightError."""
    with _told(path):
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(made, "w", encoding="utf-8") as file:
            yield file
            _flush(file)


@contextmanager
def keeping(path: Path) -> Iterator[Callable[[list[dict[str, Any]]], None]]:
    """What writes events to the end of a file, and returns when they are on disk. The file may be there: what was cut
    off in the middle of a line is taken off, since that event will come again. Raises KeywrightError."""
    with _told(path):
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as former:
            former.truncate(_whole_lines(former))
        with path.open("a", encoding="utf-8") as file:

            def keeps(events: list[dict[str, Any]]) -> None:
                with _told(path):
                    write(file, events)
                    _flush(file)

            yield keeps


def write(file: IO[str], events: Iterable[dict[str, Any]]) -> None:
    """One event a line. ASCII: nothing in it can be taken for a line break."""
    for event in events:
        file.write(json.dumps(event, separators=(",", ":")) + "\n")


def _flush(file: IO[str]) -> None:
    file.flush()
    if file.seekable():
        os.fsync(file.fileno())


def _whole_lines(file: IO[bytes]) -> int:
    """The length of a file up to its last line break."""
    end = file.seek(0, os.SEEK_END)
    while end > 0:
        begin = max(0, end - 65536)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise KeywrightError(f"{path} exists already; it is not overwritten") from None
    except OSError as error:
        raise KeywrightError(f"{path} cannot be written: {error.strerror}") from None
