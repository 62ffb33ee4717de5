"""The event log: what its proof finds, what it cannot find, and questions to it."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from service.core.access import Caller
from service.core.event import GENESIS, Event, Outcome
from service.keeper import indexer
from service.keeper.indexer import Indexer, Turn
from service.ledger import chain, postings, questions, tables
from service.ledger.chain import Proof
from service.ledger.ledger import Ledger
from service.ledger.questions import Question
from service.ledger.tables import batches, head
from tests.ledger.homes import Home, owner
from tests.ledger.proofs import CHAIN, prove

AT = datetime(2026, 11, 22, tzinfo=UTC)
SHOP, BLOG = (Caller(f"{name}-id", name, "machine", (), "192.0.2.7") for name in ("shop", "blog"))


def write(ledger: Ledger, *batch: Event) -> str:
    """One batch; the end of the chain after it."""
    assert ledger.record(batch, ledger.epoch())
    with ledger.read() as tx:
        return bytes(tx.sql.execute(select(head.c.hash)).scalar_one()).hex()


def happened(number: int, caller: Caller = SHOP, action: str = "value.fetch", resource: str = "") -> Event:
    at = AT + timedelta(minutes=number)
    return Event(at, caller, action, Outcome.ALLOWED, "production", resource or f"shop/{number}")


def filled(ledger: Ledger) -> list[str]:
    """Four batches: events 1, 2-3, 4, 5-6; the four ends."""
    return [
        write(ledger, happened(1)),
        write(ledger, happened(2), happened(3, BLOG)),
        write(ledger, happened(4)),
        write(ledger, happened(5), happened(6)),
    ]


def tamper(ledger: Ledger, *statements: str) -> None:
    with ledger.connected() as sql:
        for statement in statements:
            sql.execute(text(statement))
        sql.commit()


def test_an_untouched_log_is_whole(home: Home) -> None:
    ledger = home.ledger()
    assert prove(ledger) == Proof(0, GENESIS.hex())
    ends = filled(ledger)
    assert prove(ledger) == Proof(6, ends[-1], last=6)


CHANGES = {
    "an actor": ("UPDATE batches SET body = REPLACE(body, 'blog-id', 'shop-id')", 2),
    "an outcome": ("UPDATE batches SET body = REPLACE(body, 'allowed', 'refused') WHERE first = 4", 4),
    "a batch removed": ("DELETE FROM batches WHERE first = 2", 2),
    "the first batch removed": ("DELETE FROM batches WHERE first = 1", 1),
    "a count": ("UPDATE batches SET events = 1 WHERE first = 2", 2),
    "a hash": ("UPDATE batches SET hash = (SELECT hash FROM batches WHERE first = 1) WHERE first = 4", 4),
    "a name beside": ("UPDATE batches SET persons = REPLACE(persons, 'blog', 'anna') WHERE first = 2", 2),
    "an address beside": ("UPDATE batches SET persons = REPLACE(persons, '192.0.2.7', '192.0.2.8') WHERE first = 4", 4),
    "persons gone": ("UPDATE batches SET persons = '[]' WHERE first = 2", 2),
    "persons garbled": ("UPDATE batches SET persons = '{' WHERE first = 2", 2),
    "the tail": ("DELETE FROM batches WHERE first = 5", 5),
    "the head": ("UPDATE head SET seq = 7", 7),
    "the head, set back to an end that it had": (
        "UPDATE head SET seq = 3, hash = (SELECT hash FROM batches WHERE first = 2)",
        4,
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_found(home: Home, what: str) -> None:
    ledger = home.ledger()
    filled(ledger)
    statement, first = CHANGES[what]
    tamper(ledger, statement)
    assert prove(ledger).broken_at == first


def test_reordered_batches_are_found(home: Home) -> None:
    ledger = home.ledger()
    filled(ledger)
    tamper(
        ledger,
        "UPDATE batches SET first = 100 WHERE first = 1",
        "UPDATE batches SET first = 1 WHERE first = 4",
        "UPDATE batches SET first = 4 WHERE first = 100",
    )
    assert prove(ledger).broken_at == 1


def test_reordered_events_of_a_batch_are_found(home: Home) -> None:
    ledger = home.ledger()
    filled(ledger)
    with ledger.connected() as sql:
        body = sql.execute(select(batches.c.body).where(batches.c.first == 2)).scalar_one()
        said = json.loads(body)
        said["events"] = said["events"][::-1]
        turned = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        sql.execute(text("UPDATE batches SET body = :body WHERE first = 2"), {"body": turned})
        sql.commit()
    assert prove(ledger).broken_at == 2


def test_an_inserted_batch_is_found(home: Home) -> None:
    """With everything behind it moved on, and its hash made without the chain's key."""
    ledger = home.ledger()
    filled(ledger)
    tamper(
        ledger,
        "UPDATE batches SET first = first + 100 WHERE first >= 4",
        "INSERT INTO batches SELECT 4, events, body, persons, hash FROM batches WHERE first = 1",
        "UPDATE batches SET first = first - 99 WHERE first >= 100",
        "UPDATE head SET seq = 7",
    )
    assert prove(ledger).broken_at == 4


