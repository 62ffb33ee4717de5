"""The courier: makes deliveries of signals, and sends what is due, in threads of its own.

    look   when this process changed something, when an attempt ended, and each second while something waits or
           others may have changed something
    send   each attempt in a thread, as many at once as its webhook's share is, so that a slow target delays no other;
           it is claimed by a lease, so that of many processes one sends it

What waits, and since when, is in the ledger: a courier that dies loses nothing, and may have sent something twice.
"""

import threading
import time
from collections.abc import Callable

import structlog

from scheduler.shares import Shares
from service.core.errors import Absent, KeywrightError
from service.core.webhook import Post
from service.keeper.deliveries import Deliveries, Due, Held

log = structlog.get_logger("courier")

EVERY = 1.0
"""Seconds between two looks."""
BREATH = 0.05
"""Seconds between two looks in any case: many changes at once are looked at together."""
TIDIES = 60.0
"""Seconds between two looks at what is old, and at what waits for long."""
STUCK_AFTER = 3600.0
"""Seconds that a delivery may wait before `/readyz` warns."""
STOPS_WITHIN = 5.0


class Courier:
    """Starts and stops its threads."""

    def __init__(self, deliveries: Deliveries, post: Post, *, every: float = EVERY) -> None:
        self._deliveries = deliveries
        self._post = post
        self._every = every
        self._news = threading.Event()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._fewer = threading.Condition()
        self._running = Shares()
        self.trouble = ""
        """What `/readyz` is to warn of; empty if nothing."""
        deliveries.on_change(self._news.set)

    def start(self) -> None:
        """Begin. Daemons: a target that never answers must not keep the process from ending."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Claim nothing more, and wait a little for what is under way; the rest is sent again by whoever is next."""
        self._stopped.set()
        self._news.set()
        if self._thread is None:
            return
        self._thread.join(STOPS_WITHIN)
        self._thread = None
        with self._fewer:
            self._fewer.wait_for(lambda: not self._running, STOPS_WITHIN)

    def look(self) -> None:
        """Make what is to be made, and send what is due."""
        self._deliveries.make()
        for due in self._deliveries.due():
            with self._fewer:
                room = self._running.room(due)
            if room > 0 and not self._stopped.is_set():
                for held in self._deliveries.claim(due.webhook_id, room):
                    self._begin(due, held)

    def watch(self) -> None:
        """Let go of what is old; see what waits for long."""
        self._deliveries.tidy()
        queue, age = self._deliveries.queue()
        said = f"{queue.waiting} deliveries to webhooks wait, the oldest for {age / 3600:.0f} hours"
        self.trouble = said if age > STUCK_AFTER else ""

    def _begin(self, due: Due, held: Held) -> None:
        with self._fewer:
            self._running.begin(due)
        threading.Thread(target=self._send, args=(due, held), name=f"delivery {held.id}", daemon=True).start()

    def _send(self, due: Due, held: Held) -> None:
        try:
            parcel = self._deliveries.parcel(held)
            answer = self._post.post(parcel.url, parcel.headers, parcel.body)
            self._deliveries.settle(parcel, answer)
        except Absent:
            log.debug("a webhook is gone, with its deliveries", delivery=held.id)
        except KeywrightError as error:
            log.error("a delivery could not be sent; it is tried again", delivery=held.id, error=error.message)
        except Exception:
            # A defect in one is no other's; its lease runs out and it is tried again.
            log.exception("a delivery failed unexpectedly", delivery=held.id)
        finally:
            with self._fewer:
                self._running.end(due)
                self._fewer.notify_all()
            self._news.set()

    def _run(self) -> None:
        self._guarded(self._deliveries.take_over)
        watched = looked = -TIDIES
        while not self._stopped.wait(max(looked + BREATH - time.monotonic(), 0)):
            self._news.clear()
            self._guarded(self.look)
            looked = time.monotonic()
            if time.monotonic() - watched >= TIDIES:
                watched = time.monotonic()
                self._guarded(self.watch)
            self._news.wait(self._pause())

    def _pause(self) -> float:
        """Who changes something wakes it; where nobody else can, and nothing waits, there is nothing to look for."""
        try:
            return TIDIES if self._deliveries.rests() else self._every
        except KeywrightError:
            return self._every

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except KeywrightError as error:
            log.error("the courier could not look", error=error.message)
        except Exception:
            # Whoever sends must outlive a defect.
            log.exception("the courier failed unexpectedly")
