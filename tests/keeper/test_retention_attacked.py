"""Somebody writes to the ledger, without the master key, to have Keywright remove what shows it: nothing young goes."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from scheduler.pruner import Pruner
from service.core.event import Event, Outcome, microseconds
from service.keeper.retention import Tampered
from service.keeper.tokens import SYSTEM
from service.ledger import chain, tables
from service.ledger.postings import minute_term
from service.ledger.tables import batches
from service.wiring import Service
from tests.keeper.test_retention import (
    CALLERS,
    DAY,
    NOW,
    aged,
    checkpointed,
    count,
    index,
    later,
    numbers,
    plan,
    pruned,
    small,
    tamper,
)
from tests.keeper.test_retention import here as here
from tests.ledger.homes import Home
from tests.rigs.rotating import Stand

__all__ = ["small"]


def fresh(service: Service, number: int = 40) -> None:
    """So many events of some minutes ago, in batches of two."""
    for minutes in range(number // 2, 0, -1):
        at = NOW - timedelta(seconds=20 * minutes)
        one = Event(at, CALLERS[0], "value.fetch", Outcome.ALLOWED, "production", f"shop/{minutes}")
        assert service.ledger.record([one, replace(one, resource="shop/x")], service.ledger.epoch())


def whole(service: Service) -> bool:
    return service.keeper.events.verify(SYSTEM).broken_at is None


YESTERDAY = minute_term("m", microseconds(NOW - DAY))
MINUTES_GONE = {
    "all": "DELETE FROM postings WHERE term >= 'm' AND term < 'n'",
    "the young ones": f"DELETE FROM postings WHERE term >= '{YESTERDAY}' AND term < 'n'",
    "they say later": "UPDATE postings SET stretch = stretch + 1000 WHERE term >= 'm' AND term < 'n'",
}


@pytest.mark.parametrize("what", MINUTES_GONE)
@pytest.mark.parametrize("days", [0, 12])
def test_the_age_is_told_by_the_events_and_not_by_their_index(home: Home, what: str, days: int) -> None:
    """A log that is some minutes old, and one that begins with old days: the young ones stay."""
    service = home.service()
    aged(service, days)
    fresh(service)
    checkpointed(service)
    index(service)
    young = numbers(service, resource="shop/x", since=NOW - DAY / 2)
    tamper(service, MINUTES_GONE[what])
    with pytest.raises(Tampered, match=r"nothing (more )?is pruned.*index"):
        pruned(service, NOW - (DAY / 2 if days else 400 * DAY))
    with service.ledger.read() as tx:
        first = tx.sql.execute(select(batches.c.first).order_by(batches.c.first)).scalars().first()
    assert first is not None
    assert first <= min(young)
    assert whole(service)
    told = [each for each in service.keeper.events.export(SYSTEM, None, None) if each["action"] == "event.prune"]
    assert [told[-1]["outcome"], told[-1]["detail"]["error"]] == ["refused", "Tampered"]


FORGED = json.dumps(
    {
        "callers": [["x", "machine", "", ""]],
        "deeds": [["event.checkpoint", "allowed", "", "", {"seq": 10**9}]],
        "events": [[0, 0, 0, ""]],
    }
)


def test_a_checkpoint_counts_only_if_its_event_fits_the_chain(home: Home) -> None:
    service = home.service()
    aged(service)
    service.keeper.tokens.listed(SYSTEM, "", 1)
    index(service)
    with service.ledger.read() as tx:
        last = tx.sql.execute(select(batches).order_by(batches.c.first.desc()).limit(1)).one()
    with service.ledger.connected() as sql:
        forged = {"first": last.first, "body": FORGED, "stretch": last.first >> 2}
        sql.execute(text("UPDATE batches SET body = :body WHERE first = :first"), forged)
        sql.execute(text("INSERT INTO postings VALUES ('devent.checkpoint', :stretch)"), forged)
        sql.commit()
    for act in (plan, pruned):
        with pytest.raises(
            Tampered, match=f"nothing is pruned: event {last.first} says that a checkpoint was exported"
        ):
            act(service, NOW - 2 * DAY)
    with service.ledger.connected() as sql:
        sql.execute(batches.update().where(batches.c.first == last.first).values(body=last.body))
        sql.commit()
    assert pruned(service, NOW - 2 * DAY) == []
    assert count(service, tables.pruned) == 0
    assert whole(service)


def test_a_later_reach_written_into_the_event_of_a_checkpoint_is_found(home: Home) -> None:
    service = home.service()
    aged(service)
    early = checkpointed(service)
    aged(service, 3)
    index(service)
    with service.ledger.connected() as sql:
        reach = {"is": f'"seq":{early.seq}}}', "says": '"seq":99999}'}
        sql.execute(text("UPDATE batches SET body = REPLACE(body, :is, :says)"), reach)
        sql.commit()
    with pytest.raises(Tampered, match="does not fit the chain"):
        pruned(service, NOW)


def test_what_an_open_rotation_counts_by_stays_whatever_the_index_says(here: Stand) -> None:
    holder = here.machine("holder")
    here.service.keeper.credentials.one(holder, "production", "shop/db")
    fetched = numbers(here.service, action="credential.fetch")
    here.ask()
    here.work()
    later(here)
    index(here.service)
    rows = sorted(index(here.service)["fetches"])
    assert rows
    for lie in ("DELETE FROM fetches", "UPDATE fetches SET seq = (SELECT max(first) FROM batches)"):
        tamper(here.service, lie)
        with pytest.raises(Tampered, match=f"event {fetched[0]} is how an open rotation knows a holder"):
            pruned(here.service, here.now)
        assert numbers(here.service, action="credential.fetch") == fetched
        with here.service.ledger.connected() as sql:
            sql.execute(tables.fetches.delete())
            sql.execute(tables.fetches.insert(), [dict(zip(tables.fetches.c.keys(), row, strict=True)) for row in rows])
            sql.commit()


def test_whoever_fetched_again_holds_nothing_back(here: Stand) -> None:
    holder = here.machine("holder")
    here.service.keeper.credentials.one(holder, "production", "shop/db")
    later(here)
    here.service.keeper.credentials.one(holder, "production", "shop/db")
    here.ask()
    here.work()
    later(here)
    pruned(here.service, here.now)
    assert len(numbers(here.service, action="credential.fetch")) == 1


def test_the_pruner_says_it_where_it_is_looked_for(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    index(service)
    tamper(service, MINUTES_GONE["all"])
    by_itself = Pruner(service.keeper.retention, 7 * DAY)
    with pytest.raises(Tampered):
        by_itself.look()
    assert "the log's index has no times" in by_itself.trouble


def test_a_way_whose_end_was_pruned_meanwhile_goes_on_to_what_is_the_end_now(
    here: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a cursor from before."""
    monkeypatch.setattr(chain, "BATCHES", 1)
    events = here.service.keeper.events
    checkpointed(here.service)
    proof, on = events.verify_on(SYSTEM, None, 0.0)
    assert on is not None
    later(here)
    assert pruned(here.service, here.now)[-1] > on.end
    while on is not None:
        proof, on = events.verify_on(SYSTEM, on, 0.0)
    assert (proof.broken_at, proof.pruned > 0) == (None, True)
    assert proof.last > proof.pruned


