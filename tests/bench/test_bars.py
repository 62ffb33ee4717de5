"""Figures held against their bars."""

import math
from typing import Any

import pytest

from bench.bars import BARS, Bar, Verdict, judged, value


def results(ratio: float, disk: float = 0.1) -> dict[str, Any]:
    points = {"1": {"throughput_ratio": ratio}, "16": {"throughput_ratio": ratio, "p99_ratio": ratio}}
    return {"fetch": {"openbao": {"plain": points}, "disk": {"fdatasync_ms": disk}, "errors": 0}}


def test_a_path_leads_to_a_figure_or_nowhere() -> None:
    found = results(5.0)
    assert value(found, 'fetch.openbao.plain["16"].throughput_ratio') == 5.0
    assert value(found, 'fetch.openbao.plain["64"].throughput_ratio') is None
    assert value(found, "fetch.openbao") is None
    assert value(found, "fetch.errors.more") is None
    assert value(results(math.nan), 'fetch.openbao.plain["16"].throughput_ratio') is None
    assert value({"fetch": {"failed": True}}, "fetch.failed") is None


@pytest.mark.parametrize(
    ("figure", "verdict"), [(5.0, Verdict.MET), (4.999, Verdict.MISSED), (math.nan, Verdict.UNMEASURED)]
)
def test_at_least(figure: float, verdict: Verdict) -> None:
    bar = Bar("more", 'fetch.openbao.plain["16"].throughput_ratio', least=5)
    assert [it.verdict for it in judged(results(figure), [bar])] == [verdict]
    assert bar.bound == "≥ 5"


@pytest.mark.parametrize(("figure", "verdict"), [(0.25, Verdict.MET), (0.26, Verdict.MISSED)])
def test_at_most(figure: float, verdict: Verdict) -> None:
    bar = Bar("less", 'fetch.openbao.plain["16"].p99_ratio', most=0.25, unit=" ms")
    assert [it.verdict for it in judged(results(figure), [bar])] == [verdict]
    assert bar.bound == "≤ 0.25 ms"


@pytest.mark.parametrize(
    ("disk", "verdict"), [(0.49, Verdict.MISSED), (0.5, Verdict.BESIDE), (math.nan, Verdict.BESIDE)]
)
def test_a_bar_for_quick_disks_does_not_apply_to_others(disk: float, verdict: Verdict) -> None:
    bar = Bar("one", 'fetch.openbao.plain["1"].throughput_ratio', 1.5, given=("fetch.disk.fdatasync_ms", 0.5))
    assert [it.verdict for it in judged(results(1.0, disk), [bar])] == [verdict]


def test_every_bar_has_one_bound_and_nothing_is_met_where_nothing_was_measured() -> None:
    assert all((bar.least is None) != (bar.most is None) for bar in BARS)
    assert {it.verdict for it in judged({})} == {Verdict.UNMEASURED}
