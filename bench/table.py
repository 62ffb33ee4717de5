"""The figures as tables: a title, columns, and rows of text, for the terminal and for the page alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.bars import Judged


@dataclass(frozen=True)
class Table:
    """The first column names things; the others are figures."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def markdown(self) -> str:
        """As Markdown."""
        lines = [f"**{self.title}**", "", _line(self.columns), _line(("---", *("---:",) * (len(self.columns) - 1)))]
        return "\n".join([*lines, *map(_line, self.rows)])


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    """Of every section that was measured and did not fail, in the order of the suite."""
    for name, made in _MADE.items():
        found = results.get(name)
        if found and "failed" not in found:
            yield from made(found)


def bars(judged: list[Judged]) -> Table:
    """The judgement."""
    rows: list[tuple[str, ...]] = [
        (it.bar.what, "" if it.figure is None else f"{it.figure:.3g}{it.bar.unit}", it.bar.bound, it.verdict.value)
        for it in judged
    ]
    return Table("Bars", ("", "measured", "bar", ""), rows)


def _fetch(it: Mapping[str, Any]) -> Iterator[Table]:
    title = f"Fetches of a secret of five fields, by {it['generator']}, {it['events']:,} events in Keywright's log"
    kinds = (("plain", ""), ("tls", "TLS, "), ("awake", "awake, "))
    yield _beside(title, [(name, it["keywright"][t], it["openbao"][t]) for t, name in kinds if t in it["keywright"]])
    table = Table("What it costs", ("", "Keywright", "OpenBao"))
    for transport, name in (("plain", ""), ("tls", "TLS, ")):
        ours, theirs = it["keywright"][transport], it["openbao"][transport]
        if "64" in ours:
            cpu = (f"{each['64']['cpu_per_1000']:.3f} s" for each in (ours, theirs))
            table.rows.append((f"{name}processor time for 1,000 fetches, 64 connections", *cpu))
        table.rows.append((f"{name}most memory", *(f"{each['peak_mb']:.0f} MB" for each in (ours, theirs))))
    yield table
    table = Table("The floor and the ceiling", ("", "measured"))
    disk = it["disk"]
    table.rows.append(("file system of the ledgers", disk["file_system"]))
    table.rows.append(("a small append made durable, median", f"{disk['fdatasync_ms']:.2f} ms"))
    table.rows.append(("the same, 99th percentile", f"{disk['fdatasync_p99_ms']:.2f} ms"))
    table.rows.append(
        ("the server answering a constant, 64 connections", f"{it['ceiling']['throughput']:,.0f} a second")
    )
    table.rows.append(("what a fetch reaches of that", f"{it['ceiling_ratio']:.0%}"))
    yield table
    if "vault" in it:
        yield _doors(it["vault"])


def _doors(it: Mapping[str, Any]) -> Table:
    table = Table("Fetches by both doors of one server, 64 connections", ("", "native", "Vault", "ratio"))
    rates = (f"{it[door]['throughput']:,.0f}/s" for door in ("native", "door"))
    table.rows.append(("fetches", *rates, f"{it['ratio']:.2f}"))
    table.rows.append(("p99", *(f"{it[door]['p99']:.2f} ms" for door in ("native", "door")), ""))
    return table


def _beside(title: str, parts: list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]) -> Table:
    head = ("connections", "Keywright", "OpenBao", "ratio", "p50", "OpenBao's p50", "p99", "OpenBao's p99", "p99 ratio")
    table = Table(title, head)
    for name, ours, theirs in parts:
        for connections, mine in ours.items():
            if not connections.isdecimal():
                continue
            its = theirs[connections]
            table.rows.append(
                (
                    f"{name}{connections}{_errors(mine, its)}",
                    f"{mine['throughput']:,.0f}/s",
                    f"{its['throughput']:,.0f}/s",
                    f"{its['throughput_ratio']:.2f}",
                    *(f"{each['p50']:.2f} ms" for each in (mine, its)),
                    *(f"{each['p99']:.2f} ms" for each in (mine, its)),
                    f"{its['p99_ratio']:.2f}",
                )
            )
    return table


def _errors(*points: Mapping[str, Any]) -> str:
    errors = [point["errors"] for point in points]
    return f" (errors: {errors[0]}, {errors[1]})" if any(errors) else ""


def _replicas(it: Mapping[str, Any]) -> Iterator[Table]:
    parts = [
        (f"{found['replicas']} on PostgreSQL, ", found["keywright"], found["openbao"])
        for found in it.values()
        if isinstance(found, dict) and "replicas" in found
    ]
    yield _beside("Fetches with the ledger in PostgreSQL; OpenBao beside them is one, on raft", parts)


def _log(it: Mapping[str, Any]) -> Iterator[Table]:
    events = f"{it['events']:,}"
    fewer = "" if it["events"] == it["wanted"] else f" (of {it['wanted']:,} that were wanted)"
    rows: list[tuple[str, ...]] = [
        ("one application's events of one day, first page, median", f"{it['query_ms']:.1f} ms"),
        ("the slowest of these questions", f"{it['query_worst_ms']:.1f} ms"),
        ("bytes of an event, in the log", f"{it['bytes_per_event']:.0f}"),
        ("bytes of an event, in the query index", f"{it['index_bytes_per_event']:.0f}"),
        ("the index is behind, at most, 64 connections fetching", f"{it['lag_events']:,.0f} events"),
        ("which are", f"{it['lag_s']:.2f} s"),
        ("ready", f"{it['ready_s']:.2f} s"),
    ]
    yield Table(f"A log of {events} events{fewer}", ("", "measured"), rows)


