"""The figures on a terminal."""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table as Shown

from bench import table
from bench.bars import Judged, Verdict
from bench.table import Table

WIDE = 118
"""Columns, where it is not a terminal that is written to."""
_COLOURS = {Verdict.MET: "green", Verdict.MISSED: "red"}


def show(results: Mapping[str, Any], sections: Set[str]) -> None:
    """Print those sections as tables, and what failed of them."""
    console = _console()
    where = results["where"]
    console.print(f"Python {where['python']}, {where['machine']}, {where['cores']} cores")
    for it in table.tables({name: results[name] for name in sections if name in results}):
        console.print(_shown(it))
    for name in sorted(sections & results.keys()):
        if "failed" in results[name]:
            console.print(f"{name} failed: {results[name]['failed']}", markup=False)


def show_bars(judged: Sequence[Judged]) -> None:
    """Print the judgement."""
    console = _console()
    made = table.bars(list(judged))
    for place, it in enumerate(judged):
        if colour := _COLOURS.get(it.verdict):
            *rest, word = made.rows[place]
            made.rows[place] = (*rest, f"[{colour}]{word}[/]")
    console.print(_shown(made))


def _console() -> Console:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    return console


def _shown(it: Table) -> Shown:
    # At least as wide as the title, which would be wrapped otherwise.
    shown = Shown(title=it.title, title_justify="left", box=box.SIMPLE_HEAD, min_width=min(len(it.title), 100))
    for number, column in enumerate(it.columns):
        shown.add_column(column, justify="right" if number else "left")
    for row in it.rows:
        shown.add_row(*row)
    return shown
