"""The clock: finds what is due and hands it to workers.

APScheduler is only the metronome: one interval job. What is due, who holds it and what was missed is all
in the ledger, so a tick that is late, lost or doubled changes nothing.

Each database server has a lane of its own, with a few workers: one that hangs delays its own rotations and
no others. A lane's threads end when it is empty.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from scheduler.rotator import Rotator
from service.core.errors import KeywrightError
from service.keeper.rotations import Rotations
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("clock")

PLANNED_AT_ONCE = 100
STOPS_WITHIN = 20.0
"""Seconds that a step under way may take to end when the clock stops; what is cut off is finished by a look."""


@dataclass
class Lane:
    """Work for one database server."""

    waiting: deque[Claim] = field(default_factory=deque)
    running: int = 0


class Lanes:
    """A few workers for each database server."""

    def __init__(self, work: Callable[[Claim], None], per_lane: int) -> None:
        self._work = work
        self._per_lane = per_lane
        self._lanes: dict[str, Lane] = {}
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)

    def put(self, name: str, claim: Claim) -> None:
        """Have a claim worked on."""
        with self._lock:
            lane = self._lanes.setdefault(name, Lane())
            lane.waiting.append(claim)
            if lane.running < self._per_lane:
                lane.running += 1
                threading.Thread(target=self._run, args=(name, lane), name=f"lane {name}", daemon=True).start()

    def room(self) -> bool:
        """Is nothing waiting that could not be started at once? Claims that only wait would lose their leases."""
        with self._lock:
            return sum(len(lane.waiting) for lane in self._lanes.values()) < PLANNED_AT_ONCE

    def drain(self, seconds: float) -> bool:
        """Drop what waits, and wait for what runs; False if something still runs after `seconds`."""
        with self._lock:
            for lane in self._lanes.values():
                lane.waiting.clear()
            return self._idle.wait_for(lambda: not self._lanes, seconds)

    def _run(self, name: str, lane: Lane) -> None:
        while True:
            with self._lock:
                if not lane.waiting:
                    lane.running -= 1
                    if not lane.running:
                        del self._lanes[name]
                        self._idle.notify_all()
                    return
                claim = lane.waiting.popleft()
            try:
                self._work(claim)
            except Exception:
                # A worker must outlive a defect in one rotation; the lease runs out and it is looked at again.
                log.exception("a rotation failed unexpectedly", rotation=claim.rotation_id)


class Clock:
    """Ticks every `interval` seconds. `holder` names this process in leases."""

    def __init__(
        self,
        rotations: Rotations,
        rotator: Rotator,
        *,
        holder: str,
        lease: timedelta,
        interval: float = 1.0,
        workers: int = 4,
    ) -> None:
        self._rotations = rotations
        self._holder = holder
        self._lease = lease
        self._interval = interval
        self._lanes = Lanes(rotator.advance, workers)
        self._metronome = BackgroundScheduler(timezone="UTC")
        self._ticking = threading.Lock()

    def start(self) -> None:
        """Begin to tick."""
        self._rotations.take_over()
        self._metronome.add_job(
            self.tick, "interval", seconds=self._interval, id="tick", max_instances=1, coalesce=True
        )
        self._metronome.start()

    def stop(self) -> None:
        """Tick no more, and let the steps that are under way end."""
        if self._metronome.running:
            self._metronome.shutdown(wait=False)
        if not self._lanes.drain(STOPS_WITHIN):
            log.warning("a rotation was cut off; whoever starts next looks what is in force and goes on")

    @property
    def ticks(self) -> bool:
        """Does it tick?"""
        return bool(self._metronome.running)

    def poke(self) -> None:
        """Something was asked for by hand: tick now rather than soon."""
        threading.Thread(target=self.tick, name="poke", daemon=True).start()

    def tick(self) -> None:
        """Plan what is due, claim what has work, and hand it out."""
        if not self._ticking.acquire(blocking=False):
            return
        try:
            self._rotations.plan_due(SYSTEM, PLANNED_AT_ONCE)
            if self._lanes.room():
                for claim, lane in self._rotations.claim(self._holder, self._lease, PLANNED_AT_ONCE):
                    self._lanes.put(lane, claim)
        except KeywrightError as error:
            log.error("the clock could not look for work", error=error.message)
        finally:
            self._ticking.release()
