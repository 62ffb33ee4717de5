"""Recording in the thread of an event loop: only where nobody else has to be waited for."""

import sqlite3
import threading
from collections.abc import Iterator

import pytest

from service.core.errors import Unrecorded
from service.keeper import recorder as recorder_
from service.keeper.asked import Asked
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.failing import without_log
from tests.ledger.homes import Home, environment, put
from tests.rigs.keywright import wait_until


@pytest.fixture
def service(sqlite_home: Home) -> Service:
    made = sqlite_home.service()
    environment(made)
    put(made, "shop/A", "one")
    made.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))  # from here on the data key is in memory
    return made


def asked(service: Service) -> Asked:
    made = service.keeper.values.asked(lambda _: SYSTEM, "production", Wanted(("shop/A",)))
    service.keeper.recorder.evaluate(made)
    return made


def recorded(service: Service) -> int:
    return len(service.keeper.events.ask(SYSTEM, Question(action="value.fetch", limit=500)))


@pytest.fixture
def before(service: Service) -> Iterator[int]:
    """How many fetches are recorded; afterwards the chain is whole."""
    yield recorded(service)
    assert service.keeper.events.verify(SYSTEM).broken_at is None


def test_a_batch_is_recorded(service: Service, before: int) -> None:
    batch = [asked(service) for _ in range(5)]
    assert service.keeper.recorder.record_at_once(batch)
    assert recorded(service) == before + 5
    assert all(it.error is None for it in batch)


def test_not_while_somebody_else_of_the_process_writes(service: Service, before: int) -> None:
    it = asked(service)
    with service.ledger.holding():
        assert not service.keeper.recorder.record_at_once([it])
    assert service.keeper.recorder.record_at_once([it])
    assert recorded(service) == before + 1


def test_not_while_another_process_writes(service: Service, sqlite_home: Home, before: int) -> None:
    it = asked(service)
    other = sqlite3.connect(sqlite_home.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert not service.keeper.recorder.record_at_once([it])
    assert it.error is None
    ended = threading.Event()

    def write() -> None:
        service.keeper.recorder.write([it])  # who may wait does
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not ended.wait(0.1)
    other.execute("ROLLBACK")
    thread.join(20)
    other.close()
    assert recorded(service) == before + 1


def test_not_what_was_evaluated_before_a_change(service: Service, before: int) -> None:
    it = asked(service)
    put(service, "shop/A", "two")
    assert not service.keeper.recorder.record_at_once([it])
    service.keeper.recorder.look()  # the snapshot is there, the fetch is not
    assert not service.keeper.recorder.record_at_once([it])
    assert recorded(service) == before


def test_not_on_another_epoch_of_the_ledger(service: Service, sqlite_home: Home, before: int) -> None:
    it = asked(service)
    epoch = service.keeper.recorder.snapshot.epoch
    other = sqlite3.connect(sqlite_home.file, isolation_level=None)
    other.execute("UPDATE head SET epoch = epoch + 1")
    assert not service.keeper.recorder.record_at_once([it])
    other.execute("UPDATE head SET epoch = ?", (epoch,))
    other.close()
    assert recorded(service) == before


def test_not_on_a_slow_disk(service: Service, before: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_, "SLOW", 0.0)
    assert service.keeper.recorder.record_at_once([asked(service)])
    it = asked(service)
    assert not service.keeper.recorder.record_at_once([it])
    assert recorded(service) == before + 1


def test_what_cannot_be_recorded_is_refused(service: Service, before: int) -> None:
    it, mended = asked(service), without_log(service)
    assert service.keeper.recorder.record_at_once([it])
    assert isinstance(it.error, Unrecorded)
    mended()
    assert recorded(service) == before


def test_a_poll_looks_at_the_epoch(service: Service, sqlite_home: Home, before: int) -> None:
    def poll() -> Asked:
        made = service.keeper.values.asked(lambda _: SYSTEM, "production", Wanted(("shop/A",)), lambda _: True)
        service.keeper.recorder.evaluate(made)
        return made

    assert service.keeper.recorder.record_at_once([poll()])
    it = poll()
    other = sqlite3.connect(sqlite_home.file, isolation_level=None)
    other.execute("UPDATE head SET epoch = epoch + 1")
    assert not service.keeper.recorder.record_at_once([it])
    other.execute("UPDATE head SET epoch = epoch - 1")
    other.close()
    assert recorded(service) == before


def test_a_ledger_on_another_machine_is_waited_for_elsewhere(pg_home: Home) -> None:
    service = pg_home.service()
    environment(service)
    put(service, "shop/A", "one")
    service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))
    assert not service.keeper.recorder.record_at_once([asked(service)])


def test_a_poll_does_not_wait_for_whoever_appends(service: Service, sqlite_home: Home, before: int) -> None:
    """Somebody of this process waits for the lock of the file, which another process holds."""
    made = service.keeper.values.asked(lambda _: SYSTEM, "production", Wanted(("shop/A",)), lambda _: True)
    service.keeper.recorder.evaluate(made)
    other = sqlite3.connect(sqlite_home.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    event = asked(service).event
    assert event is not None
    epoch = service.keeper.recorder.snapshot.epoch or 0
    thread = threading.Thread(target=service.ledger.record, args=([event], epoch))
    thread.start()
    wait_until(lambda: service.ledger._appender._lock.locked(), "nobody appends")
    assert not service.keeper.recorder.record_at_once([made])
    other.execute("ROLLBACK")
    thread.join(20)
    other.close()
    assert recorded(service) == before + 1
