"""Requests from nobody: a few are events, the others are counted and told together."""

import pytest

from service.core.errors import Unauthenticated
from service.keeper import strangers
from service.keeper.callers import nobody
from service.keeper.events import Question
from service.keeper.strangers import AT_ONCE, EVERY, PER_SECOND, Strangers
from service.keeper.tokens import SYSTEM
from service.wiring import Service
from tests.ledger.homes import Home, machine, token


def refused(service: Service) -> list[dict[str, object]]:
    return service.keeper.events.ask(SYSTEM, Question(action="token.use", limit=500))


def knock(service: Service, presented: str, address: str = "192.0.2.66") -> None:
    with pytest.raises(Unauthenticated):
        service.keeper.tokens.authenticate(presented, address, "request-7")


def test_a_wrong_token_leaves_an_event_and_no_part_of_itself(home: Home) -> None:
    service = home.service()
    text = token(service, "shop").reveal()
    wrong = text[:-1] + ("0" if text[-1] != "0" else "1")
    knock(service, wrong)
    (event,) = refused(service)
    assert (event["actor"], event["kind"], event["name"]) == ("stranger", "stranger", "")
    assert (event["address"], event["request"], event["outcome"]) == ("192.0.2.66", "request-7", "refused")
    assert event["detail"] == {"error": "Unauthenticated"}
    with service.ledger.read() as tx:
        stored = str(tx.sql.exec_driver_sql("SELECT body, persons FROM batches").all())
    assert not any(wrong[start : start + 8] in stored for start in range(len(wrong) - 8))


def test_a_flood_does_not_fill_the_log_and_is_told_by_its_number(home: Home) -> None:
    now = [0.0]
    service = home.service()
    service.keeper.recorder.strangers = Strangers(lambda: now[0])
    for number in range(AT_ONCE + 25):
        knock(service, "nonsense", f"192.0.2.{number % 7}")
    assert len(refused(service)) == AT_ONCE
    service.keeper.recorder.tell_strangers()
    youngest = refused(service)[0]
    assert youngest["detail"] == {"error": "Unauthenticated", "more": 25, "addresses": 7}
    service.keeper.recorder.tell_strangers()
    assert len(refused(service)) == AT_ONCE + 1  # told once
    now[0] += 1
    for _ in range(50):
        knock(service, "nonsense")
    assert len(refused(service)) == AT_ONCE + 1 + PER_SECOND


def test_who_is_known_is_counted_apart_from_strangers(home: Home) -> None:
    """A flood takes no event from a caller whose name is known."""
    service = home.service()
    for _ in range(AT_ONCE + 5):
        knock(service, "nonsense")
    service.keeper.tokens.me(machine(service, "shop"))
    assert service.keeper.events.ask(SYSTEM, Question(actor="shop"))


def test_what_could_not_be_recorded_is_told_later() -> None:
    now = [0.0]
    counted = Strangers(lambda: now[0])
    while counted.admits("a"):
        pass
    assert not counted.due()
    now[0] += EVERY
    assert counted.due()

    def fails(*_: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        counted.told(fails)
    assert counted.due()
    heard: list[tuple[int, int]] = []
    counted.told(lambda *numbers: heard.append(numbers))
    assert heard == [(1, 1)]
    assert not counted.due()


def test_the_memory_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "ADDRESSES", 3)
    counted = Strangers(lambda: 0.0)
    for number in range(AT_ONCE + 20):
        counted.admits(str(number))
    heard: list[tuple[int, int]] = []
    counted.told(lambda *numbers: heard.append(numbers))
    assert heard == [(20, 3)]


def test_what_is_left_when_the_process_ends_is_told(home: Home) -> None:
    service = home.service()
    service.keeper.recorder.start()
    for _ in range(AT_ONCE + 4):
        knock(service, "nonsense")
    service.keeper.recorder.stop()
    more = [event["detail"] for event in refused(home.service())]
    assert {"error": "Unauthenticated", "more": 4, "addresses": 1} in more


def test_no_token_at_all_is_a_stranger_too(home: Home) -> None:
    service = home.service()
    asked = service.keeper.tokens.asked(nobody("exactly one token is needed", "192.0.2.9", "request-8"))
    with pytest.raises(Unauthenticated, match="exactly one"):
        service.keeper.recorder.fetch(asked)
    assert [event["address"] for event in refused(service)] == ["192.0.2.9"]


def test_a_refusal_counts_once_though_it_is_evaluated_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    service = home.service()
    asked: list[str] = []

    class Counting(Strangers):
        def admits(self, address: str) -> bool:
            asked.append(address)
            return super().admits(address)

    service.keeper.recorder.strangers = Counting()
    monkeypatch.setattr(service.ledger, "record", lambda *_: False)  # as if the epoch moved each time
    knock(service, "nonsense")
    monkeypatch.undo()
    assert asked == ["192.0.2.66"]
    assert len(refused(service)) == 1
