"""Fetches of the same secret by both doors of one server, by turns: what Vault's envelope and its paths cost."""

from pathlib import Path
from typing import Any

from bench import keep
from bench.contender import Contender, by_turns, point, ratio
from bench.fields import NAME
from bench.process import Process
from bench.run import Run
from bench.target import Target
from service.core.secret import Secret

CONNECTIONS = 64
PATH = f"/v1/secret/data/{keep.ENVIRONMENT}/{NAME}"


def measure(run: Run, data: Path, token: Secret) -> dict[str, Any]:
    """`ratio` is what a fetch by the Vault door reaches of one by the native door."""
    process = Process(data, run.log)
    try:
        native = keep.target(token, process)
        door = Target(native.ports, PATH, ("X-Vault-Token", token.reveal()), native.ca)
        contenders = [Contender(each, lambda: process.child.cpu_seconds) for each in (native, door)]
        by_turns(contenders, [CONNECTIONS], run.pace.rounds, run.pace.seconds)
    finally:
        process.stop()
    ours, theirs = (point(each.points[CONNECTIONS]) for each in contenders)
    return {"native": ours, "door": theirs, "ratio": ratio(theirs["throughput"], ours["throughput"])}
