"""The figures of one point: medians over its rounds, and what they come to beside another's."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.target import Seen, Target, ask

WARM_UP = 1.0
"""Seconds that everybody is asked before the first point, over a few connections."""
_WARM_CONNECTIONS = 8


@dataclass
class Contender:
    """Who is measured: where it is asked, and how much of a core it has used."""

    target: Target
    cpu_seconds: Callable[[], float]
    points: dict[int, list[tuple[Seen, float]]] = field(default_factory=dict)
    """By connections, for each round: what was seen, and the seconds of a core that it took."""

    def warm_up(self) -> None:
        """Ask without measuring. Raises SystemExit where nothing but errors is answered."""
        seen = ask(self.target, _WARM_CONNECTIONS, WARM_UP)
        if seen.errors and not seen.answers:
            raise SystemExit(f"bench: {self.target.path} was answered by nothing but errors, {seen.errors} of them")

    def measure(self, connections: int, seconds: float) -> None:
        """One round of one point."""
        before = self.cpu_seconds()
        seen = ask(self.target, connections, seconds)
        self.points.setdefault(connections, []).append((seen, self.cpu_seconds() - before))

    def figures(self) -> dict[str, dict[str, Any]]:
        """By connections, as they are written down."""
        return {str(connections): point(rounds) for connections, rounds in self.points.items()}


def by_turns(contenders: Sequence[Contender], connections: Sequence[int], rounds: int, seconds: float) -> None:
    """A B A B: each number of connections for all of them in turn, and all of it again, round after round."""
    for each in contenders:
        each.warm_up()
    for _ in range(rounds):
        for number in connections:
            for each in contenders:
                each.measure(number, seconds)


def point(rounds: Sequence[tuple[Seen, float]]) -> dict[str, Any]:
    """Medians: answers a second, milliseconds, seconds of a core for 1,000 answers; errors are added."""
    return {
        "throughput": statistics.median(seen.throughput for seen, _ in rounds),
        "p50": statistics.median(seen.p50 for seen, _ in rounds),
        "p99": statistics.median(seen.p99 for seen, _ in rounds),
        "cpu_per_1000": statistics.median(1000 * cpu / max(1, seen.answers) for seen, cpu in rounds),
        "errors": sum(seen.errors for seen, _ in rounds),
        "rounds": len(rounds),
    }


def ratios(ours: Mapping[str, Mapping[str, Any]], theirs: Mapping[str, dict[str, Any]]) -> None:
    """Put beside each of their points what ours are of it; both are ratios of the medians."""
    for connections, point in theirs.items():
        mine = ours.get(connections)
        if mine:
            point["throughput_ratio"] = ratio(mine["throughput"], point["throughput"])
            point["p99_ratio"] = ratio(mine["p99"], point["p99"])


def ratio(one: float, other: float) -> float:
    """One of the other; not a number where the other is nothing."""
    return one / other if other else float("nan")


def errors(*figures: Mapping[str, Any]) -> int:
    """How many there were at all these points."""
    return sum(row["errors"] for each in figures for number, row in each.items() if number.isdecimal())
