"""Heartbeats: the lease of a rotation is renewed while somebody works on it, also while a statement runs.

One thread renews everything that this process holds, three times in a lease, and ends when nothing is held.
A worker asks `require` before each change in the target: if its lease may be over, somebody else may be at
work, and it stops. (It may still stand still right after asking: that is what the fence in the target is for.)
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import structlog

from service.core.errors import KeywrightError
from service.keeper.rotations import Rotations
from service.ledger.rotations import Claim, LeaseLost

log = structlog.get_logger("heartbeat")


LONGEST = 900.0
"""Seconds for which a claim is renewed at most: every wait in a provider is bounded, so nothing honest takes longer."""


class Heartbeat:
    """Keeps leases of `lease`, none for more than `longest` seconds."""

    def __init__(self, rotations: Rotations, lease: timedelta, longest: float = LONGEST) -> None:
        self._rotations = rotations
        self.lease = lease
        self._longest = longest
        self._until: dict[Claim, float] = {}
        self._began: dict[Claim, float] = {}
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None

    @contextmanager
    def holding(self, held: Claim, since: float | None = None) -> Iterator[None]:
        """Renew it now and then until the block is left. Raises LeaseLost if it is another's already.

        `since`: when the lease began, by `time.monotonic`; if that is not known, one begins now.
        """
        # Counted from before the answer: the lease is never believed to be longer than it is.
        until = (time.monotonic() if since is None else since) + self.lease.total_seconds()
        if since is None and not self._rotations.renew(held, self.lease):
            raise LeaseLost("the rotation was taken over by another worker")
        with self._lock:
            self._until[held], self._began[held] = until, time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                self._until.pop(held, None)
                self._began.pop(held, None)
                self._wake.notify_all()

    def require(self, held: Claim) -> None:
        """Raises LeaseLost unless a good part of the lease is left."""
        with self._lock:
            left = self._until.get(held, 0.0) - time.monotonic()
        if left < self.lease.total_seconds() / 3:
            raise LeaseLost("the lease is nearly over, and could not be renewed in time")

    def _beat(self) -> None:
        while True:
            with self._lock:
                self._wake.wait_for(lambda: not self._until, self.lease.total_seconds() / 3)
                if not self._until:
                    self._thread = None
                    return
                began = time.monotonic()
                all_held = [held for held in self._until if began - self._began[held] < self._longest]
            try:
                renewed = self._rotations.renew_all(all_held, self.lease)
            except KeywrightError as error:
                log.warning("leases could not be renewed", error=error.message)
                continue
            with self._lock:
                for held in all_held:
                    if held in self._until:
                        self._until[held] = began + self.lease.total_seconds() if held in renewed else 0.0
