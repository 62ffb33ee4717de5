"""The way to an issuer or a cluster: who may ask it, who waits, and who is told at once that nothing can be had."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from providers.proofs import gate as gates
from providers.proofs.gate import EACH, PATIENCE, RESTS, Gate, Places
from service.core.errors import Unavailable
from service.core.proof import ASKING
from tests.rigs.keywright import wait_until


class Clock:
    """Stands still unless it is turned."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def ask(gate: Gate) -> None:
    with gate.passed():
        pass


@contextmanager
def waiting(gate: Gate, count: int) -> Iterator[list[Future[None]]]:
    """So many more come, and wait."""
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(ask, gate) for _ in range(count)]
        wait_until(lambda: gate._waiting == count, "they do not wait")
        yield asked


def test_one_asks_and_the_others_wait_for_it(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 60.0)
    gate = Gate(1, Places(), clock)
    with ExitStack() as stack:
        with gate.passed():
            asked = stack.enter_context(waiting(gate, 3))
            assert not any(each.done() for each in asked)
        for each in asked:
            each.result()


def test_several_ask_where_several_may(clock: Clock) -> None:
    gate = Gate(2, Places(), clock)
    with gate.passed(), gate.passed():
        clock.now += PATIENCE
        with pytest.raises(Unavailable, match="already"):
            ask(gate)
    ask(gate)


def test_nobody_waits_for_who_has_waited_for_long(clock: Clock) -> None:
    gate = Gate(1, Places(), clock)
    with gate.passed():
        clock.now += PATIENCE
        with pytest.raises(Unavailable, match="already"):
            ask(gate)
    ask(gate)


def test_who_waits_does_so_for_a_while_only(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 0.2)
    gate = Gate(1, Places(), clock)
    with gate.passed(), ThreadPoolExecutor(1) as pool, pytest.raises(Unavailable, match="already"):
        pool.submit(ask, gate).result()


def test_a_failure_is_heard_by_who_waits_and_by_who_comes_soon(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 60.0)
    gate = Gate(1, Places(), clock)
    with ExitStack() as stack:
        asked: list[Future[None]] = []

        def in_vain() -> None:
            with gate.passed():
                asked.extend(stack.enter_context(waiting(gate, 2)))
                raise Unavailable("gone")

        with pytest.raises(Unavailable, match="gone"):
            in_vain()
        for each in asked:
            with pytest.raises(Unavailable, match="gone"):
                each.result()
    clock.now += RESTS - 0.1
    with pytest.raises(Unavailable, match="gone"):
        ask(gate)
    clock.now += 0.1
    ask(gate)


def test_what_is_wrong_with_a_statement_keeps_nobody_from_asking(clock: Clock) -> None:
    gate = Gate(1, Places(), clock)
    with pytest.raises(KeyError), gate.passed():
        raise KeyError
    ask(gate)


def test_no_more_wait_for_one_than_may(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 60.0)
    gate = Gate(1, Places(), clock)
    with ThreadPoolExecutor(EACH) as pool, gate.passed():
        asked = [pool.submit(ask, gate) for _ in range(EACH)]
        wait_until(lambda: any(each.done() for each in asked), "all of them wait")
    failed = [each.exception() for each in asked if each.exception()]
    assert ["as many" in str(each) for each in failed] == [True]


def test_all_of_them_share_what_places_there_are(clock: Clock) -> None:
    places = Places()
    with ExitStack() as stack:
        for _ in range(ASKING):
            stack.enter_context(Gate(1, places, clock).passed())
        with pytest.raises(Unavailable, match="as many"):
            ask(Gate(1, places, clock))
    ask(Gate(1, places, clock))
