"""Points: the places at which a process is killed or stopped, counted in that very process.

    before and after each commit of the ledger (`Ledger.change` and `Ledger.work`)
    before each exchange with a target: connect, every statement, commit, close

Hooks are put in before a service is built. What the heartbeat's thread does is not counted: when it comes
around depends on how long the process takes.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pymysql

from providers.databases import postgresql
from providers.databases.postgresql_login import Bounded
from service.ledger.ledger import Ledger, Transaction


@dataclass
class Points:
    """Counts while it is `on`, and sends this process `how` at the point numbered `fatal` (from 1; 0: never)."""

    fatal: int = 0
    how: signal.Signals = signal.SIGKILL
    on: bool = False
    seen: list[str] = field(default_factory=list)
    told: Callable[[str], None] = lambda label: None
    """Hears the name of the fatal point, right before."""
    _muted: int = 0

    def reach(self, label: str) -> None:
        """Here is one."""
        if not self.on or self._muted or threading.current_thread().name == "heartbeat":
            return
        self.seen.append(label)
        if len(self.seen) == self.fatal:
            self.told(label)
            os.kill(os.getpid(), self.how)

    @contextmanager
    def muted(self) -> Iterator[None]:
        """What is done in here is the harness's own."""
        self._muted += 1
        try:
            yield
        finally:
            self._muted -= 1

    def watch_ledger(self, ledger: Ledger, committed: Callable[[], None]) -> None:
        """Points around each commit; `committed` is called, muted, after each change."""

        def around(name: str, heard: Callable[[], None]) -> None:
            opened: Callable[[], AbstractContextManager[Transaction]] = getattr(ledger, name)

            @contextmanager
            def counted() -> Iterator[Transaction]:
                with opened() as tx:
                    yield tx
                    self.reach(f"ledger {name}: before")
                if not self._muted:
                    with self.muted():
                        heard()
                self.reach(f"ledger {name}: after")

            setattr(ledger, name, counted)

        around("change", committed)
        around("work", lambda: None)

    def watch_targets(self) -> None:
        """Points before each exchange with PostgreSQL and MariaDB, in this process for good."""
        self._before(Bounded, "execute", lambda args: f"postgresql: {_begin(args[1])}")
        self._before(Bounded, "commit", lambda args: "postgresql: COMMIT")
        self._before(Bounded, "rollback", lambda args: "postgresql: ROLLBACK")
        self._before(Bounded, "close", lambda args: "postgresql: close")
        for module in list(sys.modules.values()):
            if getattr(module, "__name__", "").startswith(postgresql.__name__) and hasattr(module, "connect"):
                self._before(module, "connect", lambda args: "postgresql: connect")
        connection = pymysql.connections.Connection
        self._before(connection, "connect", lambda args: "mariadb: connect")
        self._before(connection, "_execute_command", lambda args: f"mariadb: {_begin(args[2])}")
        self._before(connection, "close", lambda args: "mariadb: close")

    def _before(self, owner: Any, name: str, label: Callable[[tuple[Any, ...]], str]) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **more: Any) -> Any:
            self.reach(label(args))
            return original(*args, **more)

        setattr(owner, name, counted)


def _begin(statement: Any) -> str:
    """Its first two words: more could hold a verifier."""
    text = statement.as_string() if hasattr(statement, "as_string") else statement
    text = text.decode(errors="replace") if isinstance(text, bytes | bytearray) else str(text)
    return " ".join(text.split()[:2])
