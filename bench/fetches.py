"""Fetches of one literal secret through the real server."""

import json
import secrets
import statistics
import subprocess
import sys
from typing import Any

from bench import wrk
from bench.process import Process
from bench.rounds import Rounds
from service.core.secret import Secret
from service.demo.wire import Wire

CONNECTIONS = (1, 16, 64)
SECONDS = 4.0
NAME = "bench/TOKEN"


def measure(process: Process, owner: Secret, rounds: Rounds) -> list[dict[str, Any]]:
    """A row per number of connections: fetches a second, and milliseconds; medians over the rounds."""
    wire = Wire(process.address, owner)
    try:
        wire.post("/environments", {"name": "bench"})
        wire.put(f"/environments/bench/variables/{NAME}", {"value": secrets.token_hex(16)})
        grant = {"level": "use", "kind": "folder", "environment": "bench", "path": "bench"}
        token = wire.post("/tokens", {"name": "load", "grants": [grant]})["token"]
    finally:
        wire.close()
    rows = []
    for connections in CONNECTIONS:
        question = {
            "port": process.port,
            "path": f"/api/v1/environments/bench/values/{NAME}",
            "token": token,
            "connections": connections,
            "seconds": SECONDS,
        }
        seen = [_asked(question) for _ in rounds]
        rows.append(
            {
                "connections": connections,
                "fetches_per_second": statistics.median(it["fetches"] / it["seconds"] for it in seen),
                "p50_ms": statistics.median(it["p50"] for it in seen),
                "p99_ms": statistics.median(it["p99"] for it in seen),
                "errors": sum(it["errors"] for it in seen),
                "rounds": len(seen),
            }
        )
    return rows


def generator() -> str:
    """Which load generator is used, for every row the same."""
    return "wrk" if wrk.found() else "bench.load (asyncio, a process of its own)"


def _asked(question: dict[str, Any]) -> dict[str, float]:
    if wrk.found():
        return wrk.measure(**question)
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(question) + "\n",
        capture_output=True,
        text=True,
        timeout=SECONDS + 60,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
