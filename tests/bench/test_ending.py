"""Whatever ends a run: its processes are gone, and so are its folders."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench import results
from bench.__main__ import measured
from bench.child import Child
from bench.interruption import Interrupted
from bench.run import QUICK, Run, running
from bench.sections import SECTIONS, Section, chosen

ROOT = Path(__file__).parents[2]
PATIENCE = 30.0
RUN = """
import sys, time
from bench.child import Child
from bench.interruption import Interrupted, listening
from bench.run import QUICK, running

try:
    with listening(), running(QUICK) as run:
        sleeper = Child([sys.executable, "-c", "import time; time.sleep(60)"])
        print(sleeper.popen.pid, run.folder, flush=True)
        time.sleep(60)
except Interrupted:
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
from bench.interruption import Interrupted, listening, shielded

try:
    with listening():
        with shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            print("went on")
        print("not here")
except Interrupted as stopped:
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


def test_a_section_that_fails_costs_the_others_nothing_and_one_that_was_stopped_is_not_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(results, "write_down", written.__setitem__)

    def fails(run: Run) -> dict[str, Any]:
        (run.new_folder("large") / "file").touch()
        run.log.touch()
        raise KeyError("on purpose")

    def refuses(run: Run) -> dict[str, Any]:
        raise SystemExit("bench: nothing to be had")

    def stopped(run: Run) -> dict[str, Any]:
        raise Interrupted("SIGTERM")

    def works(run: Run) -> dict[str, Any]:
        assert not any(run.folder.iterdir())  # nothing is left of the one before
        return {"figure": 1}

    def section(measure: Callable[[Run], dict[str, Any]]) -> Section:
        return Section(measure.__name__, "", measure, PATIENCE)

    run = Run(tmp_path, QUICK)
    assert measured(run, [section(fails), section(refuses), section(works)], "quick") == ["fails", "refuses"]
    assert "on purpose" in written["fails"]["failed"]
    assert written["refuses"]["failed"] == "bench: nothing to be had"
    assert written["works"]["figure"] == 1
    assert all(found["run"]["pace"] == "quick" for found in written.values())
    with pytest.raises(Interrupted):
        measured(run, [section(stopped), section(works)], "quick")
    assert "stopped" not in written


def test_sections_are_chosen_by_name() -> None:
    assert [section.name for section in chosen(["log", "idle"])] == ["idle", "log"]
    assert chosen([]) == list(SECTIONS)
    with pytest.raises(SystemExit, match="no section speed"):
        chosen(["speed"])
