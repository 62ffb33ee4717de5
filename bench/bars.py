"""What the figures are held against, and the judgement: met, missed, or not measured."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """How a figure stands to its bar."""

    MET = "met"
    MISSED = "missed"
    UNMEASURED = "not measured"
    BESIDE = "does not apply"


@dataclass(frozen=True)
class Bar:
    """One figure, named by its path in the results, and a bound that it must reach (`least`) or keep under (`most`).

    `given` is another figure that must be below a bound, or the bar does not apply.
    """

    what: str
    key: str
    least: float | None = None
    most: float | None = None
    unit: str = ""
    given: tuple[str, float] | None = None

    @property
    def bound(self) -> str:
        """The bound, for people."""
        if self.least is not None:
            return f"≥ {self.least:g}{self.unit}"
        return f"≤ {self.most:g}{self.unit}"


@dataclass(frozen=True)
class Judged:
    """A bar with its figure."""

    bar: Bar
    figure: float | None
    verdict: Verdict


_DISK = ("fetch.disk.fdatasync_ms", 0.5)
_OVER = 'fetch.openbao.{}["{}"].{}'
BARS: Sequence[Bar] = (
    Bar("throughput of OpenBao's, 1 connection", _OVER.format("plain", 1, "throughput_ratio"), 1.5, given=_DISK),
    Bar("the same, processors awake", _OVER.format("awake", 1, "throughput_ratio"), 1.5, given=_DISK),
    Bar("throughput of OpenBao's, 16 connections", _OVER.format("plain", 16, "throughput_ratio"), 5),
    Bar("throughput of OpenBao's, 64 connections", _OVER.format("plain", 64, "throughput_ratio"), 5),
    Bar("p99 of OpenBao's, 16 connections", _OVER.format("plain", 16, "p99_ratio"), most=0.25),
    Bar("p99 of OpenBao's, 64 connections", _OVER.format("plain", 64, "p99_ratio"), most=0.25),
    Bar("throughput of OpenBao's, TLS, 16 connections", _OVER.format("tls", 16, "throughput_ratio"), 3),
    Bar("throughput of OpenBao's, TLS, 64 connections", _OVER.format("tls", 64, "throughput_ratio"), 3),
    Bar("errors while fetching", "fetch.errors", most=0),
    Bar("of the ceiling, 64 connections", "fetch.ceiling_ratio", 0.35),
    Bar("by the Vault door, of the native one, 64 connections", "fetch.vault.ratio", 0.8),
    Bar(
        "throughput of OpenBao's, one replica on PostgreSQL, 64 connections",
        'replicas.one.openbao["64"].throughput_ratio',
        3,
    ),
    Bar("errors while fetching from PostgreSQL", "replicas.errors", most=0),
    Bar("throughput with many variables, of that with few", "variables.throughput_ratio", 0.85),
    Bar("ready with many variables, and the first fetch answered", "variables.ready_s", most=4, unit=" s"),
    Bar("memory for each variable", "variables.bytes_per_variable", most=1200, unit=" bytes"),
    Bar("a decision among 1,000 grants by nested groups", "decisions.many_us", most=20, unit=" µs"),
    Bar("the same, of one among 3 grants", "decisions.ratio", most=2),
    Bar("an application's events of one day, median", "log.query_ms", most=50, unit=" ms"),
    Bar("rotations of the bare loop's, 8 at once", 'rotations["8"].ratio', 0.6),
    Bar("ready", "start.start_s", most=2, unit=" s"),
    Bar("resident memory, idle", "idle.idle_mb", most=150, unit=" MB"),
    Bar("of a core, idle", "idle.idle_cpu_percent", most=1, unit=" %"),
)


def judged(results: Mapping[str, Any], bars: Sequence[Bar] = BARS) -> list[Judged]:
    """Every bar."""
    return [_judged(bar, results) for bar in bars]


def value(results: Mapping[str, Any], key: str) -> float | None:
    """The figure at a path such as `fetch.openbao.plain["16"].p99`; None where there is none."""
    found: Any = results
    for quoted, word in re.findall(r'\["([^"]*)"\]|([^.\[\]]+)', key):
        if not isinstance(found, Mapping) or (quoted or word) not in found:
            return None
        found = found[quoted or word]
    if isinstance(found, bool) or not isinstance(found, int | float) or math.isnan(found):
        return None
    return float(found)


def _judged(bar: Bar, results: Mapping[str, Any]) -> Judged:
    figure = value(results, bar.key)
    if figure is None:
        return Judged(bar, None, Verdict.UNMEASURED)
    if bar.given is not None:
        condition = value(results, bar.given[0])
        if condition is None or condition >= bar.given[1]:
            return Judged(bar, figure, Verdict.BESIDE)
    reached = (bar.least is None or figure >= bar.least) and (bar.most is None or figure <= bar.most)
    return Judged(bar, figure, Verdict.MET if reached else Verdict.MISSED)
