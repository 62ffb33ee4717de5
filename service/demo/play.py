"""One performance, from the curtain to the last line."""

import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from service import settings
from service.core.secret import Secret
from service.demo import scene
from service.demo.applications import Application
from service.demo.habits import EveryTime, Habit, Oldest, OncePerGeneration
from service.demo.instance import Instance, settings_in
from service.demo.logbook import Logbook, logbook
from service.demo.server import Server
from service.demo.stopping import Stopped, Stopping
from service.demo.story import Story
from service.demo.table import Frame, say, screen
from service.demo.wire import Wire

INTRODUCTION = (
    "Three applications log in to a PostgreSQL, each ten times a second, always anew.\n"
    "Keywright turns their password every few seconds. Nothing breaks. Ctrl-C ends it."
)
WANTED = 2
"""Rotations that must have been retired for the demo to have shown anything."""
FAILED = 4
"""Exit status."""
_FRAME = 0.25


def play(seconds: int, stopping: Stopping) -> int:
    """The exit status. Raises KeywrightError when it cannot begin."""
    say(INTRODUCTION, stopping)
    performance = Performance(stopping)
    with suppress(Stopped):
        performance.give(seconds)
    if stopping.asked and sys.stdout.isatty():
        say("", stopping)  # the terminal has written ^C there
    if performance.kept:
        say(f"log: {performance.kept}", stopping)
    if not (performance.retired_enough or performance.failed or stopping.asked):
        say(f"fewer than {WANTED} rotations were retired; give it at least 15 seconds", stopping)
    say(performance.last_line, stopping)
    return FAILED if performance.failed or not performance.retired_enough else 0


class Performance:
    """What is counted, and how it is counted."""

    def __init__(self, stopping: Stopping) -> None:
        self._stopping = stopping
        self._stop = threading.Event()
        self._applications: list[Application] = []
        self._story: Story | None = None
        self.kept: Path | None = None

    @property
    def failed(self) -> int:
        """Logins that failed."""
        return sum(it.tally.failed for it in self._applications)

    @property
    def retired_enough(self) -> bool:
        """Did enough rotations end well?"""
        return self._story is not None and self._story.retired >= WANTED

    @property
    def last_line(self) -> str:
        """The outcome, for people and for scripts."""
        worked = {it.name: it.tally.worked for it in self._applications}
        oldest = worked.get(scene.APPLICATIONS[-1], 0)
        retired = self._story.retired if self._story else 0
        return f"demo: rotations={retired} logins={sum(worked.values())} logins_oldest={oldest} failed={self.failed}"

    def give(self, seconds: int) -> None:
        """Everything is stopped and deleted afterwards, whatever happens. Raises KeywrightError, Stopped."""
        with ExitStack() as stack:
            folder = stack.enter_context(_folder())
            mounted = folder / "mounted"
            scene.mount(mounted)
            given = settings.read({}, **settings_in(folder, mounted))
            book = stack.enter_context(logbook(given))
            server = Server(folder / "postgresql", self._stopping)
            stack.callback(self._keep, book, server)
            stack.callback(server.close)
            server.start()
            passwords = scene.furnish(server)
            self._stopping.check()
            instance = Instance(given, scene.SURROUNDINGS, self._stopping)
            stack.callback(instance.close)
            admin = Wire(instance.address, instance.owner)
            stack.callback(admin.close)
            tokens = scene.describe(admin, server, passwords, mounted, self._stopping)
            self._story = Story(admin)
            self._invite(instance.address, tokens, stack)
            stack.callback(self._end)
            self._watch(self._story, seconds)

    def _invite(self, address: str, tokens: dict[str, Secret], stack: ExitStack) -> None:
        wires = {name: Wire(address, token) for name, token in tokens.items()}
        for wire in wires.values():
            stack.callback(wire.close)
        every_time, once, oldest = scene.APPLICATIONS
        say(scene.fetched(wires[every_time]), self._stopping)
        habits: dict[str, Habit] = {
            every_time: EveryTime(wires[every_time]),
            once: OncePerGeneration(wires[once], self._stop),
            oldest: Oldest(wires[oldest]),
        }
        self._applications = [Application(name, habit, self._stop) for name, habit in habits.items()]
        for application in self._applications:
            application.start()

    def _watch(self, story: Story, seconds: int) -> None:
        deadline = time.monotonic() + seconds
        with screen(self._stopping) as shown:
            while (left := deadline - time.monotonic()) > 0:
                shown.show(Frame(left, story, story.look(), self._applications))
                self._stopping.sleep(min(_FRAME, left))
            shown.show(Frame(0, story, story.look(), self._applications))

    def _end(self) -> None:
        self._stop.set()
        for application in self._applications:
            application.join()

    def _keep(self, book: Logbook, server: Server) -> None:
        if self.failed or (not self.retired_enough and not self._stopping.asked and book.written):
            book.keep(server.log)
            self.kept = book.path


@contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="keywright-demo-")).resolve()
    try:
        path.chmod(0o711)  # where PostgreSQL runs as nobody, it must be able to pass
        server = path / "postgresql"
        server.mkdir(mode=0o700)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
