"""The pruner: now and then it prunes what is older than is to be kept, in a thread of its own.

Each process that serves has one, where KEYWRIGHT_EVENTS_KEEP is set; who finds another one at work leaves it to that.
"""

import threading
from datetime import timedelta

import structlog

from service.core.errors import Conflict, KeywrightError
from service.keeper.retention import Retention, Tampered
from service.keeper.tokens import SYSTEM

log = structlog.get_logger("pruner")

SOON = 60.0
"""Seconds after the start."""
EVERY = 6 * 3600.0


class Pruner:
    """Starts and stops its thread. `keep`: how long events are kept; None for good."""

    def __init__(self, retention: Retention, keep: timedelta | None, *, first: float = SOON) -> None:
        self._retention = retention
        self._keep = keep
        self._first = first
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self.trouble = ""
        """Why older events are still there, at the last look; empty if none are."""

    def start(self) -> None:
        """Begin, if there is anything to do ever. A daemon: it may be interrupted at any point."""
        if self._keep is None:
            return
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="pruner", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the piece that is under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def look(self) -> int:
        """Prune what is too old now; the last event that went, or 0.

        Raises Tampered, Conflict, Unavailable, Unrecorded.
        """
        if self._keep is None:
            return 0
        before, upto = self._retention.older_than(self._keep), 0
        try:
            for reached in self._retention.prune(SYSTEM, before):
                upto = reached
                if self._stopped.is_set():
                    break
            self.trouble = self._retention.plan(SYSTEM, before).held_back
        except Tampered as error:
            self.trouble = error.message
            raise
        return upto

    def _run(self) -> None:
        wait = self._first
        while not self._stopped.wait(wait):
            wait = EVERY
            try:
                if reached := self.look():
                    log.info("old events were pruned", upto=reached)
                if self.trouble:
                    log.warning("events older than KEYWRIGHT_EVENTS_KEEP are still there", reason=self.trouble)
            except Tampered as error:
                log.error("events were not pruned", reason=error.message)
            except Conflict as error:
                log.warning("no events were pruned", reason=error.message)
            except KeywrightError as error:
                log.error("old events could not be pruned", error=error.message)
            except Exception:
                # It must not end with one defect, or the log would grow unseen.
                log.exception("the pruner failed unexpectedly")