def _variables(it: Mapping[str, Any]) -> Iterator[Table]:
    few, many = f"{it['few']:,} variables", f"{it['many']:,} variables"
    table = Table(f"Few variables and many, in {it['environments']} environments", ("", few, many))
    rates = (f"{it[key]['throughput']:,.0f}/s" for key in ("fetch_few", "fetch_many"))
    table.rows.append(("fetches, 64 connections", *rates))
    table.rows.append(("p99", *(f"{it[key]['p99']:.2f} ms" for key in ("fetch_few", "fetch_many"))))
    table.rows.append(("ready, and the first fetch answered", f"{it['ready_few_s']:.2f} s", f"{it['ready_s']:.2f} s"))
    table.rows.append(("memory for each variable", "", f"{it['bytes_per_variable']:.0f} bytes"))
    yield table


def _waiting(it: Mapping[str, Any]) -> Iterator[Table]:
    table = Table(
        f"While {it['held']:,} wait for a change ({it['refused']:,} were refused)", ("", "alone", "meanwhile")
    )
    rates = (f"{it[key]['throughput']:,.0f}/s" for key in ("fetch_alone", "fetch_beside"))
    table.rows.append(("fetches, 64 connections", *rates))
    table.rows.append(("p99", *(f"{it[key]['p99']:.2f} ms" for key in ("fetch_alone", "fetch_beside"))))
    table.rows.append(("a change was answered", "", f"{it['changed_s']:.2f} s"))
    table.rows.append((f"a change has reached the last of {it['told']:,}", "", f"{it['told_s']:.2f} s"))
    yield table


def _decisions(it: Mapping[str, Any]) -> Iterator[Table]:
    table = Table(f"Decisions about a person in {it['groups']} groups, ten deep", ("", "measured"))
    table.rows.append(("one, among 3 grants", f"{it['few_us']:.1f} µs"))
    table.rows.append((f"one, among {it['grants']:,} grants", f"{it['many_us']:.1f} µs"))
    table.rows.append(("a rule, judged for the first time in a request", f"{it['rule_us']:.1f} µs"))
    table.rows.append(("a person's grants put together after a change", f"{it['together_us'] / 1000:.2f} ms"))
    yield table


def _due(it: Mapping[str, Any]) -> Iterator[Table]:
    few, many = f"{it['few']:,} not due", f"{it['many']:,} not due"
    table = Table("The clock's look for due work, among connections that are not due", ("", few, many, "ratio"))
    for what, key in (("nothing is due", "look_ms"), ("one is due, and planned", "plan_ms")):
        row = it[key]
        table.rows.append((what, f"{row['few']:.2f} ms", f"{row['many']:.2f} ms", f"{row['ratio']:.2f}"))
    yield table


def _rotations(it: Mapping[str, Any]) -> Iterator[Table]:
    rows = {word: found for word, found in it.items() if word.isdecimal()}
    logins = next(iter(rows.values()))["logins"]
    title = f"Emergency rotations of {logins} PostgreSQL logins, strategy single"
    table = Table(title, ("", "at once", "a second", "of the bare limit"))
    for workers, row in rows.items():
        table.rows.append(("Keywright", workers, f"{row['rotations_per_second']:.1f}", f"{row['ratio']:.0%}"))
        table.rows.append(("bare psycopg loop, the same logins", workers, f"{row['bare_per_second']:.1f}", "100%"))
        if row["not_retired"]:
            table.rows.append(("not retired", workers, str(row["not_retired"]), ""))
    for callers, row in it["openbao"].items():
        name = "OpenBao's rotate-role: verifies nothing"
        table.rows.append((name, callers, f"{row['rotations_per_second']:.1f}", ""))
    yield table


def _start(it: Mapping[str, Any]) -> Iterator[Table]:
    table = Table("Starting", ("", "measured"))
    table.rows.append((f"ready (median of {it['starts']})", f"{it['start_s']:.2f} s"))
    table.rows.append(("processor time until then", f"{it['start_cpu_s']:.2f} s"))
    table.rows.append(("ready the first time, with a ledger to make", f"{it['first_start_s']:.2f} s"))
    yield table


def _idle(it: Mapping[str, Any]) -> Iterator[Table]:
    table = Table("Doing nothing", ("", "measured"))
    table.rows.append(("resident memory", f"{it['idle_mb']:.0f} MB"))
    table.rows.append(("share of a core", f"{it['idle_cpu_percent']:.2f} %"))
    yield table


_MADE = {
    "fetch": _fetch,
    "replicas": _replicas,
    "variables": _variables,
    "waiting": _waiting,
    "log": _log,
    "rotations": _rotations,
    "due": _due,
    "decisions": _decisions,
    "start": _start,
    "idle": _idle,
}


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(cells) + " |"
