"""A log of millions of events: made, asked, weighed; and how far its index is behind while everybody fetches."""

import contextlib
import sqlite3
import statistics
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import journal, keep
from bench.process import Process
from bench.run import Run
from bench.target import ask
from service.core.secret import Secret
from service.demo.wire import Wire
from service.ledger.tables import callings, fetches, postings

QUESTIONS = 30
CONNECTIONS = 64
WATCHED = 10.0
INDEX = (postings, callings, fetches)
"""The tables of the query index."""


def measure(run: Run) -> dict[str, Any]:
    """Milliseconds of a question, bytes of an event, events and seconds of lag."""
    data, about = journal.copied(run)
    owner = Secret(about["owner"])
    found = {key: about[key] for key in ("events", "wanted", "made_s", "indexed_s", "behind")}
    run.tell(f"weighing {about['events']:,} events")
    found |= _weighed(data / "ledger.sqlite", about["events"])
    process = Process(data, run.log)
    try:
        found["ready_s"] = process.seconds
        run.tell("asking for one application's events of one day")
        found |= _asked(process, owner)
        token = keep.furnished(process, owner)
        run.tell("watching the index while 64 connections fetch")
        found |= _lag(process, token)
    finally:
        process.stop()
    return found


def _weighed(file: Path, events: int) -> dict[str, float]:
    """Bytes of an event, log and index apart (SQLite's dbstat: whole pages, as they lie on the disk)."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as ledger:
        rows = ledger.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat('main', 1) JOIN sqlite_master USING (name) GROUP BY tbl_name"
        )
        pages: dict[str, int] = dict(rows.fetchall())
    index = sum(pages.get(table.name, 0) for table in INDEX)
    return {"bytes_per_event": pages["batches"] / events, "index_bytes_per_event": index / events}


def _asked(process: Process, owner: Secret) -> dict[str, float]:
    """The first page of one application's events of one day, through REST: another one, and another day, each time."""
    wire, took, found = Wire(process.address, owner), [], 0
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    try:
        for number in range(-1, QUESTIONS):
            day = midnight - timedelta(days=2 + number % (journal.DAYS - 3))
            actor = journal.actor(10 + 3 * number)
            began = time.perf_counter()
            page = wire.get("/events", actor=actor, since=day.isoformat(), until=(day + timedelta(days=1)).isoformat())
            if number >= 0:  # the first one is for opening what has to be opened
                took.append((time.perf_counter() - began) * 1000)
                found += len(page["items"])
    finally:
        wire.close()
    return {"query_ms": statistics.median(took), "query_worst_ms": max(took), "query_events": found / QUESTIONS}


def _lag(process: Process, token: Secret) -> dict[str, Any]:
    """How far the index is behind while 64 connections fetch: events, and seconds at the rate they are recorded at."""
    seen: list[tuple[float, float]] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.25):
            with contextlib.suppress(OSError):
                seen.append(_metrics(process))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        load = ask(keep.target(token, process), CONNECTIONS, WATCHED)
    finally:
        stop.set()
        watching.join(10)
    lag = max((behind for _, behind in seen), default=float("nan"))
    end, caught_up = time.monotonic(), 0.0
    while _metrics(process)[1] > 0 and time.monotonic() < end + WATCHED:
        time.sleep(0.1)
    caught_up = time.monotonic() - end
    return {
        "loaded_throughput": load.throughput,
        "loaded_errors": load.errors,
        "lag_events": lag,
        "lag_s": lag / load.throughput,
        "caught_up_s": caught_up,
    }


def _metrics(process: Process) -> tuple[float, float]:
    """Events in the log, and how many of them the index does not have yet."""
    lines = dict(line.rsplit(" ", 1) for line in process.read("/metrics").splitlines() if line[:1] not in ("", "#"))
    return float(lines["keywright_events_total"]), float(lines["keywright_event_index_lag"])
