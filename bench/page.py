"""docs/performance.md: the figures between its marks, and its plot, made anew from the results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import bars, plot, table

DOCS = Path(__file__).parents[1] / "docs"
PAGE, PLOT = DOCS / "performance.md", DOCS / "performance.svg"
BEGIN, END = "<!-- figures: python -m bench --page -->", "<!-- end of figures -->"


def write(results: Mapping[str, Any], page: Path = PAGE, image: Path = PLOT) -> None:
    """Renew both. Raises SystemExit where nothing was measured, or the page has no place for it."""
    if not results:
        raise SystemExit("bench: there are no results yet: run `make bench` first")
    text = page.read_text(encoding="utf-8")
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"bench: {page} must hold the lines {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    shown = plot.svg(results)
    if shown:
        image.write_text(shown, encoding="utf-8")
    page.write_text(f"{before}{BEGIN}\n\n{figures(results, plotted=bool(shown))}\n\n{END}{after}", encoding="utf-8")


def figures(results: Mapping[str, Any], *, plotted: bool) -> str:
    """What stands between the marks."""
    parts = [_where(results)]
    if plotted:
        parts.append(f"![Fetches a second, and their 99th percentile, by connections]({PLOT.name})")
    parts += [it.markdown() for it in table.tables(results)]
    parts.append(table.bars(bars.judged(results)).markdown())
    failed = [f"- {name}: {found['failed']}" for name, found in results.items() if "failed" in found]
    if failed:
        parts.append("\n".join(["Not measured, because it failed:", "", *failed]))
    return "\n\n".join(parts)


def _where(results: Mapping[str, Any]) -> str:
    where = results["where"]
    runs = [found["run"] for found in results.values() if isinstance(found, dict) and "run" in found]
    days = sorted({run["at"][:10] for run in runs})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    loads = f"load {min(run['load'] for run in runs):.1f} to {max(run['load'] for run in runs):.1f} as each part began"
    short = "; some of it by `--quick`" if any(run["pace"] == "quick" for run in runs) else ""
    machine = f"{where['cores']} cores ({where['machine']}), {where['system']}, Python {where['python']}"
    return f"Measured {when} on {machine}; {loads}{short}."
