"""The appender's connection: closed by others, interrupted, broken; and what is recorded stays whole."""

import contextlib
import sqlite3
import threading
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from service.core.errors import Unrecorded
from tests.ledger.homes import Home
from tests.ledger.proofs import prove
from tests.ledger.test_ledger import add, happened


def test_a_ledger_that_is_closed_while_it_records_stays_whole(sqlite_home: Home) -> None:
    """Who closes it waits for what is under way: half of it would break the chain."""
    ledger = sqlite_home.ledger()
    with ledger.read() as tx:
        epoch = tx.epoch
    assert ledger.record([happened()], epoch)
    appender: Any = ledger._appender
    driver, real = appender._driver, appender._cursor
    insert = appender._insert[0]
    closing = threading.Thread(target=appender.close)

    class Invalidates:
        """The same connection; `invalidate` comes a moment after the statement before it."""

        def __getattr__(self, name: str) -> Any:
            return getattr(driver, name)

        def invalidate(self) -> None:
            pass

    class Cursor:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def execute(self, said: str, *values: Any) -> Any:
            if said == insert:
                closing.start()  # at this moment; without a lock it comes as far as its ROLLBACK
                closing.join(0.3)
            return real.execute(said, *values)

    appender._driver, appender._cursor = Invalidates(), Cursor()
    recorded = 0
    with contextlib.suppress(sqlite3.Error):
        recorded = int(ledger.record([happened()], epoch))
    closing.join()
    driver.invalidate()
    again = sqlite_home.ledger()
    assert prove(again).events == 1 + recorded
    assert again.record([happened()], epoch)
    with again.change() as tx:
        add(tx, "production")


def test_whatever_fails_gives_the_turn_back(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = sqlite_home.ledger()
    with ledger.read() as tx:
        epoch = tx.epoch
    assert ledger.record([happened()], epoch)
    for failure in (KeyboardInterrupt, MemoryError, SystemExit):
        for place in ("_run", "_begin"):

            def fails(*_: Any, failure: Any = failure) -> None:
                raise failure

            with monkeypatch.context() as patched:
                patched.setattr(ledger._appender, place, fails)
                with pytest.raises(failure):
                    ledger.record_at_once([happened()], epoch)
                with pytest.raises(failure):
                    ledger.record([happened()], epoch)
            assert ledger.record_at_once([happened()], epoch) is True
            assert ledger.record([happened()], epoch) is True
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "_chain_key", None)
        for act in (ledger.record, ledger.record_at_once):
            with pytest.raises(Unrecorded, match="keys are not open"):
                act([happened()], epoch)
    assert ledger.record_at_once([happened()], epoch) is True
    assert prove(ledger).events == 1 + 3 * 2 * 2 + 1


def test_the_cursor_is_not_broken_for_good(pg_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, other = pg_home.ledger(), pg_home.ledger()
    with ledger.read() as tx:
        epoch = tx.epoch
    count = 0

    def goes(epoch: int = epoch) -> None:
        nonlocal count
        assert ledger.record([happened()], epoch) is True
        count += 1

    goes()
    goes()
    appender: Any = ledger._appender
    # the backend is gone
    pid = appender._driver.driver_connection.info.backend_pid
    with other.engine.connect() as sql:
        sql.execute(text(f"SELECT pg_terminate_backend({pid})"))
    with pytest.raises(Unrecorded):
        ledger.record([happened()], epoch)
    goes()
    goes()
    # a statement of ours is wrong, with the row held and without
    for place in ("_move", "_insert", "_finish", "_advance"):
        appender._others = 0 if place == "_move" else 5
        with monkeypatch.context() as patched:
            patched.setattr(appender, place, ("SELECT nonsense", None))
            with pytest.raises(psycopg.Error):
                ledger.record([happened()], epoch)
        goes(epoch)
        with other.change() as tx:  # nothing keeps the row
            tx.events.append(happened())
            count += 1
        epoch += 1
        goes(epoch)
        goes(epoch)
    # interrupted with the row held
    appender._others = 5
    with monkeypatch.context() as patched:

        def fails(*_: Any) -> None:
            raise KeyboardInterrupt

        patched.setattr(appender, "_heard", fails)
        with pytest.raises(KeyboardInterrupt):
            ledger.record([happened()], epoch)
    with other.change() as tx:
        add(tx, "production")
    assert ledger.record([happened()], epoch) is False
    goes(epoch + 1)
    assert prove(other).events == count
