"""The sentinel: looks after connections from outside of the rotation path, in threads of its own.

    checks   logs in with live credentials, a few at a time: a server that hangs delays looks and no rotations;
             and with what the escrow holds, where a connection administers itself
    watch    soon after the start and each minute: what is overdue, by whoever's fault, and whether this process's
             clock still ticks

Both run in every process that serves or rotates, so that neither depends on the scheduler it judges.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import structlog

from service.core.errors import KeywrightError
from service.keeper.checks import Checks
from service.keeper.escrows import Escrows
from service.keeper.overdue import Overdue

log = structlog.get_logger("sentinel")

AT_ONCE = 4
MINUTE = 60.0
SOON = 3.0
"""Seconds after the start: by then a clock has planned what became due meanwhile. A process that is started
anew again and again must notice all the same."""


class Sentinel:
    """Starts and stops its threads. `clock_ticks` is asked about a clock that should tick."""

    def __init__(
        self,
        checks: Checks,
        escrows: Escrows,
        overdue: Overdue,
        clock_ticks: Callable[[], bool],
        *,
        interval: float = MINUTE,
    ) -> None:
        self._checks = checks
        self._escrows = escrows
        self._overdue = overdue
        self._clock_ticks = clock_ticks
        self._interval = interval
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self.overdue = 0
        """Connections with something overdue, at the last look."""

    def start(self) -> None:
        """Begin. Daemons: a database that never answers must not keep the process from ending."""
        self._stopped.clear()
        for name, turn, first in (
            ("checks", self.check, self._interval),
            ("watch", self.watch, min(SOON, self._interval)),
        ):
            thread = threading.Thread(target=self._run, args=(turn, first), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Begin nothing more, and wait a little for what is under way."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(2)
        self._threads.clear()

    def check(self) -> None:
        """Look at what is to be looked at, until nothing is left."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="check") as pool:
            while not self._stopped.is_set() and (mine := self._checks.claim(AT_ONCE * 4)):
                list(pool.map(self._check, mine))

    def watch(self) -> None:
        """Raise the alarm about what is overdue."""
        if not self._clock_ticks():
            log.error("the clock of this process does not tick any more: restart it")
        found, first = self._overdue.look()
        self.overdue = len(found)
        for sentence in first:
            log.error("overdue", finding=sentence)

    def _check(self, connection_id: str) -> None:
        try:
            outcome = self._checks.check(connection_id)
            self._escrows.check(connection_id)
        except KeywrightError as error:
            log.error("a connection could not be checked", connection=connection_id, error=error.message)
            return
        if outcome == "rejected":
            log.error("a live credential is not accepted", connection=connection_id)

    def _run(self, turn: Callable[[], None], first: float) -> None:
        wait = first
        while not self._stopped.wait(wait):
            wait = self._interval
            try:
                turn()
            except KeywrightError as error:
                log.error("the sentinel could not look", error=error.message)
            except Exception:
                # Whoever watches must outlive a defect.
                log.exception("the sentinel failed unexpectedly")
