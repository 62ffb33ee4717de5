"""What the serving code could do if nothing were behind it, beside what it does: by turns, without TLS."""

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

from bench import keep
from bench.contender import Contender, by_turns, point, ratio
from bench.process import Process
from bench.run import Run
from service.core.secret import Secret

CONNECTIONS = 64


def measure(run: Run, data: Path, token: Secret) -> dict[str, Any]:
    """`ceiling_ratio` is what a fetch reaches of the constant answer."""
    folder = run.new_folder("ceiling")
    process = Process(data, run.log)
    try:
        answer = folder / "answer"
        answer.touch(0o600)
        answer.write_text(json.dumps(_answer(process, token)))
        nothing = Process(folder / "data", run.log, command=(sys.executable, "-m", "bench.constant", str(answer)))
        try:
            target, bare = keep.target(token, process), keep.target(token, nothing)
            contenders = [
                Contender(target, lambda: process.child.cpu_seconds),
                Contender(bare, lambda: nothing.child.cpu_seconds),
            ]
            by_turns(contenders, [CONNECTIONS], run.pace.rounds, run.pace.seconds)
        finally:
            nothing.stop()
    finally:
        process.stop()
    fetch, ceiling = (point(each.points[CONNECTIONS]) for each in contenders)
    reached = ratio(fetch["throughput"], ceiling["throughput"])
    return {"ceiling": ceiling, "under_ceiling": fetch, "ceiling_ratio": reached}


def _answer(process: Process, token: Secret) -> dict[str, Any]:
    """Headers and body of one fetch; the headers that the server itself adds are left out."""
    headers = {"Authorization": f"Bearer {token.reveal()}"}
    request = urllib.request.Request(f"{process.address}{keep.PATH}", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        own = ("connection", "date", "server", "transfer-encoding")
        kept = [(name.lower(), value) for name, value in answer.getheaders() if name.lower() not in own]
        return {"headers": kept, "body": answer.read().decode()}
