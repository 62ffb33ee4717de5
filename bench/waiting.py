"""Thousands who wait for a change (`?wait=60` with If-None-Match), and how fast others fetch meanwhile."""

import json
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Any

from bench import keep
from bench.child import Child
from bench.contender import Contender, by_turns, point, ratio
from bench.fields import FIELDS, NAME
from bench.process import Process
from bench.run import Run
from service.core.secret import Secret

CONNECTIONS = 64
CHANGES = 3
ANSWERED_WITHIN = 60.0


def measure(run: Run) -> dict[str, Any]:
    """Fetches alone and beside the waiters; and how long it takes until a change has reached the last of them."""
    data = run.new_folder("waiting")
    owner, token = keep.made(data, run.log)
    process = Process(data, run.log)
    try:
        alone = _fetched(run, process, token)
        run.tell(f"holding {run.pace.waiters:,} waiters")
        holder = _holder(process, token, run.pace.waiters)
        try:
            held = _line(holder)
            memory = process.child.megabytes
            beside = _fetched(run, process, token)
            run.tell("telling them of a change")
            woken = [_woken(process, owner, holder) for _ in range(CHANGES)]
        finally:
            holder.stop()
    finally:
        process.stop()
    return {
        "wanted": run.pace.waiters,
        "held": held["held"],
        "refused": held["refused"],
        "held_mb": memory,
        "fetch_alone": alone,
        "fetch_beside": beside,
        "throughput_ratio": ratio(beside["throughput"], alone["throughput"]),
        "told_s": statistics.median(each["seconds"] for each in woken),
        "told": min(each["told"] for each in woken),
        "changed_s": statistics.median(each["answered"] for each in woken),
    }


def _fetched(run: Run, process: Process, token: Secret) -> dict[str, Any]:
    contender = Contender(keep.target(token, process), lambda: process.child.cpu_seconds)
    by_turns([contender], [CONNECTIONS], run.pace.rounds, run.pace.seconds)
    return point(contender.points[CONNECTIONS])


def _holder(process: Process, token: Secret, waiters: int) -> Child:
    request = urllib.request.Request(
        f"{process.address}{keep.PATH}", headers={"Authorization": f"Bearer {token.reveal()}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        tag = answer.headers["ETag"]
    child = Child([sys.executable, "-m", "bench.holder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    question = {"port": process.port, "path": keep.PATH, "token": token.reveal(), "tag": tag, "waiters": waiters}
    assert child.popen.stdin is not None
    child.popen.stdin.write(json.dumps(question) + "\n")
    child.popen.stdin.flush()
    return child


def _woken(process: Process, owner: Secret, holder: Child) -> dict[str, float]:
    """Change the secret: seconds until that was answered, how many waiters heard of it, seconds until the last did."""
    began = time.time()
    request = urllib.request.Request(
        f"{process.address}/api/v1/environments/{keep.ENVIRONMENT}/variables/{NAME}",
        json.dumps({"value": FIELDS | {"port": "6432"}}).encode(),
        {"Authorization": f"Bearer {owner.reveal()}", "Content-Type": "application/json"},
        method="PUT",
    )
    with urllib.request.urlopen(request, timeout=ANSWERED_WITHIN) as answer:
        answer.read()
    answered = time.time()
    told = _line(holder)
    return {"told": told["told"], "seconds": told["last"] - began, "answered": answered - began}


def _line(holder: Child) -> dict[str, Any]:
    """What the holder says next. It keeps its own time, and says something in any case."""
    assert holder.popen.stdout is not None
    line = holder.popen.stdout.readline()
    if not line:
        raise SystemExit("bench: the waiters are gone")
    found: dict[str, Any] = json.loads(line)
    return found
