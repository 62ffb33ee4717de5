"""`keywright agent`: keeps files, and a program, as Keywright has it. One thread decides; others listen.

news of a subject ─► the pages that need it are rendered again ─► written if they differ ─► commands, the program
no answer         ─► everything stays; where nothing is known yet, what was sealed on disk is taken
"""

import copy
import json
import signal
import time
from collections import ChainMap
from collections.abc import Mapping, Sequence

from keywright.agent import signals, status
from keywright.agent.child import Child
from keywright.agent.configuration import Configuration
from keywright.agent.destination import Destination, Unwritable
from keywright.agent.hearing import SETTLE, Heeded, Inbox
from keywright.agent.journal import note
from keywright.agent.kept import Sealed
from keywright.agent.page import Errand, Page
from keywright.agent.processes import System, gathered
from keywright.agent.rendering import Rendering
from keywright.agent.subject import Known, Subject, moment
from keywright.agent.watch import Asking, Failed, Heard, Watching
from keywright.errors import Absent, Forbidden, KeywrightError, Unauthenticated

MOST = 500
"""Subjects, at most, for all templates together."""
BEAT, SOON = 60.0, 0.5
"""Seconds between two writings of status and cache: where nothing changes but ages, and after a change."""
FAILED = 1
"""The exit code when a template with `on_error = "stop"` fails."""
_REFUSED = (Absent, Forbidden, Unauthenticated)


