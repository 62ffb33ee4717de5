"""Transactions: snapshots, the epoch, one chain whoever writes, and nothing answered without a record."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from service.core.access import Caller
from service.core.environment import Environment
from service.core.errors import Invalid, Unavailable, Unrecorded
from service.core.event import Event, Outcome
from service.ledger import environments as walls
from service.ledger.appender import Appender
from service.ledger.chain import Proof
from service.ledger.ledger import Ledger, Transaction
from service.ledger.tables import batches, environments, head
from tests.ledger.homes import Home
from tests.ledger.proofs import prove
from tests.rigs.postgresql import PostgresServer

CALLER = Caller("0123456789abcdef", "shop", "machine", ())
AT = datetime(2026, 11, 22, tzinfo=UTC)


def happened(action: str = "value.fetch", resource: str = "shop/db") -> Event:
    return Event(AT, CALLER, action, Outcome.ALLOWED, "production", resource)


def add(tx: Transaction, name: str) -> None:
    walls.add(tx, Environment(name, name, {}, (), 1, AT, AT))


def names(ledger: Ledger) -> list[str]:
    with ledger.read() as tx:
        return list(tx.sql.execute(select(environments.c.name).order_by(environments.c.name)).scalars())


def test_read_is_one_snapshot(home: Home) -> None:
    ledger = home.ledger()
    with ledger.read() as tx:
        before = tx.epoch
        with ledger.change() as other:
            add(other, "production")
            other.events.append(happened())
        count = select(func.count()).select_from(environments)
        assert tx.sql.execute(count).scalar_one() == 0
        assert tx.sql.execute(select(head.c.epoch)).scalar_one() == before
    assert names(ledger) == ["production"]
    assert ledger.epoch() == before + 1


def test_a_snapshot_cannot_write(pg_home: Home) -> None:
    with pytest.raises(Exception, match="read-only"), pg_home.ledger().read() as tx:
        add(tx, "production")


def test_record_on_a_moved_epoch_appends_nothing(home: Home) -> None:
    ledger = home.ledger()
    with ledger.read() as tx:
        epoch = tx.epoch
    assert ledger.record([happened()], epoch)
    assert ledger.record([happened(), happened()], epoch)  # a record moves no epoch
    with ledger.change() as tx:
        add(tx, "production")
    assert not ledger.record([happened()], epoch)
    assert prove(ledger).events == 3
    assert ledger.record([happened()], epoch + 1)
    assert not ledger.record([happened()], epoch + 2)  # not equal is moved, whichever way
    assert prove(ledger) == Proof(4, prove(ledger).end, last=4)


def test_holding_and_work_move_no_epoch(home: Home) -> None:
    ledger = home.ledger()
    before = ledger.epoch()
    with ledger.holding() as tx:
        tx.events.append(happened())
    with ledger.work() as tx:
        tx.sql.execute(text("INSERT INTO rejections VALUES ('db:5432', 'app', 1, 0)"))
    assert ledger.epoch() == before
    assert prove(ledger).events == 1


class Broken(Exception):
    """What a failing act raises."""


def breaks() -> None:
    raise Broken


def write(
    way: Callable[[], AbstractContextManager[Transaction]], then: Callable[[], None] = lambda: None, size: int = 1
) -> None:
    with way() as tx:
        add(tx, "production")
        tx.events.append(happened("x", "y" * size))
        then()


def test_a_failing_act_leaves_neither_state_nor_event(home: Home) -> None:
    ledger = home.ledger()
    for way in (ledger.change, ledger.holding, ledger.work):
        with pytest.raises(Broken):
            write(way, breaks)
    assert names(ledger) == []
    assert ledger.epoch() == 0
    assert prove(ledger).events == 0


@pytest.mark.parametrize("statement", ["INSERT INTO batches", "UPDATE head"])
def test_state_without_its_event_is_not_kept(home: Home, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever keeps the event out keeps the change out."""
    ledger = home.ledger()
    run = Appender._run

    def ran(cursor: Any, sent: tuple[str, Any], values: dict[str, Any]) -> None:
        if sent[0].startswith(statement):
            raise Broken
        run(cursor, sent, values)

    monkeypatch.setattr(Appender, "_run", staticmethod(ran))

    def refuse(connection: object, cursor: object, sent: str, *_: object) -> None:
        if sent.startswith(statement):
            raise Broken

    event.listen(ledger.engine, "before_cursor_execute", refuse)
    with pytest.raises(Broken):
        write(ledger.change)
    with pytest.raises(Broken):
        ledger.record([happened()], 0)
    event.remove(ledger.engine, "before_cursor_execute", refuse)
    assert names(ledger) == []
    assert prove(ledger).events == 0


def test_without_the_chain_key_nothing_is_recorded(home: Home) -> None:
    ledger = home.ledger()
    ledger._chain_key = None
    with pytest.raises(Unrecorded):
        write(ledger.change)
    assert names(ledger) == []


