"""Starting and doing nothing: seconds to /readyz, resident memory, share of a core."""

import statistics
import time
from pathlib import Path
from typing import Any

from bench.process import Process

STARTS = 5
SETTLES = 2.0
WATCHED = 10.0


def starts(data: Path, log: Path) -> dict[str, Any]:
    """Seconds from exec to the first 200 of /readyz: with a ledger to be made, and with one that is there."""
    seconds, cpu = [], []
    for _ in range(STARTS + 1):
        process = Process(data, log)
        process.stop()
        seconds.append(process.seconds)
        cpu.append(process.start_cpu_seconds)
    return {
        "first_start_s": seconds[0],
        "start_s": statistics.median(seconds[1:]),
        "start_cpu_s": statistics.median(cpu[1:]),
        "starts": STARTS,
    }


def idle(process: Process) -> dict[str, Any]:
    """Of a server that nobody asks anything; its clock ticks."""
    time.sleep(SETTLES)
    cpu, began = process.cpu_seconds, time.perf_counter()
    time.sleep(WATCHED)
    share = (process.cpu_seconds - cpu) / (time.perf_counter() - began)
    return {"idle_mb": process.megabytes, "idle_cpu_percent": share * 100, "watched_s": WATCHED}
