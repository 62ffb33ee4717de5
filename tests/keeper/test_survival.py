"""The recorder's thread answers every fetch of an event loop: nothing that fails in it may end it."""

import threading
from typing import Any

import pytest

from service.core.errors import Unrecorded
from service.keeper.asked import Asked
from service.keeper.strangers import Strangers
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.wiring import Service
from tests.ledger.failing import without_log
from tests.ledger.homes import Home, environment, put
from tests.rigs.keywright import wait_until


class Lost(Exception):
    """As if a line of ours were wrong."""


def answered(service: Service) -> Asked:
    """A fetch that the thread records."""
    asked = service.keeper.values.asked(lambda _: SYSTEM, "production", Wanted(("shop/A",)))
    over = threading.Event()
    service.keeper.recorder.submit([asked], lambda _: over.set())
    assert over.wait(20), "nobody answers any more"
    return asked


@pytest.fixture
def service(home: Home) -> Service:
    made = home.service()
    environment(made)
    put(made, "shop/A", "one")
    made.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))
    made.keeper.recorder.start()
    return made


def test_what_fails_while_strangers_are_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder, failed = service.keeper.recorder, threading.Event()

    def fail() -> None:
        failed.set()
        raise Lost

    monkeypatch.setattr(recorder.strangers, "due", lambda: not failed.is_set())
    monkeypatch.setattr(recorder, "tell_strangers", fail)
    assert failed.wait(20)
    assert answered(service).error is None


def test_what_fails_while_a_batch_is_handed_back(service: Service) -> None:
    def fail(_: object) -> None:
        raise Lost

    asked = service.keeper.values.asked(lambda _: SYSTEM, "production", Wanted(("shop/A",)))
    service.keeper.recorder.submit([asked], fail)
    assert answered(service).error is None


def test_a_ledger_that_cannot_record_is_said_and_so_is_its_return(service: Service) -> None:
    recorder = service.keeper.recorder
    assert recorder.records
    mended = without_log(service)
    assert isinstance(answered(service).error, Unrecorded)
    holding = service.ledger.holding

    def refuse() -> Any:
        raise Unrecorded("the disk is full")

    service.ledger.holding = refuse  # type: ignore[method-assign]
    assert not recorder.records
    mended()
    service.ledger.holding = holding  # type: ignore[method-assign]
    wait_until(lambda: recorder.records, "it is not seen that it records again")  # though nobody fetches


def test_whoever_is_refused_does_not_wait_for_what_is_told() -> None:
    strangers, telling, told = Strangers(lambda: 0.0), threading.Event(), threading.Event()
    for _ in range(20):
        strangers.admits("192.0.2.1")

    def tell(_: int, __: int) -> None:
        telling.set()
        assert told.wait(20)

    thread = threading.Thread(target=strangers.told, args=(tell,))
    thread.start()
    assert telling.wait(20)
    assert not strangers.admits("192.0.2.2")  # and this does not wait
    told.set()
    thread.join(20)
    counted: list[tuple[int, int]] = []
    strangers.told(lambda *numbers: counted.append(numbers))
    assert counted == [(1, 1)]


def test_what_could_not_be_told_is_kept() -> None:
    strangers = Strangers(lambda: 0.0)
    for number in range(15):
        strangers.admits(f"192.0.2.{number}")

    def fail(_: int, __: int) -> None:
        strangers.admits("198.51.100.1")
        raise Unrecorded("the disk is full")

    with pytest.raises(Unrecorded):
        strangers.told(fail)
    counted: list[tuple[int, int]] = []
    strangers.told(lambda *numbers: counted.append(numbers))
    assert counted == [(6, 6)]


@pytest.mark.parametrize("setting", ["default_transaction_read_only"])
def test_a_postgresql_that_became_read_only_is_away_and_not_a_defect(pg_home: Home, setting: str) -> None:
    """As a primary that was demoted is."""
    service = pg_home.service()
    environment(service)
    put(service, "shop/A", "one")
    with service.ledger.connected() as sql:
        sql.exec_driver_sql(f"ALTER ROLE CURRENT_USER SET {setting} = on")
        sql.commit()
    try:
        service.ledger.engine.dispose()
        service.ledger._appender.close()
        with pytest.raises(Unrecorded, match="SQLSTATE 25006"):
            service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))
        with pytest.raises(Unrecorded, match="read-only"):
            put(service, "shop/A", "two")
        assert not service.keeper.recorder.records
    finally:
        with service.ledger.connected() as sql:
            sql.exec_driver_sql("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE")
            sql.commit()
            sql.exec_driver_sql(f"ALTER ROLE CURRENT_USER RESET {setting}")
            sql.commit()
        service.ledger.engine.dispose()
        service.ledger._appender.close()
    service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))
    assert service.keeper.recorder.records
