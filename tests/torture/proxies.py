"""Proxies that misbehave on demand: a port of their own before a server's, with everything in plain view.

cut()          every connection breaks now; new ones are taken
lose(n)        the next n replies that are waited for never arrive, and their connections break after them
hang(seconds)  nothing passes for so long, connections stay open; new ones are taken, and hang too
"""

import selectors
import socket
import threading
import time
from contextlib import suppress

CHUNK = 65536


class Proxy:
    """Leads from `port` to `target` of 127.0.0.1, by one thread."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ends: dict[socket.socket, socket.socket] = {}
        self._servers: set[socket.socket] = set()
        self._hangs_until = 0.0
        self._losing = 0
        self._cutting = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"proxy {self.port}", daemon=True)
        self._thread.start()

    def cut(self) -> None:
        """Break everything once."""
        self._cutting.set()

    def lose(self, replies: int) -> None:
        """Swallow so many replies; what was asked for was done."""
        self._losing = replies

    def hang(self, seconds: float) -> None:
        """Pass nothing on for so long."""
        self._hangs_until = time.monotonic() + seconds

    def heal(self) -> None:
        """Misbehave no more."""
        self._losing, self._hangs_until = 0, 0.0

    def close(self) -> None:
        """Gone."""
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        with selectors.DefaultSelector() as waiting, self._listener:
            waiting.register(self._listener, selectors.EVENT_READ)
            while not self._over.is_set():
                if self._cutting.is_set():
                    self._cutting.clear()
                    for end in list(self._ends):
                        self._break(waiting, end)
                if time.monotonic() < self._hangs_until:
                    time.sleep(0.02)
                    continue
                for key, _ in waiting.select(0.05):
                    if key.fileobj is self._listener:
                        self._accept(waiting)
                    else:
                        self._pass(waiting, key.fileobj)  # type: ignore[arg-type]
            for end in list(self._ends):
                self._break(waiting, end)

    def _accept(self, waiting: selectors.BaseSelector) -> None:
        near, _ = self._listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            near.close()
            return
        far.settimeout(5)
        near.settimeout(5)
        self._ends[near], self._ends[far] = far, near
        self._servers.add(far)
        for end in (near, far):
            waiting.register(end, selectors.EVENT_READ)

    def _pass(self, waiting: selectors.BaseSelector, end: socket.socket) -> None:
        if end not in self._ends:
            return
        try:
            data = end.recv(CHUNK)
            if data and end in self._servers and self._losing > 0:
                self._losing -= 1
                data = b""
            if data:
                self._ends[end].sendall(data)
                return
        except OSError:
            pass
        self._break(waiting, end)

    def _break(self, waiting: selectors.BaseSelector, end: socket.socket) -> None:
        other = self._ends.pop(end, None)
        if other is None:
            return
        self._ends.pop(other, None)
        for each in (end, other):
            self._servers.discard(each)
            waiting.unregister(each)
            with suppress(OSError):
                each.close()