def in_threads(count: int, act: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            act(number)
        except Exception as failure:  # noqa: BLE001 - whatever it was, the test shows it
            failures.append(failure)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_concurrent_writers_keep_one_chain_and_lose_nothing(home: Home) -> None:
    """Several processes on PostgreSQL, several threads of one on SQLite; whose record was refused tries again."""
    ledgers = [home.ledger() for _ in range(4)] if home.engine == "postgresql" else [home.ledger()] * 4
    each = 25

    def write(number: int) -> None:
        ledger = ledgers[number]
        for turn in range(each):
            if turn % 5 == 0:
                with ledger.change() as tx:
                    add(tx, f"e-{number}-{turn}")
                    tx.events.append(happened("environment.add", f"e-{number}-{turn}"))
                continue
            while True:
                with ledger.read() as tx:
                    epoch = tx.epoch
                if ledger.record([happened(resource=f"v-{number}-{turn}"), happened()], epoch):
                    break

    in_threads(4, write)
    assert len(names(ledgers[0])) == 4 * 5
    assert ledgers[0].epoch() == 4 * 5
    found = prove(ledgers[0])
    assert (found.broken_at, found.events) == (None, 4 * (5 + 2 * 20))
    with ledgers[0].read() as tx:
        bodies = "".join(tx.sql.execute(select(batches.c.body)).scalars())
    assert all(f"v-{n}-{t}" in bodies for n in range(4) for t in range(each) if t % 5)


def test_changes_wait_for_one_another(pg_home: Home) -> None:
    """Who holds `head` sees the state that it will be committed on: no update is lost between two processes."""
    one, two = pg_home.ledger(), pg_home.ledger()
    with one.change() as tx:
        add(tx, "production")

    def raise_revision(number: int) -> None:
        for _ in range(20):
            with (one, two)[number].change() as tx:
                revision = tx.sql.execute(select(environments.c.revision)).scalar_one()
                tx.sql.execute(text("UPDATE environments SET revision = :r"), {"r": revision + 1})

    in_threads(2, raise_revision)
    with one.read() as tx:
        assert tx.sql.execute(select(environments.c.revision)).scalar_one() == 41


def test_a_full_or_read_only_file_answers_nothing(sqlite_home: Home) -> None:
    ledger = sqlite_home.ledger()
    whole: list[str] = ["PRAGMA query_only = OFF", "PRAGMA max_page_count = 1000000"]
    pragmas = list(whole)

    @event.listens_for(ledger.engine, "checkout")
    def limit(connection: Any, *_: object) -> None:
        for pragma in pragmas:
            connection.execute(pragma)

    for limited in ("PRAGMA query_only = ON", "PRAGMA max_page_count = 1"):
        pragmas[:] = [*whole, limited]
        for way in (ledger.change, ledger.holding):
            with pytest.raises(Unrecorded, match="cannot be used"):
                write(way, size=100_000)
        pragmas[:] = whole
        assert names(ledger) == []
        assert prove(ledger).events == 0


def test_a_statement_that_fails_keeps_no_lock(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while somebody still looks at why it failed."""
    ledger = sqlite_home.ledger()
    with ledger.read() as tx:
        epoch = tx.epoch
    assert ledger.record([happened()], epoch)
    appender: Any = ledger._appender
    with monkeypatch.context() as patched:
        patched.setattr(appender, "_end", None)
        patched.setattr(appender, "_finish", (appender._finish[0], lambda _: ()))
        with pytest.raises(sqlite3.ProgrammingError, match="binding") as failed:
            ledger.record([happened()], epoch)
    with ledger.change() as tx:
        add(tx, "production")
    assert ledger.record([happened()], epoch + 1)
    assert prove(ledger).events == 2
    assert failed.value.__traceback__ is not None


def test_a_locked_file_answers_nothing(sqlite_home: Home) -> None:
    ledger = sqlite_home.ledger()

    @event.listens_for(ledger.engine, "checkout")
    def impatient(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout = 50")

    with ledger.change() as tx:
        add(tx, "production")
        with pytest.raises(Unrecorded):
            ledger.record([happened()], 0)
    assert names(ledger) == ["production"]


def test_a_ledger_that_is_down_answers_nothing_and_comes_back(pg_home: Home, ledger_server: PostgresServer) -> None:
    ledger = pg_home.ledger()
    with ledger.read() as tx:
        epoch = tx.epoch
    ledger_server.stop()
    try:
        for failing in (lambda: ledger.epoch(), lambda: names(ledger)):
            with pytest.raises(Unavailable):
                failing()
        with pytest.raises(Unrecorded):
            ledger.record([happened()], epoch)
        with pytest.raises(Unrecorded), ledger.change():
            pass
    finally:
        ledger_server.start()
    with ledger.change() as tx:
        add(tx, "production")
    assert names(ledger) == ["production"]


def test_a_server_that_goes_in_the_middle_leaves_nothing(pg_home: Home, ledger_server: PostgresServer) -> None:
    ledger = pg_home.ledger()
    with pytest.raises(Unrecorded):
        write(ledger.change, ledger_server.restart)
    assert names(ledger) == []
    assert prove(ledger).events == 0


def test_a_busy_pool_says_so(pg_home: Home) -> None:
    ledger = pg_home.ledger()
    ledger.engine.pool._timeout = 0.05  # type: ignore[attr-defined]
    held = [ledger.engine.connect() for _ in range(4)]
    with pytest.raises(Unrecorded, match="busy"), ledger.change():
        pass
    with pytest.raises(Unavailable, match="busy"):
        ledger.epoch()
    for connection in held:
        connection.close()


def test_a_text_that_postgresql_cannot_hold_is_the_requests_fault(home: Home) -> None:
    ledger = home.ledger()
    query = select(environments).where(environments.c.name == "a\0b")
    if home.engine == "sqlite":
        with ledger.read() as tx:
            assert tx.sql.execute(query).all() == []
    else:
        with pytest.raises(Invalid), ledger.read() as tx:
            tx.sql.execute(query)


def test_the_ledgers_clock(home: Home) -> None:
    """PostgreSQL: the database's, the same for all replicas. SQLite: the one that was passed in."""
    home.now = lambda: AT
    ledger = home.ledger()
    for way in (ledger.read, ledger.change, ledger.holding, ledger.work):
        with way() as tx:
            assert (tx.now == AT) == (home.engine == "sqlite")
            assert tx.now.tzinfo is not None
