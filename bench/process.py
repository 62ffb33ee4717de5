"""The real server as a process of its own: `keywrightd serve` on its SQLite defaults."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from service.core.secret import Secret

STARTS_WITHIN = 60.0
STOPS_WITHIN = 40.0
_COMMAND = (sys.executable, "-m", "service")


class Process:
    """One `keywrightd serve`, from its start to its end.

    `seconds` is how long it took to be ready, `start_cpu_seconds` how much of a core that was.
    """

    def __init__(self, data: Path, log: Path, *, clock: bool = True, workers: int = 4) -> None:
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        command = [*_COMMAND, "serve", "--data", str(data), "--listen", f"127.0.0.1:{self.port}"]
        began = time.perf_counter()
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command, env=_environment(clock, workers), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        try:
            while not self._ready():
                if self._popen.poll() is not None or time.perf_counter() - began > STARTS_WITHIN:
                    raise SystemExit(f"bench: the server did not start: {log.read_text(errors='replace')[-1000:]}")
                time.sleep(0.005)
        except BaseException:
            self.stop()
            raise
        self.ready_at = time.time()
        self.seconds = time.perf_counter() - began
        self.start_cpu_seconds = self.cpu_seconds

    def stop(self) -> None:
        """Stop it in order. Bounded."""
        self._popen.terminate()
        try:
            self._popen.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait(STOPS_WITHIN)

    @property
    def megabytes(self) -> float:
        """Resident memory (VmRSS in proc(5)), in units of 1,000,000 bytes."""
        for line in Path(f"/proc/{self._popen.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        return float("nan")

    @property
    def cpu_seconds(self) -> float:
        """Seconds of a core used so far (utime and stime in proc(5))."""
        fields = Path(f"/proc/{self._popen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def initialised(data: Path) -> Secret:
    """A new ledger; its owner's token."""
    command = [*_COMMAND, "init", "--data", str(data), "--json"]
    done = subprocess.run(command, env=_environment(True), capture_output=True, text=True, timeout=60, check=True)
    return Secret(json.loads(done.stdout.splitlines()[-1])["token"])


def _environment(clock: bool, workers: int = 4) -> dict[str, str]:
    # Nothing of what the person who measures has set; only the clock is switched, and the workers are counted.
    own = {"KEYWRIGHT_CLOCK": str(clock).lower(), "KEYWRIGHT_WORKERS": str(workers)}
    return {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(sys.path)} | own


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
