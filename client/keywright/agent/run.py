"""`keywright run` that keeps watching: one program, and the values that it runs with."""

import signal
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from keywright.agent import signals
from keywright.agent.child import Child, Rules
from keywright.agent.hearing import SETTLE, Heeded, Inbox
from keywright.agent.journal import note
from keywright.agent.passing import Passing
from keywright.agent.processes import System, gathered
from keywright.agent.subject import Known, Subject, known
from keywright.agent.watch import Asking, Failed, Heard, Watching
from keywright.errors import KeywrightError

Make = Callable[[Mapping[Subject, Known]], dict[str, str]]
"""The values that a program gets of what is known. Raises Invalid for what cannot be passed."""


@dataclass(frozen=True)
class Program:
    """What is run, how it is given its values, and what it hears of a change."""

    command: Sequence[str]
    passing: Passing
    rules: Rules


class Run:
    """See the module. Of `subjects` those in `watched` are watched."""

    def __init__(
        self, program: Program, subjects: Collection[Subject], watched: Collection[Subject], make: Make, ask: Asking
    ) -> None:
        self._program, self._passing = program, program.passing
        self._subjects, self._watched, self._make, self._ask = subjects, watched, make, ask
        self._processes = System(apart=not signals.in_foreground())
        self._inbox, self._heeded = Inbox(), Heeded()
        self._watching = Watching(ask, self._inbox.put, leave=ask.leave)
        self._child = Child(program.rules, self._launch, self._processes, note)
        self._values: dict[str, str] = {}
        self._given: dict[str, str] = {}
        self._look_at: float | None = None

    def run(self) -> int:
        """Until the program ends; its exit code. Raises what the first fetch raises, and CannotRun."""
        try:
            for subject in self._subjects:
                self._heeded.known[subject] = known(subject, self._ask(subject, None, 0), None, time.time())
            self._values = self._make(self._heeded.known)
            signals.take(self._inbox.put)
            self._child.start(time.monotonic())
            for subject in self._watched:
                self._watching.begin(subject, self._heeded.known[subject])
            while self._child.over is None:
                self._step()
            return self._child.over
        finally:
            self._passing.clear()

    def _launch(self) -> int:
        self._given = self._values
        with self._passing.ready(self._values) as (environ, files):
            return self._processes.start(self._program.command, environ, files)

    def _step(self) -> None:
        heard = self._inbox.take(min((at for at in (self._child.due, self._look_at) if at is not None), default=None))
        now = time.monotonic()
        if isinstance(heard, signals.Signal):
            self._signalled(heard, now)
        elif isinstance(heard, Heard):
            if self._heeded.heard(heard) and self._look_at is None:
                self._look_at = now + SETTLE
        elif isinstance(heard, Failed):
            self._heeded.failed(heard)
        if self._look_at is not None and now >= self._look_at:
            self._look_at = None
            self._look(now)
        self._child.tick(now)

    def _signalled(self, heard: signals.Signal, now: float) -> None:
        if heard.number != signal.SIGCHLD:
            self._child.signalled(heard)
            return
        for pid, code in gathered():
            if pid == self._child.pid:
                self._child.ended(code, now)

    def _look(self, now: float) -> None:
        """Is what the program has still what is known?"""
        try:
            self._values = self._make(self._heeded.known)
            if self._values != self._given:
                self._passing.renew(self._values)
        except (KeywrightError, OSError) as error:
            # It runs with what it has.
            note(f"a change cannot be passed on: {error.strerror if isinstance(error, OSError) else error}")
            return
        if self._values != self._given:
            self._child.changed(now)
            self._given = self._values
