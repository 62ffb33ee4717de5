"""The page of figures and its plot, made from results."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from bench import page, plot, table

SVG = "{http://www.w3.org/2000/svg}"


def figures(throughput: float, p99: float) -> dict[str, Any]:
    row = {"throughput": throughput, "p50": p99 / 2, "p99": p99, "cpu_per_1000": 0.1, "errors": 0, "rounds": 1}
    return {number: row | {"throughput_ratio": 5.0, "p99_ratio": 0.2} for number in ("1", "16", "64", "256")}


def results() -> dict[str, Any]:
    run = {"at": "2026-11-22T10:00:00+00:00", "took_s": 9.0, "load": 0.1, "pace": "full"}
    ours, theirs = figures(10000.0, 2.0) | {"peak_mb": 90.0}, figures(2000.0, 10.0) | {"peak_mb": 120.0}
    return {
        "where": {"python": "3.11.7", "machine": "x86_64", "system": "Linux 6", "cores": 2},
        "fetch": {
            "generator": "wrk",
            "events": 5_000_000,
            "disk": {"fdatasync_ms": 0.3, "fdatasync_p99_ms": 2.0, "file_system": "ext4"},
            "keywright": {"plain": ours, "tls": ours, "awake": ours},
            "openbao": {"plain": theirs, "tls": theirs, "awake": theirs},
            "ceiling": figures(20000.0, 1.0)["64"],
            "ceiling_ratio": 0.5,
            "vault": {"native": ours["64"], "door": theirs["64"], "ratio": 0.2},
            "errors": 0,
            "run": run,
        },
        "idle": {"idle_mb": 99.0, "idle_cpu_percent": 0.4, "run": run},
        "log": {"failed": "it took longer than 900 seconds", "run": run},
    }


@pytest.fixture
def document(tmp_path: Path) -> Path:
    file = tmp_path / "performance.md"
    file.write_text(f"# Before\n\n{page.BEGIN}\n\nold figures\n\n{page.END}\n\n## After\n", encoding="utf-8")
    return file


def test_the_page_is_renewed_between_its_marks_and_nowhere_else(document: Path, tmp_path: Path) -> None:
    image = tmp_path / "plot.svg"
    page.write(results(), document, image)
    text = document.read_text(encoding="utf-8")
    assert text.startswith("# Before\n\n")
    assert text.endswith("\n\n## After\n")
    assert "old figures" not in text
    assert "| 64 | 10,000/s | 2,000/s | 5.00 |" in text
    assert "| awake, 1 | 10,000/s | 2,000/s | 5.00 |" in text
    assert "Measured 2026-11-22 on 2 cores (x86_64)" in text
    assert "- log: it took longer than 900 seconds" in text
    assert "| fetches | 10,000/s | 2,000/s | 0.20 |" in text
    assert "| by the Vault door, of the native one, 64 connections | 0.2 | ≥ 0.8 | missed |" in text
    assert "| resident memory, idle | 99 MB | ≤ 150 MB | met |" in text
    assert "not measured |" in text
    page.write(results(), document, image)
    assert document.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("text", ["no marks", f"{page.BEGIN} {page.BEGIN} {page.END}"])
def test_a_page_without_its_marks_is_left_alone(text: str, tmp_path: Path) -> None:
    file = tmp_path / "performance.md"
    file.write_text(text)
    with pytest.raises(SystemExit, match="once each"):
        page.write(results(), file, tmp_path / "plot.svg")
    assert file.read_text() == text
    assert not (tmp_path / "plot.svg").exists()


def test_without_results_nothing_is_written(document: Path, tmp_path: Path) -> None:
    before = document.read_text()
    with pytest.raises(SystemExit, match="no results"):
        page.write({}, document, tmp_path / "plot.svg")
    assert document.read_text() == before


def test_the_real_page_has_its_marks() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_every_row_of_a_table_is_as_long_as_its_head() -> None:
    made = list(table.tables(results()))
    assert len(made) == 5
    assert all(len(row) == len(it.columns) for it in made for row in it.rows)


def test_points_of_the_plot_are_where_their_figures_are() -> None:
    root = ET.fromstring(plot.svg(results()))
    lines = [line.get("points", "").split() for line in root.iter(f"{SVG}polyline")]
    assert [len(line) for line in lines] == [4] * 8  # four contenders in two panels
    throughput_ours, throughput_theirs = _height(lines[0][0]), _height(lines[2][0])
    p99_ours, p99_theirs = _height(lines[4][0]), _height(lines[6][0])
    assert throughput_ours < throughput_theirs  # higher up is more
    assert p99_ours > p99_theirs
    places = [tuple(map(float, place.split(","))) for line in lines for place in line]
    assert all(0 < across < plot.WIDTH and 0 < down < plot.HEIGHT for across, down in places)
    labels = {text.text for text in root.iter(f"{SVG}text")}
    assert {"Keywright", "OpenBao", "256", "10,000", "fetches a second"} <= labels


def test_there_is_no_plot_of_nothing_and_none_of_points_without_answers() -> None:
    assert plot.svg({}) == ""
    assert plot.svg({"fetch": {"failed": "x"}}) == ""
    found = results()
    found["fetch"]["keywright"]["tls"] = {"64": {"throughput": 0.0, "p99": float("nan")}}
    root = ET.fromstring(plot.svg(found))
    assert len(list(root.iter(f"{SVG}polyline"))) == 6


def _height(point: str) -> float:
    return float(point.split(",")[1])
