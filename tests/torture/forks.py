"""Forks: many real processes at once, each born from this one with everything imported.

Waiting costs nothing, and most of a rotation is waiting: so many cases are under way together. The parent has
no threads and no open connections when it forks.
"""

import ctypes
import gc
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

IN_FLIGHT = 28
LONGEST = 200.0
"""Seconds after which a process is taken for hanging, and killed."""
_PARENT_DEATH = 1  # PR_SET_PDEATHSIG in prctl(2)


class Fork:
    """A child that runs `life` and ends. `status` is as waitpid(2) has it, None while it lives."""

    def __init__(self, life: Callable[[], None], home: Path, *, stops: bool = False) -> None:
        self.began = time.monotonic()
        self._stops = stops
        self.status: int | None = None
        self.stopped = False
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _live(life, home)

    def over(self) -> bool:
        """Has it ended, or (where that was wanted) stopped?"""
        if self.status is not None or self.stopped:
            return True
        pid, status = os.waitpid(self.pid, os.WNOHANG | (os.WUNTRACED if self._stops else 0))
        if pid and os.WIFSTOPPED(status):
            self.stopped = True
        elif pid:
            self.status = status
        elif time.monotonic() - self.began > LONGEST:
            self.end()
        return self.status is not None or self.stopped

    def end(self) -> None:
        """See to it that it is gone."""
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            self.status = os.waitpid(self.pid, 0)[1]
            self.stopped = False

    @property
    def killed(self) -> bool:
        """Did it die by SIGKILL?"""
        return self.status is not None and os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL


def _live(life: Callable[[], None], home: Path) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PARENT_DEATH, signal.SIGKILL)
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(home / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        gc.disable()
        life()
        code = 0
    except BaseException:  # noqa: BLE001 - it ends here, whatever it was, and never goes on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def together(stories: list[Callable[[], Iterator[Fork]]], in_flight: int = IN_FLIGHT) -> None:
    """Run stories, each a generator that yields one fork after another and goes on when that one is over."""
    gc.collect()
    gc.freeze()  # children share these pages for as long as nobody writes to them
    waiting, running = list(reversed(stories)), list[tuple[Iterator[Fork], Fork]]()
    try:
        while waiting or running:
            while waiting and len(running) < in_flight:
                _next(waiting.pop()(), running)
            for story, fork in [pair for pair in running if pair[1].over()]:
                running.remove((story, fork))
                _next(story, running)
            time.sleep(0.01)
    finally:
        for _, fork in running:
            fork.end()
        gc.unfreeze()


def _next(story: Iterator[Fork], running: list[tuple[Iterator[Fork], Fork]]) -> None:
    fork = next(story, None)
    if fork is not None:
        running.append((story, fork))
