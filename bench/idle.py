"""Starting and doing nothing: seconds to /readyz, resident memory, share of a core."""

import statistics
import time
from typing import Any

from bench.process import Process
from bench.run import Run

STARTS = 5
SETTLES = 2.0
WATCHED = 10.0


def starts(run: Run) -> dict[str, Any]:
    """Seconds from exec to the first 200 of /readyz: with a ledger to be made, and with one that is there."""
    data = run.new_folder("started")
    seconds, cpu = [], []
    for _ in range(STARTS + 1):
        process = Process(data, run.log)
        process.stop()
        seconds.append(process.seconds)
        cpu.append(process.start_cpu_seconds)
    return {
        "first_start_s": seconds[0],
        "start_s": statistics.median(seconds[1:]),
        "start_cpu_s": statistics.median(cpu[1:]),
        "starts": STARTS,
    }


def idle(run: Run) -> dict[str, Any]:
    """Of a server that nobody asks anything; its clock ticks."""
    process = Process(run.new_folder("idle"), run.log)
    try:
        time.sleep(SETTLES)
        cpu, began = process.child.cpu_seconds, time.perf_counter()
        time.sleep(WATCHED)
        share = (process.child.cpu_seconds - cpu) / (time.perf_counter() - began)
        return {"idle_mb": process.child.megabytes, "idle_cpu_percent": share * 100, "watched_s": WATCHED}
    finally:
        process.stop()
