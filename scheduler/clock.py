"""The clock: finds what is due and hands it to workers.

APScheduler is only the metronome: one interval job. What is due, who holds it and what was missed is all
in the ledger, so a tick that is late, lost or doubled changes nothing.

A claim is worked on at once, by a thread of its own: none waits here while its lease runs out. How many are
claimed, on one database server and in all, is decided in the ledger (`service.ledger.rotations.claim`), so a
server that hangs takes its own places and delays no others. Whoever has finished looks for the next one.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.restoration import Restoration
from scheduler.rotator import Rotator
from service.core.errors import KeywrightError
from service.keeper.incidents import Incidents
from service.keeper.rotations import Rotations
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("clock")

PLANNED_AT_ONCE = 100
SILENT = 60.0
"""Seconds without the end of a tick, after which the clock is taken for dead."""
STOPS_WITHIN = 20.0
"""Seconds that a step under way may take to end when the clock stops; what is cut off is finished by a look."""


class Workers:
    """At most `most` claims at work, each in a thread of its own; `finished` is called after each."""

    def __init__(
        self, work: Callable[[Claim, float], None], most: int, finished: Callable[[], None] = lambda: None
    ) -> None:
        self._work = work
        self._most = most
        self._finished = finished
        self._running = 0
        self._fewer = threading.Condition()

    @property
    def room(self) -> int:
        """How many more may begin."""
        with self._fewer:
            return self._most - self._running

    def begin(self, claim: Claim, since: float) -> None:
        """Work on a claim, made at `since` by `time.monotonic`, now.

        Daemons: a database that never answers must not keep the process from ending.
        """
        with self._fewer:
            self._running += 1
        threading.Thread(
            target=self._run, args=(claim, since), name=f"rotation {claim.rotation_id}", daemon=True
        ).start()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is at work; False if something still is after `seconds`."""
        with self._fewer:
            return self._fewer.wait_for(lambda: not self._running, seconds)

    def _run(self, claim: Claim, since: float) -> None:
        try:
            self._work(claim, since)
        except Exception:
            # A defect in one rotation is no other's; its lease runs out and it is looked at again.
            log.exception("a rotation failed unexpectedly", rotation=claim.rotation_id)
        finally:
            with self._fewer:
                self._running -= 1
                self._fewer.notify_all()
        self._finished()


class Clock:
    """Ticks every `interval` seconds. `holder` names this process in leases.

    One that does not rotate only looks whether the ledger is whole: every process is a witness of that.
    """

    def __init__(
        self,
        rotations: Rotations,
        incidents: Incidents,
        rotator: Rotator,
        restoration: Restoration,
        *,
        holder: str,
        lease: timedelta,
        interval: float = 1.0,
        parallel: int = 16,
    ) -> None:
        self._rotations = rotations
        self._incidents = incidents
        self._restoration = restoration
        self._rotates = True
        self._holder = holder
        self._lease = lease
        self._interval = interval
        self._workers = Workers(rotator.advance, parallel, self._hand_out)
        self._metronome = BackgroundScheduler(timezone="UTC")
        self._ticking = threading.Lock()
        self.started = False
        """Should it tick?"""
        self._ticked = 0.0
        self._claiming = threading.Lock()
        self._more = threading.Event()
        self._stopped = threading.Event()

    def start(self, *, rotates: bool = True) -> None:
        """Look whether the ledger is whole, and begin to tick. Raises Unavailable."""
        self._stopped.clear()
        self._rotates = rotates
        self.started, self._ticked = True, time.monotonic()
        self._restoration.look()
        if rotates:
            self._rotations.take_over()
            self._restoration.take_over()
        self._metronome.add_job(
            self.tick,
            "interval",
            seconds=self._interval,
            next_run_time=datetime.now(UTC),  # what became due while nobody ticked has waited long enough
            id="tick",
            max_instances=1,
            coalesce=True,
        )
        self._metronome.start()

    def stop(self) -> None:
        """Tick no more, claim no more, and let the steps that are under way end."""
        self._stopped.set()
        self.started = False
        ticked = bool(self._metronome.running)
        if ticked:
            self._metronome.shutdown(wait=False)
        if not self._workers.wait(STOPS_WITHIN):
            log.warning("a rotation was cut off; whoever starts next looks what is in force and goes on")
        if ticked:
            self._restoration.stop(STOPS_WITHIN)

    @property
    def ticks(self) -> bool:
        """Does it tick? One that is in the middle of a tick for long does not."""
        return bool(self._metronome.running) and time.monotonic() - self._ticked < max(SILENT, 10 * self._interval)

    def poke(self) -> None:
        """Something was asked for by hand: tick now rather than soon."""
        threading.Thread(target=self.tick, name="poke", daemon=True).start()

    def tick(self) -> None:
        """Plan what is due, claim what has work, and hand it out; nothing of it while rotations are held."""
        if not self._ticking.acquire(blocking=False):
            return
        try:
            held = self._restoration.look()
            if held and self._rotates:
                self._restoration.tick()
            if held or not self._rotates:
                return
            self._incidents.work(SYSTEM)
            self._rotations.plan_due(SYSTEM, PLANNED_AT_ONCE)
        except KeywrightError as error:
            log.error("the clock could not plan what is due", error=error.message)
        finally:
            self._ticking.release()
            self._ticked = time.monotonic()
        self._hand_out()

    def _hand_out(self) -> None:
        """Claim as much as there is room for. Who finds somebody at it leaves word to look once more."""
        self._more.set()
        while self._more.is_set() and self._claiming.acquire(blocking=False):
            try:
                self._more.clear()
                room = 0 if self._stopped.is_set() else self._workers.room
                # Looked at right before: the ledger may have failed over since the last tick.
                if room > 0 and not self._restoration.look():
                    since = time.monotonic()
                    for claim in self._rotations.claim(self._holder, self._lease, room):
                        self._workers.begin(claim, since)
            except KeywrightError as error:
                log.error("the clock could not look for work", error=error.message)
            finally:
                self._claiming.release()
