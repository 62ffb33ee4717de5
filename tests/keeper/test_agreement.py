"""The query index is held against the log, and built anew."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from service.core.access import Caller
from service.core.errors import Absent
from service.core.event import microseconds
from service.keeper.events import Question
from service.keeper.tokens import SYSTEM
from service.ledger import agreement, chain
from service.ledger.postings import minute_term
from service.ledger.tables import fetches
from service.wiring import Service
from tests.keeper.test_retention import DAY, NOW, aged, checkpointed, index, later, numbers, pruned, small, tamper
from tests.keeper.test_retention import here as here
from tests.ledger.homes import Home
from tests.rigs.rotating import Stand

__all__ = ["small"]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms and fetches in one statement."""
    monkeypatch.setattr(agreement, "TERMS", 3)
    monkeypatch.setattr(agreement, "FETCHES", 1)


def compared(service: Service) -> str:
    proof = service.keeper.events.verify(SYSTEM, index=True)
    assert proof.broken_at is None
    assert proof.index is not None
    return proof.index


def term(days: int) -> str:
    return minute_term("m", microseconds(NOW - days * DAY))


LIES = {
    "an action is hidden": ("DELETE FROM postings WHERE term = 'dvalue.fetch'", "lacks [0-9]+ terms, such as 'dvalue"),
    "of one stretch": ("DELETE FROM postings WHERE term = 'dvalue.fetch' AND stretch = 7", "lacks 1 terms, such as"),
    "a term is moved": ("UPDATE postings SET stretch = stretch + 100 WHERE term = 'orefused'", "lacks"),
    "no times": ("DELETE FROM postings WHERE term >= 'm' AND term < 'n'", "has not the times"),
    "the last time": (f"DELETE FROM postings WHERE term >= '{term(2)}' AND term < 'n'", "has not the times"),
    "a time too early": (f"INSERT INTO postings VALUES ('{term(3)[:-1]}z', 0)", "has not the times"),
    "a time of long ago": ("INSERT INTO postings VALUES ('m000000000000', 1000)", "has not the times"),
    "a time to come": (f"INSERT INTO postings VALUES ('{term(-900)}', 0)", "has times that no event has"),
    "late ones": ("DELETE FROM postings WHERE term >= 'l' AND term < 'm'", "lacks"),
    "a name": ("DELETE FROM callings WHERE name = 'blog'", "lacks the name of a caller"),
    "a name of another": ("UPDATE callings SET actor = 'x' WHERE name = 'blog'", "lacks the name of a caller"),
    "all, and it says it is done": ("DELETE FROM postings", "has not the times"),
}


@pytest.mark.parametrize("what", LIES)
def test_what_hides_events_from_a_question_is_found_and_mended(home: Home, what: str) -> None:
    service = home.service()
    aged(service)
    service.keeper.tokens.listed(SYSTEM, "", 1)
    index(service)
    assert compared(service) == ""
    asked = [
        Question(action="value.fetch", since=NOW - 4 * DAY, until=NOW + timedelta(minutes=1), limit=500),
        Question(outcome="refused", until=NOW - 2 * DAY, limit=500),
        Question(actor="blog", limit=500),
    ]
    found = [service.keeper.events.ask(SYSTEM, each) for each in asked]
    lie, finding = LIES[what]
    tamper(service, lie)
    assert service.keeper.events.verify(SYSTEM).broken_at is None  # the chain alone does not tell
    told = service.keeper.events.verify(SYSTEM, index=True)
    assert told.index is not None
    assert told.index.startswith("the query index differs from the log: ")
    assert re.search(finding, told.index), told.index
    assert service.keeper.events.reindex(SYSTEM) >= 60
    assert compared(service) == ""
    assert [service.keeper.events.ask(SYSTEM, each) for each in asked] == found


def test_an_index_that_says_it_is_further_than_it_is_is_found(home: Home) -> None:
    service = home.service()
    aged(service, 4)
    tamper(service, "UPDATE indexed SET seq = 100000")
    assert "has not the times" in compared(service)
    service.keeper.events.reindex(SYSTEM)
    assert compared(service) == ""


