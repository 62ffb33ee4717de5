"""The program that is kept running: what to do with it, decided from what happened. No clock, no process of its own.

    idle ──start──► running ──change: restart──► stopping ──ended──► running (the new one)
                       │                            └──grace is over──► SIGKILL
                       ├──change: signal──► the signal
                       ├──ended──► over, with its exit code
                       ├──ended badly soon after a restart of ours, or of our signal──► resting ──► running
                       │                                            └──RETRIES times in a row──► over
                       └──told to end──► the signal is passed on, and its end is ours

A restart that nobody asked the program for must not be the end of it, so what fails right after one is tried again. So
is a program that ends of our own signal: it was not ready for it yet, or never is, and a new one has what is known now.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from keywright.agent.pausing import Chance, chance, pause
from keywright.agent.processes import CannotRun, Processes
from keywright.agent.signals import ENDING, Signal

SOON = 10.0
"""Seconds after a restart within which a failure is blamed on it."""
RETRIES = 5


class OnChange(StrEnum):
    """What a change means for the program."""

    RESTART = "restart"
    SIGNAL = "signal"
    LOG = "log"


@dataclass(frozen=True)
class Rules:
    """`signal` is for `OnChange.SIGNAL`; `grace` is in seconds, from SIGTERM to SIGKILL."""

    on_change: OnChange
    signal: int = signal.SIGHUP
    grace: float = 10.0


class Child:
    """See the module. `launch` starts the program with what is known now, and returns its process id."""

    def __init__(
        self,
        rules: Rules,
        launch: Callable[[], int],
        processes: Processes,
        log: Callable[[str], None],
        *,
        chance: Chance = chance,
    ) -> None:
        self._rules, self._launch, self._processes, self._log = rules, launch, processes, log
        self._chance = chance
        self.pid: int | None = None
        self.over: int | None = None
        """Its exit code, once it is to be ours."""
        self._began = 0.0
        self._restarted = self._stopping = self._signalled = False
        self._told: int | None = None
        """The signal by which somebody wants it to end."""
        self._failures = 0
        self._kill_at: float | None = None
        self._start_at: float | None = None

    @property
    def due(self) -> float | None:
        """When `tick` has something to do."""
        return self._kill_at if self._kill_at is not None else self._start_at

    def start(self, now: float) -> None:
        """Start the program for the first time. Raises CannotRun."""
        self.pid, self._began = self._launch(), now

    def changed(self, now: float) -> None:
        """What it runs with is not what is known any more."""
        rules = self._rules
        if self.over is not None or self._stopping or self._told not in (None, signal.SIGINT):
            return  # the next start, if there is one, takes what is known then
        self._told = None  # it was interrupted, and goes on
        if self.pid is None:
            if self._start_at is not None:
                self._again(now)  # the change may mend what it failed of
        elif rules.on_change is OnChange.RESTART:
            self._log("the program is restarted after a change")
            self._stopping, self._failures = True, 0
            self._kill_at = now + rules.grace
            self._send(signal.SIGTERM)
            self._send(signal.SIGCONT)  # one that is stopped would not hear of it
        elif rules.on_change is OnChange.SIGNAL:
            self._log(f"the program is told of a change by {signal.Signals(rules.signal).name}")
            self._signalled = True
            self._send(rules.signal)
        else:
            self._log("there is a change that the program does not have")

    def signalled(self, heard: Signal) -> None:
        """Pass a signal on."""
        if heard.number in ENDING:
            self._told = heard.number
        if self.pid is None:
            if self._told is not None:
                self.over = 128 + self._told
        elif not heard.everybody:
            self._send(heard.number)
        if heard.number == signal.SIGTSTP:  # a shell takes a job for stopped when all of it is
            self._processes.stop_us()

    def ended(self, code: int, now: float) -> None:
        """The program has ended."""
        self.pid, self._kill_at = None, None
        if now - self._began >= SOON:
            self._failures = 0
        if self._told is not None:
            self.over = code
        elif self._stopping:
            self._stopping = False
            self._again(now)
        elif self._ours(code, now) and self._failures < RETRIES:
            self._fail(f"the program ended with {code} after a change", now)
        else:
            self.over = code

    def stop(self, now: float) -> None:
        """End it for good, with the grace that it has."""
        self._told = signal.SIGTERM
        if self.pid is None:
            self.over = self.over or 0
        elif self._kill_at is None:
            self._kill_at = now + self._rules.grace
            self._send(signal.SIGTERM)

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._kill_at is not None and now >= self._kill_at and self.pid is not None:
            self._log(f"the program did not end within {self._rules.grace:g} seconds: killed")
            self._kill_at = None
            self._processes.send(self.pid, signal.SIGKILL, group=True)
        if self._start_at is not None and now >= self._start_at:
            self._again(now)

    def _ours(self, code: int, now: float) -> bool:
        """Is it our doing that it ended?"""
        if self._signalled and code == 128 + self._rules.signal:
            return True
        return self._restarted and code != 0 and now - self._began < SOON

    def _again(self, now: float) -> None:
        self._start_at, self._restarted, self._signalled = None, True, False
        try:
            self.start(now)
        except CannotRun as error:
            if self._failures >= RETRIES:
                self._log(str(error))
                self.over = error.code
            else:
                self._fail(str(error), now)

    def _fail(self, why: str, now: float) -> None:
        self._failures += 1
        seconds = pause(self._failures, self._chance)
        self._start_at = now + seconds
        self._log(f"{why}; it is started again in {seconds:.1f} seconds")

    def _send(self, number: int) -> None:
        if self.pid is not None:
            self._processes.send(self.pid, number)
