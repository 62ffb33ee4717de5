"""Which process is at the other end of a connection, from proc(5)."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def process_at(port: int, processes: Iterable[int]) -> int | None:
    """The one of these process ids that connects *from* this port of 127.0.0.1; None if none does (any more)."""
    inodes = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[1].endswith(f":{port:04X}"):
            inodes.add(f"socket:[{fields[9]}]")
    for pid in processes:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(FileNotFoundError):
                if str(link.readlink()) in inodes:
                    return pid
    return None
