"""Medians over the rounds, and ratios of them."""

import math
from pathlib import Path

import pytest

from bench import contender, disk, results
from bench.contender import Contender, by_turns, errors, point, ratio, ratios
from bench.target import Seen, Target


def seen(answers: int, p99: float = 1.0, wrong: int = 0) -> Seen:
    return Seen(answers, 1.0, p99 / 2, p99, wrong)


def test_a_point_is_the_median_of_its_rounds_and_the_sum_of_their_errors() -> None:
    found = point([(seen(1000, 3.0), 2.0), (seen(4000, 9.0, 1), 2.0), (seen(2000, 6.0, 2), 2.0)])
    assert found["throughput"] == 2000
    assert found["p99"] == 6.0
    assert found["p50"] == 3.0
    assert found["cpu_per_1000"] == 1.0
    assert (found["errors"], found["rounds"]) == (3, 3)


def test_ratios_stand_beside_the_other_s_figures() -> None:
    ours = {"16": point([(seen(5000, 2.0), 1.0)]), "64": point([(seen(900, 2.0), 1.0)])}
    theirs = {"16": point([(seen(1000, 8.0), 1.0)]), "256": point([(seen(1000), 1.0)])}
    ratios(ours, theirs)
    assert theirs["16"]["throughput_ratio"] == 5.0
    assert theirs["16"]["p99_ratio"] == 0.25
    assert "throughput_ratio" not in theirs["256"]
    assert math.isnan(ratio(1.0, 0.0))


def test_they_are_asked_by_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def ask(target: Target, connections: int, seconds: float) -> Seen:
        asked.append((target.path, connections))
        return seen(1)

    monkeypatch.setattr(contender, "ask", ask)
    both = [Contender(Target((1,), path, ("a", "b")), lambda: 0.0) for path in ("A", "B")]
    by_turns(both, (1, 16), rounds=2, seconds=1.0)
    once = [("A", 1), ("B", 1), ("A", 16), ("B", 16)]
    assert asked[2:] == once + once
    assert [path for path, _ in asked[:2]] == ["A", "B"]  # the warming up
    assert {number: row["rounds"] for number, row in both[0].figures().items()} == {"1": 2, "16": 2}


def test_what_answers_nothing_but_errors_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contender, "ask", lambda *_: seen(0, wrong=7))
    with pytest.raises(SystemExit, match="nothing but errors, 7"):
        Contender(Target((1,), "/x", ("a", "b")), lambda: 0.0).warm_up()


def test_errors_are_those_of_all_points() -> None:
    rows = {"1": point([(seen(1, wrong=2), 0.0)]), "peak_mb": 3.0}
    assert errors(rows, {"16": point([(seen(1, wrong=5), 0.0)])}) == 7


def test_results_keep_the_other_sections_and_what_is_not_a_number(tmp_path: Path) -> None:
    file = tmp_path / "out" / "results.json"
    results.write_down("fetch", {"p99": math.nan, "rows": {"1": 2.5}}, file)
    results.write_down("idle", {"idle_mb": 100.0}, file)
    assert "NaN" not in file.read_text()
    found = results.earlier(file)
    assert found["idle"] == {"idle_mb": 100.0}
    assert found["fetch"]["rows"] == {"1": 2.5}
    assert math.isnan(found["fetch"]["p99"])
    assert results.earlier(tmp_path / "none.json") == {}


def test_the_file_system_is_the_nearest_one() -> None:
    mounts = "/dev/a / ext4 rw 0 0\nshm /fast tmpfs rw 0 0\n/dev/b /fast/slow xfs rw 0 0\n"
    places = {"/fast/x": "tmpfs", "/fast/slow/y": "xfs", "/faster": "ext4"}
    assert {place: disk.file_system(Path(place), mounts) for place in places} == places
    assert disk.file_system(Path("/x"), "") == "unknown"
