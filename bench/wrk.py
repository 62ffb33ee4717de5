"""The load generator `wrk`, where it is on the path: the same question, and its answer read."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def found() -> bool:
    """Is it there?"""
    return shutil.which("wrk") is not None


def measure(port: int, path: str, token: str, connections: int, seconds: float) -> dict[str, float]:
    """As `bench.load.measure`."""
    with tempfile.TemporaryDirectory() as folder:
        # The header by a file (0600 in a folder 0700): arguments are seen by everybody.
        script = Path(folder) / "token.lua"
        script.touch(0o600)
        script.write_text(f'wrk.headers["Authorization"] = "Bearer {token}"\n')
        command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency", "-s", str(script)]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}{path}"],
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=True,
        )
    return read(done.stdout)


def read(text: str) -> dict[str, float]:
    """What it printed."""
    counted = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if counted is None:
        raise SystemExit(f"bench: wrk said something unknown: {text[:500]}")
    return {
        "fetches": int(counted[1]),
        "seconds": float(counted[2]) * _UNITS[counted[3]] / 1000,
        "p50": _percentile(text, "50%"),
        "p99": _percentile(text, "99%"),
        "errors": int(bad[1]) if bad else 0,
    }


def _percentile(text: str, which: str) -> float:
    line = re.search(rf"^\s+{which}\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return float(line[1]) * _UNITS[line[2]] if line else float("nan")