def test_an_erased_person_breaks_nothing(home: Home) -> None:
    ledger = home.ledger()
    ends = filled(ledger)
    with ledger.connected() as sql:
        kept = json.loads(sql.execute(select(batches.c.persons).where(batches.c.first == 2)).scalar_one())
        erased = json.dumps([kept[0], None])
        sql.execute(text("UPDATE batches SET persons = :erased WHERE first = 2"), {"erased": erased})
        sql.commit()
    assert prove(ledger) == Proof(6, ends[-1], last=6)
    shown = asked(ledger)
    assert [(event["name"], event["address"]) for event in shown if event["id"] == "3"] == [(None, None)]


def cut(ledger: Ledger, end: str) -> None:
    """Remove everything from event 4 on, and set `head` back alike."""
    tamper(ledger, "DELETE FROM batches WHERE first >= 4")
    with ledger.connected() as sql:
        sql.execute(text("UPDATE head SET seq = 3, hash = :hash"), {"hash": bytes.fromhex(end)})
        sql.commit()


def test_a_tail_cut_together_with_head_is_found_only_against_a_noted_end(home: Home) -> None:
    ledger = home.ledger()
    ends = filled(ledger)
    cut(ledger, ends[1])
    assert prove(ledger) == Proof(3, ends[1], last=3)  # nothing inside the ledger can show it
    assert prove(ledger, ends[1]).broken_at is None  # noted before what was cut
    assert prove(ledger, ends[3]).broken_at == 4
    write(ledger, happened(7))
    write(ledger, happened(8), happened(9))  # grown again to the same length
    assert prove(ledger).broken_at is None
    assert prove(ledger, ends[3]).broken_at is not None
    assert "cut" in prove(ledger, ends[3]).finding


