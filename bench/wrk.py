"""The load generator `wrk`, where it is on the path: how it is called, and its answer read."""

import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit

_UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


def found() -> bool:
    """Is it there?"""
    return shutil.which("wrk") is not None


def command(url: str, connections: int, seconds: float, header: tuple[str, str], folder: Path) -> list[str]:
    """How to call it. `folder` is a private one (0700)."""
    # The header by a file: arguments are seen by everybody.
    script = folder / f"header-{urlsplit(url).port}.lua"  # one that is written must not be another one's that begins
    script.touch(0o600)
    script.write_text(f'wrk.headers["{header[0]}"] = "{header[1]}"\n')
    return ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--latency", "-s", str(script), url]


def read(text: str) -> dict[str, float | int]:
    """What it printed. Raises SystemExit."""
    counted = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", text)
    if counted is None:
        raise SystemExit(f"bench: wrk said something unknown: {text[:500]}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    cut = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    refused = int(bad[1]) if bad else 0
    answers = int(counted[1]) - refused
    return {
        "answers": answers,
        "seconds": float(counted[2]) * _UNITS[counted[3]] / 1000,
        "p50": _percentile(text, "50%") if answers else float("nan"),
        "p99": _percentile(text, "99%") if answers else float("nan"),
        "errors": refused + (sum(map(int, cut.groups())) if cut else 0),
    }


def _percentile(text: str, which: str) -> float:
    line = re.search(rf"^\s+{which}\s+([\d.]+)(us|ms|s|m)\s*$", text, re.MULTILINE)
    return float(line[1]) * _UNITS[line[2]] if line else float("nan")
