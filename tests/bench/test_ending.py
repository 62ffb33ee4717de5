"""Whatever ends a run: its processes are gone, and so are its folders."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.child import Child
from bench.run import QUICK, running

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
RUN = """
import sys, time
from bench.child import Child
from bench.interruption import listening
from bench.run import QUICK, running
from service.demo.stopping import Stopped

try:
    with listening(), running(QUICK) as run:
        sleeper = Child([sys.executable, "-c", "import time; time.sleep(60)"])
        print(sleeper.popen.pid, run.folder, flush=True)
        time.sleep(60)
except Stopped:
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_every_process_and_removes_the_folder(number: signal.Signals) -> None:
    run = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert run.stdout is not None
        pid, folder = run.stdout.readline().split()
        assert Path(folder).is_dir()
        run.send_signal(number)
        assert run.wait(PATIENCE) == 130
        assert not Path(folder).exists()
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)
    finally:
        run.kill()
        run.communicate()


def test_a_mistake_ends_every_process_and_removes_the_folder() -> None:
    seen: list[tuple[Child, Path]] = []

    def fail() -> None:
        with running(QUICK) as run:
            seen.append((Child([sys.executable, "-c", "import time; time.sleep(60)"]), run.folder))
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()
    sleeper, folder = seen[0]
    assert sleeper.ended
    assert not folder.exists()


def said(script: str) -> str:
    """In a process of its own: what is tried there are its signals."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE, check=False
    )
    return done.stdout + done.stderr


def test_nothing_is_raised_between_a_start_and_its_note() -> None:
    script = """
import os, signal
from bench.interruption import listening, shielded
from service.demo.stopping import Stopped

try:
    with listening():
        with shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            print("went on")
        print("not here")
except Stopped as stopped:
    print(stopped)
"""
    assert said(script) == "went on\nSIGTERM\n"


def test_what_takes_too_long_is_ended_and_what_does_not_is_not() -> None:
    script = """
import signal, time
from bench.interruption import OutOfTime, limit, listening

with listening():
    try:
        with limit(0.05):
            time.sleep(60)
    except OutOfTime:
        print("ended")
    with limit(60):
        print("done", signal.getitimer(signal.ITIMER_REAL)[0] > 0)
    print(signal.getitimer(signal.ITIMER_REAL))
"""
    assert said(script) == "ended\ndone True\n(0.0, 0.0)\n"
