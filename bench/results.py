"""bench/out/results.json: what was found, section by section. What is not a number is `null` there, NaN here."""

import json
import math
import os
import platform
from pathlib import Path
from typing import Any

from bench.run import OUT

FILE = OUT / "results.json"


def earlier(file: Path = FILE) -> dict[str, Any]:
    """What was found so far."""
    if not file.exists():
        return {}
    found: dict[str, Any] = _read(json.loads(file.read_text()))
    return found


def write_down(name: str, found: dict[str, Any], file: Path = FILE) -> None:
    """One section's results, in place of its earlier ones."""
    file.parent.mkdir(exist_ok=True)
    results = _written(earlier(file) | {"where": where(), name: found})
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(results, indent=2, allow_nan=False) + "\n")
    partial.replace(file)


def where() -> dict[str, Any]:
    """On what it was measured."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _written(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _written(each) for key, each in found.items()}
    if isinstance(found, list | tuple):
        return [_written(each) for each in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _read(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _read(each) for key, each in found.items()}
    return math.nan if found is None else found
