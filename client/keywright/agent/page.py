"""One template and what it makes: a file with a command after it, or an entry of a program's environment.

waiting ──what it needs is heard──► rendered ──► written ──changed──► its command
   ▲                                    │            │
   └── it asks for something unheard ───┘            └── broken, unwritable: what is there stays, and is tried again
"""

import os
import signal
import time
from collections.abc import Mapping

from keywright.agent.configuration import File
from keywright.agent.destination import Unwritable
from keywright.agent.journal import note
from keywright.agent.pausing import pause
from keywright.agent.processes import CannotRun, Processes
from keywright.agent.rendering import Broken, Needs, Template, Unheard
from keywright.agent.subject import Known, Subject

AGES = 60.0
"""Seconds after which a text that tells an age is rendered again."""


class Page:
    """See the module. `file` is None for an entry of an environment, whose value is `text` then."""

    def __init__(self, template: Template, file: File | None) -> None:
        self.template, self.file = template, file
        self.needs = Needs()
        self.text: str | None = None
        """As it was last rendered and, where there is a file, written."""
        self.changed: float | None = None
        """When the file was last found or made to be as it should, in seconds since 1970."""
        self.error: str | None = None
        self.lacks: Unheard | None = None
        """What it waits for."""
        self.dirty = True
        self.render_at: float | None = None
        """By time.monotonic."""
        self._failures = 0

    def render(self, known: Mapping[Subject, Known], now: float) -> bool:
        """Bring it up to date; is it another one now?"""
        self.dirty, self.render_at, self.lacks = False, None, None
        needs = Needs()
        try:
            text = self.template.render(known, needs)
            changed = self.file.destination.write(text.encode()) if self.file else text != self.text
        except Unheard as unheard:
            self.lacks = unheard.with_traceback(None)
            self.needs.subjects |= needs.subjects
            return False
        except (Broken, Unwritable) as error:
            self.needs.subjects |= needs.subjects
            self.fail(str(error))
            self._failures += 1
            self.render_at = now + pause(self._failures)
            return False
        self.needs, self.text, self._failures = needs, text, 0
        if self.error is not None:
            note(f"{self.template.name} is well again")
        self.error = None
        if needs.time:
            self.render_at = now + AGES
        if changed or self.changed is None:
            self.changed = time.time()
        if changed and self.file:
            note(f"{self.template.name} was written")
        return changed

    def fail(self, why: str) -> None:
        """Say it, once for each reason."""
        if why != self.error:
            note(why)
        self.error = why


class Errand:
    """The command of a page: one at a time, once more if the page changed meanwhile, and no longer than allowed."""

    def __init__(self, page: Page, file: File, processes: Processes, environ: Mapping[str, str]) -> None:
        self.page, self._file, self._processes, self._environ = page, file, processes, environ
        self.pid: int | None = None
        self.kill_at: float | None = None
        self._again = self._killed = False

    def send(self, now: float) -> None:
        """Run it, or once more when it is done."""
        if self._file.command is None:
            return
        if self.pid is not None:
            self._again = True
            return
        try:
            self.pid = self._processes.start(self._file.command, self._environ, quiet=True)
            self.kill_at, self._killed = now + self._file.timeout, False
        except CannotRun as error:
            self.page.fail(f"{self._file.name}: the command {error}")

    def tick(self, now: float) -> None:
        """End it when it took too long."""
        if self.pid is not None and self.kill_at is not None and now >= self.kill_at:
            self.kill_at, self._killed = None, True
            self._processes.send(self.pid, signal.SIGKILL, group=True)

    def ended(self, code: int, now: float) -> None:
        """It has."""
        self.pid = self.kill_at = None
        name = os.path.basename((self._file.command or ("",))[0])
        if self._killed:
            self.page.fail(f"{self._file.name}: {name} took longer than {self._file.timeout:g} seconds: killed")
        elif code:
            self.page.fail(f"{self._file.name}: {name} ended with {code}")
        if self._again:
            self._again = False
            self.send(now)