def test_every_earlier_end_is_passed(home: Home) -> None:
    ledger = home.ledger()
    for end in (GENESIS.hex(), *filled(ledger)):
        assert prove(ledger, end).broken_at is None


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_found_from_page_to_page(home: Home, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(chain, "BATCHES", 1)
    test_what_was_changed_is_found(home, what)


def test_it_is_followed_to_where_it_ended_when_that_was_begun(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page at a time, each on a snapshot of its own, while the log grows."""
    monkeypatch.setattr(chain, "BATCHES", 1)
    ledger = home.ledger()
    ends = filled(ledger)
    with ledger.read() as tx:
        following = CHAIN.begun(tx)
    assert isinstance(following, chain.Following)
    looks, found = 0, None
    while found is None:
        write(ledger, happened(7 + looks))
        with ledger.read() as tx:
            found = CHAIN.went_on(tx, following)
        looks += 1
    assert found == Proof(6, ends[-1], last=6)
    assert looks == len(ends) + 1


def test_a_chain_under_another_key_is_found(home: Home) -> None:
    """Whoever can write to the ledger but lacks the master key cannot make a chain that verifies."""
    ledger = home.ledger()
    ledger.use_chain_key(bytes(31) + b"\1")
    filled(ledger)
    assert prove(ledger).broken_at == 1


# Questions.


def asked(ledger: Ledger, **question: object) -> list[dict[str, object]]:
    Indexer(ledger).reach(2**62, seconds=20)
    with ledger.read() as tx:
        return questions.ask(tx, Question(**question))  # type: ignore[arg-type]


def numbers(found: list[dict[str, object]]) -> list[int]:
    return [int(str(event["id"])) for event in found]


ASKED: list[tuple[dict[str, object], list[int]]] = [
    ({}, [6, 5, 4, 3, 2, 1]),
    ({"actor": "blog-id"}, [3]),
    ({"actor": "blog"}, [3]),
    ({"actor": "nobody"}, []),
    ({"action": "value.fetch"}, [6, 5, 4, 3, 2, 1]),
    ({"action": "token.add"}, []),
    ({"resource": "shop/4"}, [4]),
    ({"resource": "shop"}, []),
    ({"environment": "production"}, [6, 5, 4, 3, 2, 1]),
    ({"environment": "staging"}, []),
    ({"since": AT + timedelta(minutes=5)}, [6, 5]),
    ({"until": AT + timedelta(minutes=5)}, [4, 3, 2, 1]),
    ({"since": AT + timedelta(minutes=2), "until": AT + timedelta(minutes=4), "actor": "shop"}, [2]),
    ({"limit": 2}, [6, 5]),
    ({"limit": 2, "before": 5}, [4, 3]),
    ({"limit": 2, "before": 6}, [5, 4]),
    ({"limit": 2, "before": 1}, []),
    ({"outcome": "allowed", "limit": 1}, [6]),
    ({"outcome": "refused"}, []),
    ({"actor": "shop", "action": "value.fetch", "environment": "production", "resource": "shop/4"}, [4]),
]


def test_questions(home: Home) -> None:
    ledger = home.ledger()
    filled(ledger)
    for question, expected in ASKED:
        assert numbers(asked(ledger, **question)) == expected, question
    last = asked(ledger, limit=1)[0]
    assert (last["name"], last["address"], last["actor"]) == ("shop", "192.0.2.7", "shop-id")
    assert (last["at"], last["outcome"]) == ((AT + timedelta(minutes=6)).isoformat(), "allowed")


AGO = AT - timedelta(hours=5)
TIMES: list[tuple[dict[str, object], list[int]]] = [
    ({"until": AT}, [5, 3]),
    ({"until": AGO + timedelta(seconds=1)}, [5, 3]),
    ({"until": AGO}, []),
    ({"since": AGO, "until": AT}, [5, 3]),
    ({"since": AGO, "until": AT, "limit": 1}, [5]),
    ({"since": AGO, "until": AT, "limit": 1, "before": 5}, [3]),
    ({"since": AGO, "until": AT, "actor": "blog"}, [3]),
    ({"since": AGO, "until": AT, "actor": "blog", "action": "value.fetch"}, [3]),
    ({"since": AT + timedelta(minutes=20), "until": AT + timedelta(minutes=30)}, []),
    ({"since": AT + timedelta(minutes=20)}, [7, 6, 4]),
    ({"since": AT + timedelta(minutes=39), "until": AT + timedelta(minutes=39, seconds=31)}, [6]),
    ({"until": AT + timedelta(minutes=2)}, [5, 3, 1]),
    ({"since": AT, "until": AT + timedelta(minutes=40)}, [6, 2, 1]),
    ({"since": AT + timedelta(hours=1)}, []),
    ({"since": AT + timedelta(minutes=1), "until": AT + timedelta(minutes=1)}, []),
]


def test_events_are_found_by_their_times_though_a_clock_went_back(home: Home) -> None:
    """Five hours, between two batches; and within one, by seconds that nobody need remark."""
    ledger = home.ledger()
    write(ledger, happened(1))
    write(ledger, happened(2))
    write(ledger, replace(happened(3, BLOG), at=AGO), happened(40))
    write(ledger, replace(happened(5), at=AGO))
    write(ledger, replace(happened(6), at=AT + timedelta(minutes=40) - timedelta(seconds=30)))
    write(ledger, happened(41))
    for question, found in TIMES:
        assert numbers(asked(ledger, **question)) == found, question


def test_what_was_refused_is_found_as_such(home: Home) -> None:
    ledger = home.ledger()
    write(ledger, happened(1), replace(happened(2), outcome=Outcome.REFUSED))
    write(ledger, happened(3))
    assert numbers(asked(ledger, outcome="refused")) == [2]
    assert numbers(asked(ledger, outcome="allowed")) == [3, 1]
    assert numbers(asked(ledger, outcome="failed")) == []


def test_a_question_is_answered_over_many_pages_of_batches(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a batch has every term that is asked for, but no event that has them all."""
    monkeypatch.setattr(questions, "STRETCHES", 1)
    monkeypatch.setattr(postings, "STRETCH", 1)
    monkeypatch.setattr(questions, "STRETCH", 1)
    ledger = home.ledger()
    for number in range(1, 8):
        write(ledger, happened(number, BLOG, "value.fetch" if number == 2 else "token.add"), happened(number))
    assert numbers(asked(ledger, actor="blog", action="value.fetch")) == [3]
    assert numbers(asked(ledger, actor="blog", limit=4, before=12)) == [11, 9, 7, 5]
    assert numbers(asked(ledger, limit=20)) == list(range(14, 0, -1))


def test_names_are_in_no_posting_and_an_erased_one_finds_nothing(home: Home) -> None:
    """A caller is found by each name that it had; what is to erase of one is a row, and what stands in batches."""
    ledger = home.ledger()
    filled(ledger)
    write(ledger, happened(7, replace(BLOG, name="anna")))
    assert numbers(asked(ledger, actor="anna")) == [7]
    assert numbers(asked(ledger, actor="blog")) == [3]
    assert numbers(asked(ledger, actor="blog-id")) == [7, 3]
    with ledger.read() as tx:
        terms = set(tx.sql.execute(select(tables.postings.c.term)).scalars())
        assert {"ablog-id", "ashop-id", "dvalue.fetch", "eproduction", "rshop/4"} <= terms
        assert not any("anna" in each or each in ("ablog", "ashop") for each in terms)
    tamper(ledger, "DELETE FROM callings WHERE name = 'anna'", "UPDATE batches SET persons = '[null]' WHERE first = 7")
    assert numbers(asked(ledger, actor="anna")) == []
    assert numbers(asked(ledger, actor="blog-id")) == [7, 3]


def test_only_one_of_several_processes_builds_the_index(home: Home) -> None:
    first, other = home.ledger(), home.ledger()
    filled(first)
    one, standing_by = Indexer(first), Indexer(other)
    assert standing_by.turn(patient=True) is Turn.DONE
    write(first, happened(7))
    assert one.turn(patient=True) is Turn.DONE
    write(first, happened(8))
    assert standing_by.turn(patient=True) is Turn.ANOTHER  # the other one is at work
    assert one.turn(patient=True) is Turn.DONE
    with first.read() as tx:
        page = postings.read(tx)
        stale = replace(page, behind=3)
    with other.work() as tx:
        assert not postings.write(tx, stale, ())  # somebody came first
        assert not postings.finish(tx, stale)
    assert numbers(asked(first, limit=3)) == [8, 7, 6]


def test_an_interrupted_page_is_written_again_and_not_looked_at_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written in parts, of few terms and postings each, so that nobody waits for long."""
    monkeypatch.setattr(postings, "STRETCH", 1)
    monkeypatch.setattr(questions, "STRETCH", 1)
    monkeypatch.setattr(postings, "ROWS", 3)
    monkeypatch.setattr(postings, "TERMS", 2)
    ledger = home.ledger()
    filled(ledger)
    with ledger.read() as tx:
        page = postings.read(tx)
    parts = postings.parts(page)
    assert [row for part in parts for row in part] == sorted(
        {(each, at) for at in page.terms for each in page.terms[at]}
    )
    assert all(len({each for each, _ in part}) <= 2 for part in parts)
    assert len(parts) > 4
    for part in parts[:-1]:
        with ledger.work() as tx:
            assert postings.write(tx, page, part)
    with ledger.read() as tx:
        assert questions.ask(tx, Question(actor="blog-id")) == []
        assert postings.lag(tx) == 6
    assert numbers(asked(ledger, actor="blog-id")) == [3]
    for question, expected in ASKED:
        assert numbers(asked(ledger, **question)) == expected, question


def test_whoever_holds_the_index_holds_up_nobody_who_appends(pg_home: Home) -> None:
    ledger = pg_home.ledger()
    filled(ledger)
    with ledger.read() as tx:
        page = postings.read(tx)
    with ledger.work() as tx:
        assert postings.finish(tx, page)
        write(ledger, happened(7))  # while the row of the index is held
        assert Indexer(ledger).turn() is Turn.LOCKED
    assert numbers(asked(ledger, limit=1)) == [7]


def test_the_indexer_works_by_itself(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexer, "EVERY", 0.01)
    service = home.service()
    boss = owner(service)
    service.keeper.tokens.me(boss)
    service.indexer.start()
    deadline = time.monotonic() + 20
    while service.keeper.figures.read().index_lag and time.monotonic() < deadline:
        time.sleep(0.01)
    assert service.keeper.figures.read().index_lag == 0
    service.close()
    assert not any(thread.name == "indexer" for thread in threading.enumerate())


def test_the_index_lags_and_catches_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "READS", 2)
    ledger = home.ledger()
    filled(ledger)
    filled(ledger)
    builds = Indexer(ledger)

    def lag() -> int:
        with ledger.read() as tx:
            return postings.lag(tx)

    lags = [lag()]
    while builds.turn() is not Turn.NOTHING:
        lags.append(lag())
    assert lags == [12, 9, 6, 3, 0]
    write(ledger, happened(7))
    assert lag() == 1
    with ledger.read() as tx:
        assert postings.oldest_missing(tx) == AT + timedelta(minutes=7)
    assert numbers(asked(ledger, limit=1)) == [13]
    with ledger.read() as tx:
        assert postings.oldest_missing(tx) is None


def test_a_fetch_is_found_by_every_name_in_it(home: Home) -> None:
    ledger = home.ledger()
    told = {"versions": "shop/a:1 shop/b:12", "through": "shop/db/PASSWORD:3"}
    write(ledger, replace(happened(1, resource="shop/"), detail=told), happened(2))
    for name in ("shop/", "shop/a", "shop/b", "shop/db/PASSWORD"):
        assert numbers(asked(ledger, resource=name)) == [1], name
    assert numbers(asked(ledger, resource="shop/c")) == []


LONG = ",".join(f"folder-{number * 7919:x}/NAME_{number * 104729:x}" for number in range(400))


@pytest.mark.parametrize(
    "made",
    [
        lambda: happened(1, resource=LONG),
        lambda: replace(happened(1), environment="e" * 5000),
        lambda: replace(happened(1), environment="nul\0", resource="nul\0", detail={"level": "nul\0"}),
        lambda: replace(happened(1), environment="half\ud800", resource="half\ud800", detail={"path": "half\ud800"}),
        lambda: replace(happened(1), caller=replace(SHOP, request_id="half\ud800")),
    ],
    ids=["long resource", "long environment", "nul", "half surrogate", "request id"],
)
def test_whatever_a_request_names_the_log_takes_it(home: Home, made: Callable[[], Event]) -> None:
    """Names of what is refused are the caller's own words: none of them may stop the log or its index."""
    ledger = home.ledger()
    write(ledger, made(), happened(2))
    assert prove(ledger).broken_at is None
    assert numbers(asked(ledger)) == [2, 1]
    assert numbers(asked(ledger, resource="shop/2")) == [2]


@pytest.mark.timeout(30)
def test_a_cut_log_does_not_hang_its_questions(home: Home) -> None:
    service = home.service()
    boss = owner(service)
    service.keeper.tokens.me(boss)
    with service.ledger.read() as tx:
        last = tx.sql.execute(select(head.c.seq)).scalar_one()
    tamper(service.ledger, f"DELETE FROM batches WHERE first = {last}")
    found = service.keeper.events.answer(boss, Question(limit=5))
    assert numbers(found.events)[0] == last - 1
    assert found.lag == 1
