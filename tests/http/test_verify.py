"""`/events/verify` of a long log: piece by piece, and nobody waits for it."""

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from service.keeper import events
from service.keeper.events import Proof
from service.keeper.tokens import SYSTEM
from service.ledger import chain
from tests.rigs.keywright import Keywright


@pytest.fixture
def piecemeal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page is one batch, and takes ten seconds."""
    clock = count(0, 10)
    monkeypatch.setattr(chain, "BATCHES", 1)
    monkeypatch.setattr(events, "time", SimpleNamespace(monotonic=lambda: float(next(clock)), sleep=lambda _: None))


def followed(it: Keywright, **more: str) -> list[dict[str, Any]]:
    client, cursor, told = it.client(), "", []
    while not told or cursor:
        query = {"seconds": 5} | more | ({"cursor": cursor} if cursor else {})
        told.append(client.get("/events/verify", params=query).raise_for_status().json())
        cursor = told[-1]["next"]
    return told


@pytest.mark.usefixtures("piecemeal")
def test_it_is_followed_piece_by_piece_to_where_it_ended_at_first(keywright_service: Keywright) -> None:
    it = keywright_service
    for name in ("a", "b", "c"):
        it.client().post("/environments", json={"name": name}).raise_for_status()
    told = followed(it)
    assert len(told) > 3
    assert all(each["whole"] and each["last"] == told[0]["last"] for each in told)
    assert [each["events"] for each in told] == sorted(each["events"] for each in told)
    assert told[-1]["finding"] == "the chain is whole"
    assert told[-1]["events"] == told[-1]["last"]
    begun = it.client().get("/events", params={"action": "event.verify"}).json()["items"]
    assert [each["detail"] for each in begun[-2:]] == [{"from": told[0]["events"] + 1}, {}]


@pytest.mark.usefixtures("piecemeal")
def test_a_break_further_on_is_found(keywright_service: Keywright) -> None:
    it = keywright_service
    for name in ("a", "b", "c"):
        it.client().post("/environments", json={"name": name}).raise_for_status()
    with it.service.ledger.connected() as sql:
        sql.exec_driver_sql("UPDATE batches SET body = REPLACE(body, '\"c\"', '\"d\"')")
        sql.commit()
    told = followed(it)
    assert [each["whole"] for each in told] == [True] * (len(told) - 1) + [False]
    assert told[-1]["next"] is None
    assert "was changed" in told[-1]["finding"]


@pytest.mark.usefixtures("piecemeal")
def test_the_index_is_compared_piece_by_piece_if_asked_for(keywright_service: Keywright) -> None:
    it = keywright_service
    for name in ("a", "b", "c"):
        it.client().post("/environments", json={"name": name}).raise_for_status()
    assert all(each["index"] is None for each in followed(it))
    told = followed(it, index="true")
    assert len(told) > 3
    assert [each["index"] for each in told] == [""] * len(told)
    with it.service.ledger.connected() as sql:
        sql.exec_driver_sql("DELETE FROM postings WHERE term = 'denvironment.add'")
        sql.commit()
    told = followed(it, index="true")
    assert all(each["whole"] for each in told)
    assert any("lacks 1 terms, such as 'denvironment.add'" in each["index"] for each in told)


@pytest.mark.parametrize("cursor", ["", "MQ", "MSAyIDM"])
def test_a_cursor_that_was_never_given_out_is_refused(keywright_service: Keywright, cursor: str) -> None:
    answer = keywright_service.client().get("/events/verify", params={"cursor": cursor})
    assert answer.status_code == (422 if cursor else 200)


def test_while_a_log_is_followed_everybody_else_writes(
    keywright_service: Keywright, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No snapshot is open between two pages, so the write-ahead log is taken over, and nobody waits."""
    it = keywright_service
    monkeypatch.setattr(chain, "BATCHES", 1)
    looks: list[tuple[int, ...]] = []

    def meanwhile(reached: int, end: int) -> None:
        it.client().post("/environments", json={"name": f"e{reached}"}).raise_for_status()
        with it.service.ledger.connected() as sql:
            looks.append(tuple(sql.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()))

    it.client().post("/environments", json={"name": "a"}).raise_for_status()
    proof = it.service.keeper.events.verify(SYSTEM, None, meanwhile)
    assert proof.broken_at is None
    assert len(looks) > 1
    assert all(busy == 0 for busy, *_ in looks)


def test_it_is_as_before_without_a_limit(keywright_service: Keywright) -> None:
    told = keywright_service.client().get("/events/verify").raise_for_status().json()
    assert (told["whole"], told["next"], told["pruned"]) == (True, None, 0)
    assert told["events"] == told["last"] > 0
    assert set(told) == {"whole", "next"} | set(vars(Proof(0, "")))
