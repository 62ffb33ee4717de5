"""Somebody on the server's port who answers nobody, and counts who asks."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Absence:
    """When, by time.monotonic, somebody came."""

    came: list[float] = field(default_factory=list)


@contextmanager
def absence(port: int) -> Iterator[Absence]:
    """Take the place of a server that was stopped; every connection is closed at once."""
    noted = Absence()
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(100)

    def serve() -> None:
        with suppress(OSError):
            while True:
                way, _ = listening.accept()
                noted.came.append(time.monotonic())
                way.close()

    thread = threading.Thread(target=serve, name="absence", daemon=True)
    thread.start()
    try:
        yield noted
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def most(seconds: float, promise: float) -> int:
    """How often one credential with such a promise may be asked for in so many seconds, however its pauses fall out.

    See `keywright.agent.pausing` and `watch`.
    """
    count, spent, pause = 1, 0.0, 1.0
    while spent < seconds:
        spent += pause / 2
        pause = min(30.0, max(1.0, promise / 4), pause * 2)
        count += 1
    return 2 * count  # a connection that is cut is tried once more
