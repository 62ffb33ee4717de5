"""Applications that open a new login all the time, and count."""

import statistics
import threading
import time
from collections import deque

import psycopg
import structlog

from service.demo.credential import Entry
from service.demo.habits import Habit
from service.demo.scene import ROLE
from service.demo.wire import CallFailed

log = structlog.get_logger("demo")

EVERY = 0.1
"""Seconds from one login to the next, at least."""
LOGS_IN_WITHIN = 15
ENDS_WITHIN = 30.0


class Tally:
    """What one application saw. Written by its thread, read by the table."""

    def __init__(self) -> None:
        self.worked = 0
        self.failed = 0
        self.username = ""
        self._took: deque[float] = deque(maxlen=200)

    def succeeded(self, username: str, seconds: float) -> None:
        """A login worked."""
        self.worked += 1
        self.username = username
        self._took.append(seconds)

    @property
    def milliseconds(self) -> float:
        """The median of the latest logins."""
        return statistics.median(list(self._took)) * 1000 if self._took else 0.0


class Application:
    """A thread that logs in with what its habit chooses, until it is told to stop."""

    def __init__(self, name: str, habit: Habit, stop: threading.Event) -> None:
        self.name = name
        self.habit = habit
        self.tally = Tally()
        self._stop = stop
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self) -> None:
        """Wait for its end; a login under way may take its time."""
        if self._thread.is_alive():
            self._thread.join(ENDS_WITHIN)
        if self._thread.is_alive():
            self.tally.failed += 1
            log.error("an application hangs", application=self.name)

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._once()
            except Exception:
                # Whatever it is: an application that ends early must not look like one that never failed.
                self.tally.failed += 1
                log.exception("an application's turn broke", application=self.name)
            self._stop.wait(max(0.0, began + EVERY - time.monotonic()))

    def _once(self) -> None:
        try:
            entry = self.habit.choose()
        except CallFailed as error:
            self.tally.failed += 1
            log.error("nothing to log in with", application=self.name, error=error.message)
            return
        # Between choosing and this line the promise may have passed: then choose again, next time.
        if entry.good:
            self._login(entry)

    def _login(self, entry: Entry) -> None:
        began = time.perf_counter()
        try:
            with psycopg.connect(
                entry.url.reveal(), connect_timeout=LOGS_IN_WITHIN, application_name=self.name
            ) as connection:
                took = time.perf_counter() - began
                row = connection.execute("SELECT current_user::text").fetchone()
        except psycopg.Error as error:
            self.tally.failed += 1
            log.error(
                "a login failed",
                application=self.name,
                username=entry.username,
                good_until=entry.good_until.isoformat(),
                seconds=round(time.perf_counter() - began, 3),
                error=str(error).strip(),
            )
            return
        if row != (ROLE,):
            self.tally.failed += 1
            log.error("a login acts as somebody else", application=self.name, username=entry.username, role=row)
            return
        self.tally.succeeded(entry.username, took)