class Upkeep:
    """See the module."""

    def __init__(
        self, wanted: Configuration, ask: Asking, sealed: Sealed | None, around: Mapping[str, str], *, once: bool
    ) -> None:
        """`around` is the environment of commands and the program. Raises Broken, and Invalid for a cache."""
        self._wanted, self._ask, self._sealed, self._around, self._once = wanted, ask, sealed, around, once
        self._processes = System(apart=not signals.in_foreground())
        self._inbox, self._heeded = Inbox(), Heeded()
        self._watching = Watching(ask, self._inbox.put, leave=ask.leave)
        self._laid_by: dict[Subject, Known] = sealed.read() if sealed else {}
        rendering = Rendering(time.time)
        self.pages = [Page(rendering.template(file.name, file.source), file) for file in wanted.files]
        self._errands = [Errand(p, p.file, self._processes, around) for p in self.pages if p.file and p.file.command]
        entries = wanted.program.environment if wanted.program else {}
        self._entries = {
            name: Page(rendering.template(f"exec.environment: {name}", text), None) for name, text in entries.items()
        }
        self.pages += self._entries.values()
        self._child: Child | None = None
        if wanted.program and not once:
            command = wanted.program.command
            self._child = Child(wanted.program.rules, lambda: self._launch(command), self._processes, note)
        self._started = self._away = False
        self._over: int | None = None
        self._look_at: float | None = time.monotonic()
        self._tell_at = time.monotonic() + SOON
        self._complaints: set[str] = set()
        self._lost: dict[Subject, KeywrightError] = {}
        """With `once`: what was not answered."""

    def run(self) -> int:
        """Until it is told to end, or its program ends; the exit code. With `once` raises what a fetch raises."""
        signals.take(self._inbox.put)
        self._tell_status()  # what a former agent wrote is not true any more
        while (code := self._ending()) is None:
            self._step()
        self._tell(time.monotonic(), ended=True)
        return code

    def _ending(self) -> int | None:
        if self._child is not None and self._started:
            if self._over is not None and self._child.over is None:
                return None  # it is being stopped
            return self._child.over if self._over is None else self._over
        if self._once and self._over is None and not any(errand.pid is not None for errand in self._errands):
            return self._done_once()
        return self._over

    def _done_once(self) -> int | None:
        """None while something may still come. Raises what a fetch raised, once all others are written."""
        lost = [(page, page.lacks) for page in self.pages if page.lacks and page.lacks.subject in self._lost]
        if not all(page.text is not None or page.error or (page, page.lacks) in lost for page in self.pages):
            return None
        if not lost:
            return FAILED if any(page.error for page in self.pages) else 0
        self._tell(time.monotonic(), ended=True)
        error = copy.copy(self._lost[lost[0][1].subject])
        error.message = "; ".join(
            f"{page.template.name}, line {lacks.line}: {lacks.subject}: {self._lost[lacks.subject].message}"
            for page, lacks in lost
        )
        raise error

    def _step(self) -> None:
        times = [self._look_at, self._tell_at, *(page.render_at for page in self.pages)]
        times += [self._child.due if self._child else None, *(errand.kill_at for errand in self._errands)]
        heard = self._inbox.take(min(at for at in times if at is not None))
        now = time.monotonic()
        if isinstance(heard, signals.Signal):
            self._signalled(heard, now)
        elif isinstance(heard, Heard):
            self._heard(heard, now)
        elif isinstance(heard, Failed):
            self._failed(heard, now)
        if self._look_at is not None and now >= self._look_at:
            self._look_at = None
            self._look(now)
        elif any(page.render_at is not None and now >= page.render_at for page in self.pages):
            self._look(now)
        for errand in self._errands:
            errand.tick(now)
        if self._child is not None:
            self._child.tick(now)
        if now >= self._tell_at:
            self._tell(now)

    def _heard(self, news: Heard, now: float) -> None:
        subject = news.known.subject
        first = subject not in self._heeded.known
        self._laid_by.pop(subject, None)
        if subject not in self._watching.subjects:
            return  # it came too late to be told that nobody wants it
        self._tell_soon(now)
        self._away = False
        self._lost.pop(subject, None)
        if self._heeded.heard(news):
            self._soil(subject, now, SETTLE if not first else 0.0)

    def _failed(self, news: Failed, now: float) -> None:
        subject = news.subject
        if subject not in self._watching.subjects:
            return
        self._tell_soon(now)
        refused = isinstance(news.error, _REFUSED)
        if refused:  # an answer, not an outage: what may not be had is not laid by
            self._laid_by.pop(subject, None)
        elif self._laid_by:  # whoever does not answer for one name need not be waited for again
            self._away, self._look_at = True, now
            for page in self.pages:
                page.dirty |= page.text is None
        if self._once and subject not in self._at_hand():
            # Told at the end, together with the templates that ask for it.
            self._lost[subject], self._heeded.failing[subject] = news.error, news.error.message
            return
        self._heeded.failed(news, refused=refused)

    def _soil(self, subject: Subject, now: float, settle: float) -> None:
        for page in self.pages:
            page.dirty |= subject in page.needs.subjects
        at = now + settle
        self._look_at = at if self._look_at is None else min(at, self._look_at)

    def _signalled(self, heard: signals.Signal, now: float) -> None:
        if heard.number == signal.SIGCHLD:
            for pid, code in gathered():
                self._ended(pid, code, now)
        elif self._child is not None and self._started:
            self._child.signalled(heard)
        elif heard.number in signals.ENDING:
            self._over = 0 if heard.number == signal.SIGTERM else 128 + heard.number
        elif heard.number == signal.SIGHUP:
            self._look_at = now
            for page in self.pages:
                page.dirty = True
        elif heard.number == signal.SIGTSTP:
            self._processes.stop_us()

    def _ended(self, pid: int, code: int, now: float) -> None:
        self._tell_soon(now)
        if self._child is not None and pid == self._child.pid:
            self._child.ended(code, now)
        for errand in self._errands:
            if pid == errand.pid:
                errand.ended(code, now)
                self._stop_for(errand.page, now)

    def _look(self, now: float) -> None:
        """Render what is to be, and do what follows from it."""
        changed = []
        for page in self.pages:
            if page.dirty or (page.render_at is not None and now >= page.render_at):
                if page.render(self._at_hand(), now):
                    changed.append(page)
                self._take(page)
                self._stop_for(page, now)
        self._tell_soon(now)
        self._watch()
        for errand in self._errands:
            if errand.page in changed:
                errand.send(now)
                self._stop_for(errand.page, now)
        if self._child is None or self._over is not None:
            return
        if self._started:
            if changed:
                self._child.changed(now)
        elif all(page.text is not None for page in self.pages):
            self._child.start(now)
            self._started = True
        elif broken := next((page for page in self._entries.values() if page.error), None):
            self._complain(f"the program is not started as long as {broken.template.name} cannot be rendered")

    def _at_hand(self) -> Mapping[Subject, Known]:
        """What is known; where the server is away, filled up with what was laid by."""
        return ChainMap(self._heeded.known, self._laid_by) if self._away else self._heeded.known

    def _take(self, page: Page) -> None:
        """What a page had of what was laid by is known from now on."""
        for subject in page.needs.subjects & self._laid_by.keys() if self._away else ():
            known = self._laid_by.pop(subject)
            if self._heeded.known.setdefault(subject, known) is known:
                note(f"{subject}: taken from the cache, as it was at {moment(known.heard)}")

    def _watch(self) -> None:
        """Exactly what the pages need."""
        needed = {subject for page in self.pages for subject in page.needs.subjects}
        for subject in self._watching.subjects - needed:
            self._watching.end(subject)
            self._heeded.forget(subject)
        for subject in needed - self._watching.subjects:
            if len(self._watching.subjects) >= MOST:
                self._complain(f"the templates need more than {MOST} names: use several agents")
                return
            self._watching.begin(subject, self._heeded.known.get(subject))

    def _stop_for(self, page: Page, now: float) -> None:
        if page.error is None or not (page.file.stop if page.file else False):
            return
        if self._over is None:
            self._over = FAILED
            if self._child is not None and self._started:
                self._child.stop(now)

    def _launch(self, command: Sequence[str]) -> int:
        entries = {name: page.text or "" for name, page in self._entries.items()}
        return self._processes.start(command, dict(self._around) | entries)

    def _tell_soon(self, now: float) -> None:
        self._tell_at = min(self._tell_at, now + SOON)

    def _tell(self, now: float, *, ended: bool = False) -> None:
        """Write cache and status. Both have ages in them, so that they are written now and then all the same."""
        self._tell_at = now + BEAT
        if all(page.text is not None for page in self.pages):
            self._laid_by.clear()  # what was not needed by now is needed no more
        try:
            if self._sealed is not None:
                self._sealed.write([*self._heeded.allowed(), *self._laid_by.values()])
        except Unwritable as error:
            self._complain(str(error))
        self._tell_status(ended=ended)

    def _tell_status(self, *, ended: bool = False) -> None:
        if self._wanted.status is None:
            return
        told = status.told(self._ask.address, self._ask.environment, self._heeded, self.pages, self._child)
        told |= {"ended": ended, "once": self._once}
        try:
            Destination(self._wanted.status).write(json.dumps(told).encode())
        except Unwritable as error:
            self._complain(str(error))

    def _complain(self, text: str) -> None:
        """Once."""
        if text not in self._complaints:
            self._complaints.add(text)
            note(text)
