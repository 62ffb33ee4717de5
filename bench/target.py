"""Where a load generator asks, and what it saw there."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import wrk
from bench.child import Child


@dataclass(frozen=True)
class Target:
    """A question over HTTP, put to every one of `ports` on the loopback. `header` is a name and a secret."""

    ports: tuple[int, ...]
    path: str
    header: tuple[str, str] = field(repr=False)
    ca: Path | None = None
    """With it the question goes over TLS."""


@dataclass(frozen=True)
class Seen:
    """What the generator saw: answers that were 200, milliseconds, and everything else."""

    answers: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def throughput(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def ask(target: Target, connections: int, seconds: float) -> Seen:
    """Every port is asked at the same time by a generator of its own, over its share of the connections."""
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for port, share in zip(target.ports, shares(connections, len(target.ports)), strict=True):
            if wrk.found():
                url = f"{'https' if target.ca else 'http'}://127.0.0.1:{port}{target.path}"
                command, said = wrk.command(url, share, seconds, target.header, Path(folder)), ""
            else:
                command = [sys.executable, "-m", "bench.load"]
                question = {"port": port, "path": target.path, "connections": share, "seconds": seconds}
                said = json.dumps(question | {"header": target.header, "ca": str(target.ca or "")}) + "\n"
            child = Child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            started.append((child, said))
        texts = [child.said(said, seconds + 30) for child, said in started]
    return together([Seen(**(wrk.read(text) if wrk.found() else json.loads(text))) for text in texts])


def shares(whole: int, parts: int) -> list[int]:
    """Connections, as evenly as they can be divided; each part has one at least."""
    return [max(1, whole // parts + (number < whole % parts)) for number in range(parts)]


def together(parts: Sequence[Seen]) -> Seen:
    """Several at the same time: answers are added, the median of their medians, and the worst of their p99."""
    return Seen(
        answers=sum(part.answers for part in parts),
        seconds=max(part.seconds for part in parts),
        p50=statistics.median(part.p50 for part in parts),
        p99=max(part.p99 for part in parts),
        errors=sum(part.errors for part in parts),
    )


def generator() -> str:
    """Which load generator is used, for everything the same."""
    return "wrk" if wrk.found() else "bench/load.py, a process of its own"
