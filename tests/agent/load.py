"""Clients of an application: they ask all the time, and count who was not answered well."""

import socket
import threading
import time
from dataclasses import dataclass, field

PAUSE = 0.2
PATIENCE = 60.0
"""Seconds that a request may take: an application that is restarted lets its listening socket wait."""


@dataclass
class Load(threading.Thread):
    """One client of one application, from `start` until `over` is set."""

    name_: str
    requests: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    """How often each password was the one that worked."""
    failures: list[str] = field(default_factory=list)
    last: str = ""
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(name=f"load {self.name_}", daemon=True)
        # It is handed down to the application, and outlives each of its processes, as with socket activation.
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listening.set_inheritable(True)
        self.address = self.listening.getsockname()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Ask until it is over."""
        while not self.over.is_set():
            self.ask()
            time.sleep(PAUSE)

    def ask(self) -> None:
        """One request."""
        self.requests += 1
        try:
            with socket.create_connection(self.address, timeout=PATIENCE) as way:
                way.sendall(b"a request\n")
                said = way.recv(100).decode()
        except OSError as error:
            said = f"failed {type(error).__name__}"
        verb, _, what = said.partition(" ")
        if verb == "ok":
            self.answered[what] = self.answered.get(what, 0) + 1
            self.last = what
        else:
            self.failures.append(said or "cut off")

    def end(self) -> None:
        """Ask no more."""
        self.over.set()
        self.join(PATIENCE)
        self.listening.close()
