"""keywright run on a terminal, under a shell that controls jobs: Ctrl-C reaches the program once, Ctrl-Z stops both."""

import os
import pty
import select
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.agent.place import PROGRAM, Place

PATIENCE = 40.0
# What a shell does for a job in the foreground: a group of its own, the terminal, and waiting for it to stop or end.
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def foreground(group): os.tcsetpgrp(0, group)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    foreground(os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    foreground(os.getpgrp())
    if os.WIFSTOPPED(status):
        print("shell: stopped", flush=True)
        input()
        foreground(job)
        os.killpg(job, signal.SIGCONT)
        print("shell: goes on", flush=True)
    else:
        print("shell: ended", os.waitstatus_to_exitcode(status), flush=True)
        break
"""
PROGRAM_ON_IT = """
import os, signal, time
for n in (signal.SIGINT, signal.SIGWINCH, signal.SIGQUIT, signal.SIGUSR1):
    signal.signal(n, lambda n, _: os.write(1, f"program: {signal.Signals(n).name}\\n".encode()))
print("program: ready", os.environ["HOST"], os.tcgetpgrp(0) == os.getpgrp(), flush=True)
while True: time.sleep(0.1)
"""


@dataclass
class Terminal:
    """What a person sees and types."""

    file: int
    shown: str = ""

    def until(self, text: str, times: int = 1) -> None:
        """Wait until it was shown."""
        deadline = time.monotonic() + PATIENCE
        while self.shown.count(text) < times:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.file], [], [], 0.5)[0]:
                self.shown += os.read(self.file, 4096).decode()

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.file, text.encode())


@pytest.fixture
def terminal(site: Place) -> Iterator[Terminal]:
    """With the program in its foreground."""
    job = [PROGRAM, "run", "--folder", "shop", "--on-change", "restart", "--", sys.executable, "-c", PROGRAM_ON_IT]
    with warnings.catch_warnings():
        # Python 3.12 warns of a fork beside threads; this child does nothing before it becomes the shell.
        warnings.simplefilter("ignore", DeprecationWarning)
        shell, file = pty.fork()
    if shell == 0:
        try:
            os.execve(sys.executable, [sys.executable, "-c", SHELL, *job], site.environ(TERM="dumb"))
        finally:
            os._exit(99)
    made = Terminal(file)
    made.until("program: ready db1 True")
    yield made
    os.close(file)  # hangs up
    os.kill(shell, signal.SIGKILL)
    os.waitpid(shell, 0)


def test_what_the_terminal_sends_reaches_the_program_once(site: Place, terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.until("program: SIGINT")
    terminal.type("\x1c")
    terminal.until("program: SIGQUIT")
    terminal.type("\x03")
    terminal.until("program: SIGINT", 2)
    assert terminal.shown.count("program: SIG") == 3


def test_stopped_and_going_on(site: Place, terminal: Terminal) -> None:
    terminal.type("\x1a")
    terminal.until("shell: stopped")
    terminal.type("\n")
    terminal.until("shell: goes on")
    terminal.type("\x03")
    terminal.until("program: SIGINT")
    terminal.type("\x1a")
    terminal.until("shell: stopped", 2)
    terminal.type("\n")
    terminal.until("shell: goes on", 2)
    terminal.type("\x03")
    terminal.until("program: SIGINT", 2)
    assert terminal.shown.count("program: SIG") == 2


def test_one_that_was_interrupted_is_restarted_all_the_same(site: Place, terminal: Terminal) -> None:
    terminal.type("\x03")
    terminal.until("program: SIGINT")
    site.put(HOST="db2")
    terminal.until("program: ready db2 True")
