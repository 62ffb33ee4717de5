"""The figures, for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

READY_S, IDLE_MB, IDLE_CPU = 2.0, 150.0, 1.0
"""The bars that a start and an idle server are held against."""


def show(results: Mapping[str, Any]) -> None:
    """Print them as tables."""
    console = Console(highlight=False)
    where = results["where"]
    console.print(f"Python {where['python']}, {where['cores']} cores, load {where['load']:.1f} when it began")
    console.print(_fetches(results["fetches"], results["generator"]))
    console.print(_rotations(results["rotations"], results["openbao"]))
    console.print(_due(results["due"]))
    console.print(_idle(results["start"] | results["idle"]))


def _table(title: str, *columns: str) -> Table:
    # At least as wide as the title, which would be wrapped otherwise.
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, min_width=len(title))
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    return table


def _fetches(rows: Sequence[Mapping[str, Any]], generator: str) -> Table:
    table = _table(f"Fetches of one literal secret, by {generator}", "connections", "a second", "p50", "p99", "errors")
    for row in rows:
        table.add_row(
            str(row["connections"]),
            f"{row['fetches_per_second']:,.0f}",
            f"{row['p50_ms']:.1f} ms",
            f"{row['p99_ms']:.1f} ms",
            str(row["errors"]),
        )
    return table


def _rotations(rows: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> Table:
    title = f"Emergency rotations of {rows[0]['logins']} PostgreSQL logins, strategy single"
    table = _table(title, "", "at once", "a second", "of the bare limit")
    for it in rows:
        at_once = str(it["workers"])
        table.add_row("Keywright", at_once, f"{it['rotations_per_second']:.1f}", f"{it['ratio']:.0%}")
        table.add_row("bare psycopg loop, the same logins", at_once, f"{it['bare_per_second']:.1f}", "100%")
        if it["not_retired"]:
            table.add_row("not retired", at_once, str(it["not_retired"]), "")
    for it in others:
        name = "OpenBao's rotate-role: verifies nothing"
        table.add_row(name, str(it["callers"]), f"{it['rotations_per_second']:.1f}", "")
    return table


def _due(it: Mapping[str, Any]) -> Table:
    few, many = f"{it['few']:,} not due", f"{it['many']:,} not due"
    table = _table("The clock's look for due work, among connections that are not due", "", few, many, "ratio")
    for what, key in (("nothing is due", "look_ms"), ("one is due, and planned", "plan_ms")):
        row = it[key]
        table.add_row(what, f"{row['few']:.2f} ms", f"{row['many']:.2f} ms", f"{row['ratio']:.2f}")
    return table


def _idle(it: Mapping[str, Any]) -> Table:
    table = _table("Starting, and doing nothing", "", "measured", "bar")
    table.add_row(f"ready (median of {it['starts']})", f"{it['start_s']:.2f} s", f"under {READY_S:g} s")
    table.add_row("processor time until then", f"{it['start_cpu_s']:.2f} s", "")
    table.add_row("ready the first time, with a ledger to make", f"{it['first_start_s']:.2f} s", "")
    table.add_row("resident memory", f"{it['idle_mb']:.0f} MB", f"under {IDLE_MB:g} MB")
    table.add_row("share of a core", f"{it['idle_cpu_percent']:.2f} %", f"under {IDLE_CPU:g} %")
    return table
