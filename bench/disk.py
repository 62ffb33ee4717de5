"""How long the disk takes to make a small append durable: the floor under every answer that must be recorded."""

import os
import statistics
import time
from pathlib import Path
from typing import Any

APPENDS = 300
_BYTES = b"x" * 200


def measure(folder: Path) -> dict[str, Any]:
    """fdatasync(2) after each small append, on the file system of `folder`; milliseconds."""
    took = []
    with (folder / "appended").open("ab", buffering=0) as file:
        for _ in range(APPENDS):
            file.write(_BYTES)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    took.sort()
    return {
        "fdatasync_ms": statistics.median(took),
        "fdatasync_p99_ms": took[int(APPENDS * 0.99)],
        "appends": APPENDS,
        "file_system": file_system(folder, _mounts()),
    }


def file_system(folder: Path, mounts: str) -> str:
    """The kind of file system that a folder is on, by /proc/mounts (proc(5)); on `tmpfs` nothing is durable."""
    found = [(place, kind) for _, place, kind, *_ in (line.split() for line in mounts.splitlines())]
    above = [(place, kind) for place, kind in found if folder.resolve().is_relative_to(place)]
    return max(above, key=lambda it: len(it[0]), default=("", "unknown"))[1]


def _mounts() -> str:
    file = Path("/proc/mounts")
    return file.read_text() if file.exists() else ""