def test_a_batch_stands_only_behind_a_whole_hash(home: Home) -> None:
    """What is chained is one text: with a longer hash before it, it could be read as another batch."""
    service = home.service()
    aged(service, 2)
    following = service.keeper.keyrings.chain()
    with service.ledger.read() as tx:
        row = following.stands(tx, 5)
        assert row is not None
        assert following.stands(tx, 10**6) is None
    assert row.first == 4
    with service.ledger.connected() as sql:
        former = sql.execute(
            select(batches.c.hash).where(batches.c.first < 4).order_by(batches.c.first.desc())
        ).scalars()
        text_ = bytes(next(former)) + row.first.to_bytes(8, "big") + row.events.to_bytes(4, "big") + row.body.encode()
        cut = 60
        longer, number, events = text_[:cut], text_[cut : cut + 8], text_[cut + 8 : cut + 12]
        sql.execute(batches.delete())
        values = {"body": "{}", "persons": "[]", "events": 1, "hash": longer, "first": 1}
        sql.execute(batches.insert(), values)
        shifted = {"first": int.from_bytes(number, "big"), "events": int.from_bytes(events, "big")}
        sql.execute(batches.insert(), values | shifted | {"body": text_[cut + 12 :].decode(), "hash": bytes(row.hash)})
        sql.commit()
    with service.ledger.read() as tx:
        assert following.stands(tx, shifted["first"]) is None
