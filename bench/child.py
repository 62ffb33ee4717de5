"""Processes of a run: started, measured as a whole with what they start themselves, and ended whatever happens."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from bench.interruption import shielded

STOPS_WITHIN = 40.0
"""Seconds that a process has to end in order, before it is killed."""
_living: set["Child"] = set()


class Child:
    """One process. In a session of its own, because Ctrl-C in a terminal goes to every process of the foreground."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdin: int | IO[Any] | None = subprocess.DEVNULL,
        stdout: int | IO[Any] | None = None,
        stderr: int | IO[Any] | None = None,
        cwd: Path | None = None,
    ) -> None:
        with shielded():
            self.popen = subprocess.Popen(
                command,
                env=environment,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=cwd,
                text=True,
                start_new_session=True,
            )
            _living.add(self)

    @property
    def ended(self) -> bool:
        """Is it gone?"""
        return self.popen.poll() is not None

    def stop(self) -> None:
        """Stop it in order. Bounded; nothing happens where it is gone."""
        if not self.ended:
            self.popen.terminate()
        try:
            self.popen.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait(STOPS_WITHIN)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()
        _living.discard(self)

    def said(self, text: str, seconds: float) -> str:
        """Give it `text` and return what it wrote. Raises SystemExit where it failed or took too long."""
        try:
            out, error = self.popen.communicate(text, seconds)
        except subprocess.TimeoutExpired:
            raise SystemExit(f"bench: {self.popen.args!r} did not end in {seconds:.0f} seconds") from None
        finally:
            self.stop()
        if self.popen.returncode:
            raise SystemExit(f"bench: a process failed: {(error or out or '')[-500:]}")
        return str(out)

    @property
    def cpu_seconds(self) -> float:
        """Seconds of a core used so far (utime and stime in proc(5)), by it and its descendants that live."""
        return sum(_cpu_seconds(pid) for pid in _family(self.popen.pid))

    @property
    def megabytes(self) -> float:
        """Resident memory (VmRSS in proc(5)), in units of 1,000,000 bytes."""
        return sum(_megabytes(pid, "VmRSS") for pid in _family(self.popen.pid))

    @property
    def peak_megabytes(self) -> float:
        """The most resident memory that it ever had (VmHWM in proc(5))."""
        return sum(_megabytes(pid, "VmHWM") for pid in _family(self.popen.pid))


def end_all() -> None:
    """End whatever is still there."""
    for child in list(_living):
        child.stop()


def last_words(log: Path, letters: int = 1000) -> str:
    """The last words of a log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:  # of a server that notes every request it may be long
        file.seek(max(0, log.stat().st_size - letters))
        return file.read().decode(errors="replace")


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for file in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, file.read_text().split())
            except OSError:
                continue
    return found


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _megabytes(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:")), float("nan"))