FETCHED = {
    "gone": ("DELETE FROM fetches", "does not know that event [0-9]+ fetched production:shop/db"),
    "earlier": ("UPDATE fetches SET seq = 1", "does not know that event [0-9]+ fetched production:shop/db"),
    "later": ("UPDATE fetches SET seq = seq + 2", "knows a fetch of production:shop/db that event [0-9]+ is not"),
    "newer": ("UPDATE fetches SET generation = generation + 1", "knows a fetch of production:shop/db that event"),
}


@pytest.mark.parametrize("what", FETCHED)
def test_what_hides_a_holder_is_found_and_mended(here: Stand, what: str) -> None:
    for name in ("one", "other"):
        here.service.keeper.credentials.one(here.machine(name), "production", "shop/db")
    before = index(here.service)["fetches"]
    assert compared(here.service) == ""
    lie, finding = FETCHED[what]
    tamper(here.service, lie)
    assert re.search(finding, compared(here.service))
    here.service.keeper.events.reindex(SYSTEM)
    assert index(here.service)["fetches"] == before
    assert compared(here.service) == ""


@pytest.mark.parametrize("days", range(5, 9))
def test_what_pruning_leaves_agrees_and_may_be_built_anew(home: Home, days: int) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    for more in (4, 0):
        pruned(service, NOW - (days + more) * DAY + timedelta(minutes=3))
        assert compared(service) == ""
    left = numbers(service, limit=500)
    service.keeper.events.reindex(SYSTEM)
    assert compared(service) == ""
    assert [each for each in numbers(service, limit=500) if each <= left[0]] == left
    least = "(SELECT min(term) FROM postings WHERE term > 'm')"
    tamper(service, f"UPDATE postings SET term = '{term(-900)}' WHERE term = {least}")
    assert compared(service) != ""


def test_the_time_with_which_a_pruned_log_begins_is_looked_for(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    pruned(service, NOW - 7 * DAY)
    assert compared(service) == ""
    tamper(service, "DELETE FROM postings WHERE term >= 'm' AND term < 'n' AND stretch = 10")
    assert "does not know when event 40 was recorded" in compared(service)


def test_fetches_whose_events_went_stay(here: Stand) -> None:
    here.service.keeper.credentials.one(here.machine("holder"), "production", "shop/db")
    later(here)
    pruned(here.service, here.now)
    before = index(here.service)["fetches"]
    assert before
    assert compared(here.service) == ""
    here.service.keeper.events.reindex(SYSTEM)
    assert index(here.service)["fetches"] == before


def test_it_agrees_where_it_is_pruned_meanwhile(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    looks = 0

    def meanwhile(_: int, __: int) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            pruned(service, NOW - 7 * DAY)

    proof = service.keeper.events.verify(SYSTEM, None, meanwhile, index=True)
    assert (proof.broken_at, proof.pruned, proof.index) == (None, 39, "")


def test_it_is_compared_piece_by_piece(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BATCHES", 1)
    service = home.service()
    aged(service, 6)
    index(service)
    tamper(service, "DELETE FROM postings WHERE term = 'orefused'")
    told = []
    proof, on = service.keeper.events.verify_on(SYSTEM, None, 0.0, index=True)
    while on is not None:
        told.append(proof.index)
        proof, on = service.keeper.events.verify_on(SYSTEM, on, 0.0)
    assert "lacks 1 terms, such as 'orefused'" in str(proof.index)
    assert told[0] == ""


def test_only_an_owner_of_everything_builds_it_anew(home: Home) -> None:
    service = home.service()
    aged(service, 2)
    with pytest.raises(Absent):
        service.keeper.events.reindex(Caller("x", "x", "machine", (), "192.0.2.7"))
    service.keeper.events.reindex(SYSTEM)
    told = service.keeper.events.ask(SYSTEM, Question(action="event.reindex"))
    assert [each["outcome"] for each in told] == ["allowed", "refused"]
    with service.ledger.read() as tx:
        assert tx.sql.execute(select(func.count()).select_from(fetches)).scalar_one() == 0
