"""A long event log, made through the ledger's own code: what applications leave behind in a month.

200 applications, some busier than others, each fetching its own secret, over thirty days that end now
128 events in a batch: between what 64 and 256 connections make when they are recorded together
"""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bench import kept
from bench.run import Run
from service.core.access import Caller
from service.core.event import Event, Outcome
from service.keeper.indexer import Indexer, Turn
from service.keeper.keeper import Keeper
from service.ledger import postings
from service.ledger.ledger import Ledger
from service.settings import read
from service.wiring import build, utc_now

APPLICATIONS = 200
DAYS = 30
BATCH = 128
ENVIRONMENT = "bench"
MAKING = 90.0
"""Seconds after which no more events are written: then there are fewer."""
INDEXING = 420.0
"""Seconds that the query index may take to catch up with them."""


def copied(run: Run) -> tuple[Path, dict[str, Any]]:
    """A data folder with the log in it, and what is known of it."""
    return kept.copied(run, "journal", run.pace.events, lambda data: _made(data, run.pace.events))


def _made(data: Path, events: int) -> dict[str, Any]:
    # Its clock stands where the log begins: what comes before, and after, the events of the month is in order.
    service = build(read({}, data=data), now=lambda: utc_now() - timedelta(days=DAYS, minutes=5))
    try:
        owner = service.keeper.tokens.first()
        assert owner is not None
        began = time.perf_counter()
        made = fill(service.ledger, events, MAKING)
        written = time.perf_counter()
        behind = _indexed(service.keeper, INDEXING)
        ended = time.perf_counter()
    finally:
        service.close()
    return {
        "owner": owner.reveal(),
        "events": made,
        "wanted": events,
        "made_s": written - began,
        "indexed_s": ended - written,
        "behind": behind,
    }


def _indexed(keeper: Keeper, seconds: float) -> int:
    """Let the query index catch up, as far as it comes in that time; how many events it is behind then."""
    until = time.monotonic() + seconds
    indexer = Indexer(keeper.door.ledger)
    while indexer.turn() is not Turn.NOTHING and time.monotonic() < until:
        pass
    return keeper.door.look(postings.lag)


def fill(ledger: Ledger, events: int, seconds: float) -> int:
    """Append that many events, or as many as fit into the time; how many they are."""
    _hasten(ledger)
    until = time.monotonic() + seconds
    with ledger.read() as tx:
        waiting = _events(tx.now, events)
    done = 0
    while done < events and time.monotonic() < until:
        batch = list(islice(waiting, BATCH))
        with ledger.holding() as tx:
            tx.events.extend(batch)
        done += len(batch)
    return done


def actor(number: int) -> str:
    """The id of one of the callers."""
    return f"{number:016x}"


def applications() -> list[Caller]:
    """The callers, the busiest first. Their ids stand for tokens that are gone."""
    return [
        Caller(actor(number), f"application-{number}", "machine", (), f"10.0.0.{number % 250}")
        for number in range(APPLICATIONS)
    ]


def schedule(count: int) -> list[int]:
    """Places of applications in an order in which the n-th comes about as often as 1/n, well mixed."""
    turns = [place for place in range(count) for _ in range(max(1, round(2 * count / (place + 1))))]
    step = next(step for step in range(len(turns) * 2 // 3, len(turns)) if _coprime(step, len(turns)))
    return [turns[number * step % len(turns)] for number in range(len(turns))]


def _events(since: datetime, count: int) -> Iterator[Event]:
    callers = applications()
    deeds = [
        ("value.fetch", Outcome.ALLOWED, ENVIRONMENT, f"app/{place}/db", {"versions": f"app/{place}/db:1"})
        for place in range(len(callers))
    ]
    turns = schedule(len(callers))
    between = timedelta(days=DAYS) / count
    for number in range(count):
        place = turns[number % len(turns)]
        yield Event(since + between * number, callers[place], *deeds[place])


def _coprime(one: int, other: int) -> bool:
    while other:
        one, other = other, one % other
    return one == 1


def _hasten(ledger: Ledger) -> None:
    """Nothing need survive a power cut while it is made: this ledger alone waits for no disk."""

    @event.listens_for(ledger.engine, "connect")
    def connected(connection: object, _: object) -> None:
        connection.execute("PRAGMA synchronous=OFF")  # type: ignore[attr-defined]

    ledger.engine.dispose()
