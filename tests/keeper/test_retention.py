"""Retention: what goes from the log of events and what stays, and that the chain still verifies."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, func, select, text

from scheduler.pruner import Pruner
from service.core.access import Caller
from service.core.errors import Absent, Conflict, Forbidden
from service.core.event import Event, Outcome
from service.core.pruned import Pruned, signed
from service.core.rotation import Strategy
from service.keeper import retention
from service.keeper.events import Proof, Question
from service.keeper.indexer import Indexer, Turn
from service.keeper.retention import Plan
from service.keeper.tokens import SYSTEM
from service.ledger import agreement, chain, exports, postings, pruning, questions, sweeping, tables
from service.ledger.tables import batches, indexed
from service.wiring import Service
from tests.ledger.homes import Home, environment, machine, owner
from tests.rigs.rotating import Stand, stand

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
CALLERS = [Caller(f"{name}-id", name, "machine", (), "192.0.2.7") for name in ("shop", "blog", "mail")]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of four events, pieces of a few batches, and no pauses."""
    for module in (postings, questions, pruning, exports, sweeping, agreement):
        monkeypatch.setattr(module, "STRETCH", 2)
    monkeypatch.setattr(pruning, "BATCHES", 5)
    monkeypatch.setattr(chain, "BATCHES", 3)
    monkeypatch.setattr(sweeping, "ROWS", 2)
    monkeypatch.setattr(sweeping, "TERMS", 2)
    monkeypatch.setattr(sweeping, "GLANCE", 3)
    monkeypatch.setattr(exports, "BATCHES", 5)
    monkeypatch.setattr(retention, "BREATH", 0.0)


@pytest.fixture
def here() -> Iterator[Stand]:
    """With a clock that stands still until it is moved."""
    with stand(Strategy.OVERLAPPING) as made:
        yield made


def aged(service: Service, days: int = 20) -> None:
    """Three events in two batches of each day, the oldest first, and today is day 0; some come late."""
    for day in range(days, 0, -1):
        at = NOW - day * DAY
        caller = CALLERS[0 if day > days - 3 else day % 2 + 1]  # the first one was never seen again
        one = Event(at, caller, "value.fetch", Outcome.ALLOWED, "production", f"shop/{day}")
        late = replace(one, at=at - timedelta(hours=5), outcome=Outcome.REFUSED)
        for batch in ([one, replace(one, resource="shop/x")], [late if day % 5 == 0 else one]):
            assert service.ledger.record(batch, service.ledger.epoch())


def numbers(service: Service, **question: Any) -> list[int]:
    found = service.keeper.events.ask(SYSTEM, Question(**question))
    return [int(each["id"]) for each in found]


def pruned(service: Service, before: datetime) -> list[int]:
    return list(service.keeper.retention.prune(SYSTEM, before))


def checkpointed(service: Service) -> Any:
    return service.keeper.events.checkpoint(SYSTEM)


def count(service: Service, table: Any) -> int:
    with service.ledger.read() as tx:
        return int(tx.sql.execute(select(func.count()).select_from(table)).scalar_one())


def tamper(service: Service, *statements: str) -> None:
    with service.ledger.connected() as sql:
        for statement in statements:
            sql.execute(text(statement))
        sql.commit()


def index(service: Service) -> dict[str, set[tuple[Any, ...]]]:
    """The whole of the query index."""
    service.indexer.reach(2**62, seconds=20)
    with service.ledger.read() as tx:
        return {
            table.name: {tuple(row) for row in tx.sql.execute(select(table))}
            for table in (tables.postings, tables.callings, tables.fetches)
        }


def test_the_chain_verifies_from_the_record_on(home: Home) -> None:
    service = home.service()
    aged(service)
    before = checkpointed(service)
    reached = pruned(service, NOW - 7 * DAY + timedelta(minutes=5))
    # 14 days of three events: as far as whole stretches go, in several pieces.
    assert len(reached) > 2
    assert reached[-1] == 39
    assert (numbers(service, limit=500)[-1], numbers(service, resource="shop/7")) == (40, [42, 40])
    proof = service.keeper.events.verify(SYSTEM)
    assert (proof.broken_at, proof.pruned) == (None, 39)
    assert "from event 40 on, behind 39 that were pruned" in proof.finding
    assert service.keeper.events.checkpoint(SYSTEM).installation == before.installation
    assert service.keeper.events.verify_against(SYSTEM, json.dumps(vars(before))).broken_at is None


def test_that_it_was_pruned_is_an_event(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    wanted = NOW - 7 * DAY
    pruned(service, wanted)
    (told,) = service.keeper.events.ask(SYSTEM, Question(action="event.prune"))
    assert told["outcome"] == "allowed"
    assert told["detail"] == {"before": wanted.isoformat(), "from": 1, "to": 39}
    assert pruned(service, wanted) == []
    assert len(numbers(service, action="event.prune")) == 1  # nothing to do is nothing done


def test_the_index_is_as_if_the_rest_had_been_all(home: Home) -> None:
    """Nothing is left of what went, and nothing is missing of what stays; names of who is not in the log go as well."""
    service = home.service()
    aged(service)
    checkpointed(service)
    index(service)
    pruned(service, NOW - 7 * DAY)
    left = index(service)
    with service.ledger.read() as tx:
        first = tx.sql.execute(select(func.min(batches.c.first))).scalar_one()
    tamper(
        service,
        "DELETE FROM postings",
        "DELETE FROM callings",
        f"UPDATE indexed SET seq = {first - 1}, at = {int((NOW - 9 * DAY).timestamp()) * 1_000_000}",
    )
    anew = index(service)
    minutes = {row for row in left["postings"] if row[0].startswith("m")}
    again = {row for row in anew["postings"] if row[0].startswith("m")}
    assert again <= minutes
    assert {stretch for _, stretch in minutes - again} <= {first >> 2}  # the minute that was under way there
    assert left["postings"] - minutes == anew["postings"] - again
    assert left["callings"] == anew["callings"]
    assert not any("shop" in row for row in left["callings"])


@pytest.mark.parametrize("days", range(5, 9))
def test_events_are_found_by_their_times_all_the_same(home: Home, days: int) -> None:
    """Also those of the minute that was under way where the log begins now."""
    service = home.service()
    aged(service)
    checkpointed(service)
    questions_ = [
        {"since": NOW - 6 * DAY, "until": NOW - DAY / 2},
        {"since": NOW - 30 * DAY, "until": NOW - 4 * DAY},
        {"since": NOW - days * DAY, "until": NOW - days * DAY + timedelta(minutes=1)},
        {"outcome": "refused"},
        {"actor": "blog", "since": NOW - 8 * DAY, "until": NOW},
    ]
    whole = [numbers(service, limit=500, **asked) for asked in questions_]
    upto = pruned(service, NOW - days * DAY + timedelta(minutes=3))[-1]
    for asked, found in zip(questions_, whole, strict=True):
        assert numbers(service, limit=500, **asked) == [number for number in found if number > upto], asked


def test_they_are_found_where_the_log_begins_in_the_middle_of_a_minute(here: Stand) -> None:
    for _ in range(10):
        here.service.keeper.tokens.listed(SYSTEM, "", 1)
    checkpointed(here.service)
    for _ in range(10):
        here.service.keeper.tokens.listed(SYSTEM, "", 1)
    began = here.now
    here.now += timedelta(hours=2)
    times = {"since": began - timedelta(minutes=1), "until": began + timedelta(minutes=1), "action": "token.list"}
    whole = numbers(here.service, **times)
    upto = pruned(here.service, here.now)[-1]
    left = numbers(here.service, **times)
    assert left == [number for number in whole if number > upto]
    assert 10 <= len(left) < len(whole)


CHANGES = {
    "seq": "UPDATE pruned SET seq = seq + 4",
    "less": "UPDATE pruned SET seq = seq - 4",
    "at": "UPDATE pruned SET at = '2026-01-01T00:00:00+00:00'",
    "hash": "UPDATE pruned SET hash = installation",
    "installation": "UPDATE pruned SET installation = hash",
    "the record removed": "DELETE FROM pruned",
    "more is missing": "DELETE FROM batches WHERE first = (SELECT min(first) FROM batches)",
    "what stays was changed": "UPDATE batches SET body = REPLACE(body, 'shop/4', 'shop/5')",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_record_that_was_changed_is_found_and_so_is_more_missing_than_it_says(home: Home, what: str) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    pruned(service, NOW - 7 * DAY)
    tamper(service, CHANGES[what])
    assert service.keeper.events.verify(SYSTEM).broken_at is not None


def test_an_older_record_that_is_put_back_is_found(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    pruned(service, NOW - 12 * DAY)
    with service.ledger.read() as tx:
        former = tx.sql.execute(select(tables.pruned)).one()
    pruned(service, NOW - 7 * DAY)
    with service.ledger.connected() as sql:
        sql.execute(tables.pruned.update().values(former._asdict()))
        sql.commit()
    found = service.keeper.events.verify(SYSTEM)
    assert found.broken_at == former.seq + 1
    assert "missing" in found.finding


def plan(service: Service, before: datetime = NOW) -> Plan:
    return service.keeper.retention.plan(SYSTEM, before)


def test_nothing_goes_that_no_checkpoint_reaches(here: Stand) -> None:
    here.now += 7 * DAY
    for _ in range(10):
        here.service.keeper.tokens.listed(SYSTEM, "", 1)
    here.now += DAY
    assert pruned(here.service, here.now) == []
    assert "no checkpoint was exported yet" in plan(here.service, here.now).held_back
    reaches = checkpointed(here.service).seq
    for _ in range(10):
        here.service.keeper.tokens.listed(SYSTEM, "", 1)
    here.now += DAY
    assert f"reaches to event {reaches}:" in plan(here.service, here.now).held_back
    assert reaches - 4 < pruned(here.service, here.now)[-1] <= reaches
    later(here)
    assert plan(here.service, here.now - DAY).held_back == ""


def test_a_refused_checkpoint_is_none(home: Home) -> None:
    service = home.service()
    aged(service, 6)
    stranger = Caller("nobody-id", "nobody", "machine", (), "192.0.2.7")
    with pytest.raises(Absent):
        service.keeper.events.checkpoint(stranger)
    assert pruned(service, NOW) == []


def test_what_is_younger_than_an_hour_stays(home: Home) -> None:
    service = home.service()
    aged(service, 3)
    environment(service)
    checkpointed(service)
    checkpointed(service)
    wanted = plan(service, NOW + 400 * DAY)
    assert wanted.before < datetime.now(UTC) - timedelta(minutes=59)
    pruned(service, NOW + 400 * DAY)
    assert numbers(service, action="environment.add") != []


def test_a_dry_look_changes_nothing(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    found = plan(service, NOW - 7 * DAY)
    assert (found.pruned, found.upto, found.events, found.held_back) == (0, 39, 39, "")
    assert numbers(service, limit=500)[-1] == 1
    assert count(service, tables.pruned) == 0


STATEMENTS = [
    ("DELETE FROM batches", 0),
    ("DELETE FROM batches", 3),
    ("DELETE FROM postings", 0),
    ("DELETE FROM postings", 3),
    ("DELETE FROM postings", 30),
    ("DELETE FROM callings", 0),
    ("INSERT INTO pruned", 0),
    ("UPDATE pruned", 2),
]


@pytest.mark.parametrize(("statement", "which"), STATEMENTS)
def test_an_interruption_leaves_a_whole_log_and_it_is_gone_on_with(home: Home, statement: str, which: int) -> None:
    """Before each kind of statement, of the first and of a later piece, or sweep."""

    class Died(BaseException):
        pass

    service = home.service()
    aged(service)
    checkpointed(service)
    seen = 0

    def die(connection: object, cursor: object, text: str, *_: object) -> None:
        nonlocal seen
        if text.lstrip().startswith(statement):
            if seen == which:
                raise Died
            seen += 1

    event.listen(service.ledger.engine, "before_cursor_execute", die)
    with pytest.raises(Died):
        pruned(service, NOW - 7 * DAY)
    event.remove(service.ledger.engine, "before_cursor_execute", die)
    assert service.keeper.events.verify(SYSTEM).broken_at is None
    assert pruned(service, NOW - 7 * DAY)[-1] == 39
    proof = service.keeper.events.verify(SYSTEM)
    assert (proof.broken_at, proof.pruned) == (None, 39)
    left = index(service)
    assert min(stretch for _, stretch in left["postings"]) == 40 >> 2
    assert not any("shop" in row for row in left["callings"])


def test_a_broken_chain_is_not_pruned(home: Home) -> None:
    """What shows that somebody was at the log must not go."""
    service = home.service()
    aged(service)
    checkpointed(service)
    tamper(service, "UPDATE batches SET body = REPLACE(body, 'shop/11', 'shop/12')")
    with pytest.raises(Conflict, match="the chain is broken: the batch that begins with event 28 was changed"):
        pruned(service, NOW - 7 * DAY)
    assert service.keeper.events.verify(SYSTEM).broken_at == 28


def test_a_gap_in_front_is_not_pruned_over(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    tamper(service, "DELETE FROM batches WHERE first = 1")
    with pytest.raises(Conflict, match="event 1 is missing"):
        pruned(service, NOW - 7 * DAY)


def test_a_ledger_whose_past_is_in_doubt_is_not_pruned(here: Stand) -> None:
    later(here)
    here.service.keeper.restorations.begin(SYSTEM, "a copy")
    with pytest.raises(Conflict, match="may have been lost"):
        pruned(here.service, here.now)
    assert count(here.service, tables.pruned) == 0


def test_it_is_the_same_ledger_afterwards(home: Home) -> None:
    """By its first hash, which went; and by the last event that was seen, in memory and in the witness."""
    service = home.service()
    aged(service)
    checkpointed(service)
    assert service.keeper.past.look() is False
    pruned(service, NOW - 2 * DAY)
    assert service.keeper.past.look() is False
    assert home.service().keeper.past.look() is False
    assert len(list(home.folder.glob("witness-*.json"))) == 1
    assert service.keeper.restorations.listed(SYSTEM, "", 10) == []


def test_a_point_that_was_pruned_proves_nothing(here: Stand) -> None:
    """A process that slept for longer than events are kept cannot tell whether this is still its ledger."""
    asleep = here.service
    asleep.keeper.past.look()
    seen = asleep.keeper.past._point
    assert seen is not None
    here.open()
    later(here)
    pruned(here.service, here.now)
    assert here.service.keeper.past.look() is False
    assert asleep.keeper.past.look() is True
    (found,) = asleep.keeper.restorations.listed(SYSTEM, "", 10)
    assert f"event {seen.seq} as it was seen at" in found.restoration.reason
    assert "was pruned from the ledger since" in found.restoration.reason
    asleep.close()


def later(here: Stand) -> None:
    """Hours later, and as much as fills a stretch was recorded meanwhile, checkpoints among it."""
    for _ in range(5):
        here.now += timedelta(hours=2)
        checkpointed(here.service)
    here.now += timedelta(hours=2)


def test_a_rotation_that_has_not_ended_keeps_what_tells_its_holders(here: Stand) -> None:
    holder = here.machine("holder")
    here.service.keeper.credentials.one(holder, "production", "shop/db")
    fetched = numbers(here.service, action="credential.fetch")[0]
    here.ask()
    here.work()
    later(here)
    pruned(here.service, here.now)
    assert numbers(here.service, action="credential.fetch") == [fetched]
    assert "rotation" in plan(here.service, here.now).held_back
    held = here.service.keeper.holders.look(here.latest().rotation)
    assert [(each.name, each.address) for each in held.callers] == [("holder", "address-of-holder")]
    here.run()
    later(here)
    pruned(here.service, here.now)
    assert numbers(here.service, action="credential.fetch") == []


def test_who_fetched_last_is_still_told_though_its_event_went(here: Stand) -> None:
    """By the row that stands for it; only the address went with the event."""
    kept, revoked = here.machine("kept"), here.machine("revoked")
    for caller in (kept, revoked):
        here.service.keeper.credentials.one(caller, "production", "shop/db")
    here.service.keeper.tokens.revoke(SYSTEM, revoked.id)
    later(here)
    pruned(here.service, here.now)
    assert numbers(here.service, action="credential.fetch") == []
    assert {row[2] for row in index(here.service)["fetches"]} == {kept.id}
    here.ask()
    here.work()
    held = here.service.keeper.holders.look(here.latest().rotation)
    assert [(each.name, each.address) for each in held.callers] == [("kept", None)]


def test_only_an_owner_of_everything_may_and_not_from_behind_a_wall(home: Home) -> None:
    service = home.service()
    aged(service)
    environment(service)
    checkpointed(service)
    lesser = machine(service, "lesser", ("own", "environment", "production", ""))
    for act in (service.keeper.retention.plan, lambda *args: list(service.keeper.retention.prune(*args))):
        with pytest.raises(Absent):
            act(lesser, NOW)
    pinned = home.service(KEYWRIGHT_ENVIRONMENTS="production")
    with pytest.raises(Forbidden, match="some environments only"):
        pruned(pinned, NOW)
    assert numbers(service, action="event.prune", outcome="refused") != []
    assert count(service, tables.pruned) == 0


def test_two_at_once_prune_nothing_twice(pg_home: Home) -> None:
    one, other = pg_home.service(), pg_home.service()
    aged(one)
    checkpointed(one)
    first = one.keeper.retention.prune(SYSTEM, NOW - 7 * DAY)
    next(first)
    read = pruning.read

    def slowly(*args: Any, **more: Any) -> Any:
        piece = read(*args, **more)
        next(first)  # meanwhile
        return piece

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pruning, "read", lambda *args, **more: (patch.undo(), slowly(*args, **more))[1])
        with pytest.raises(Conflict, match="somebody else is pruning"):
            pruned(other, NOW - 7 * DAY)
    list(first)
    proof = one.keeper.events.verify(SYSTEM)
    assert (proof.broken_at, proof.pruned) == (None, 39)


def test_a_piece_that_somebody_else_is_removing_is_left_to_them(pg_home: Home) -> None:
    one, other = pg_home.service(), pg_home.service()
    aged(one)
    checkpointed(one)
    index(one)
    chain_, signer = one.keeper.keyrings.chain(), one.keeper.keyrings.checkpoint_key()
    refused: list[str] = []

    def prune() -> None:
        try:
            pruned(other, NOW - 7 * DAY)
        except Exception as error:  # noqa: BLE001 - whatever it was, the test shows it
            refused.append(str(error))

    with one.ledger.read() as tx:
        piece = pruning.read(tx, chain_, 10, NOW)
    assert isinstance(piece, pruning.Piece)
    thread = threading.Thread(target=prune)
    with one.ledger.work() as tx:
        record = signed(signer, Pruned(piece.installation, piece.seq, piece.hash, "now"))
        assert pruning.remove(tx, piece, record)
        thread.start()
        thread.join(1)
        assert thread.is_alive()  # it waits for this
    thread.join(20)
    assert refused == ["somebody else is pruning the event log at this moment; nothing was done twice"]


def test_a_name_that_comes_again_meanwhile_stays(pg_home: Home) -> None:
    """Looked for when nothing was left of it, and swept when the index has an event of it again."""
    service = pg_home.service()
    aged(service, 1)
    with service.ledger.connected() as sql:
        sql.execute(tables.callings.insert().values(name="blog", actor="blog-id"))
        sql.execute(tables.callings.insert().values(name="shop", actor="shop-id"))
        sql.commit()
    with service.ledger.read() as tx:
        page, found = postings.read(tx), sweeping.names(tx)
    assert list(found.stale) == [("blog", "blog-id"), ("shop", "shop-id")]

    def sweep() -> None:
        with service.ledger.work() as tx:
            sweeping.sweep_names(tx, found.stale)

    thread = threading.Thread(target=sweep)
    with service.ledger.work() as tx:
        assert postings.write(tx, page, postings.parts(page)[0])
        assert postings.finish(tx, page)
        thread.start()
        thread.join(1)
    thread.join(20)
    assert ("shop", "shop-id") in index(service)["callings"]
    assert ("blog", "blog-id") not in index(service)["callings"]


def test_whoever_builds_the_index_waits_for_the_pruner_and_not_for_long(pg_home: Home) -> None:
    service = pg_home.service()
    aged(service)
    checkpointed(service)
    Indexer(service.ledger).reach(30, seconds=20)
    builds = Indexer(service.ledger)
    with service.ledger.work() as tx:
        tx.sql.execute(select(indexed.c.seq).with_for_update())
        environment(service)
        assert builds.turn(patient=True) is Turn.LOCKED
    assert builds.turn(patient=True) is Turn.DONE


def test_what_goes_is_handed_out_first(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    before = {each["id"]: each for each in service.keeper.events.export(SYSTEM, None, None)}
    kept: list[dict[str, Any]] = []

    def keep(found: list[dict[str, Any]]) -> None:
        assert numbers(service, limit=500)[-1] == int(found[0]["id"])  # they are still there
        kept.extend(found)

    list(service.keeper.retention.prune(SYSTEM, NOW - 7 * DAY, keep))
    assert kept == [before[str(number)] for number in range(1, 40)]


def test_what_could_not_be_kept_stays(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)

    def full(_: list[dict[str, Any]]) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        list(service.keeper.retention.prune(SYSTEM, NOW - 7 * DAY, full))
    assert numbers(service, limit=500)[-1] == 1


def test_a_chain_that_is_pruned_while_it_is_followed_verifies(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    looks = 0

    def meanwhile(reached: int, end: int) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            assert pruned(service, NOW - 7 * DAY)[-1] > reached

    proof = service.keeper.events.verify(SYSTEM, None, meanwhile)
    assert (proof.broken_at, proof.pruned) == (None, 39)
    assert looks > 3


def test_a_checkpoint_older_than_what_is_left_cannot_be_compared(here: Stand) -> None:
    later(here)
    early = checkpointed(here.service)
    end = here.service.keeper.events.verify(SYSTEM).end
    later(here)
    later(here)
    pruned(here.service, here.now)
    assert numbers(here.service, limit=500)[-1] > early.seq + 3
    with pytest.raises(Conflict, match=f"is of event {early.seq}, and the log was pruned up to"):
        here.service.keeper.events.verify_against(SYSTEM, json.dumps(vars(early)))
    found = here.service.keeper.events.verify(SYSTEM, end)
    assert found.broken_at is not None
    assert "unless that lay among" in found.finding


def test_the_end_that_was_pruned_last_is_still_known(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    pruned(service, NOW - 7 * DAY)
    with service.ledger.read() as tx:
        end = tx.sql.execute(select(tables.pruned.c.hash)).scalar_one()
    assert service.keeper.events.verify(SYSTEM, bytes(end).hex()).broken_at is None


# By itself.


def waited(done: Callable[[], bool]) -> None:
    ready = threading.Event()
    for _ in range(400):
        if done():
            return
        ready.wait(0.05)
    pytest.fail("it did not come to pass")


@pytest.fixture
def keeping(home: Home) -> Service:
    service = home.service(KEYWRIGHT_EVENTS_KEEP="7d")
    aged(service)
    return service


def test_it_prunes_by_itself_where_that_is_set(keeping: Service) -> None:
    checkpointed(keeping)
    by_itself = Pruner(keeping.keeper.retention, keeping.settings.events_kept, first=0.0)
    by_itself.start()
    waited(lambda: keeping.keeper.events.verify(SYSTEM).pruned == 39)
    by_itself.stop()
    assert by_itself.trouble == ""
    (told,) = keeping.keeper.events.ask(SYSTEM, Question(action="event.prune"))
    assert told["actor"] == "scheduler"


def test_without_a_checkpoint_it_says_so(keeping: Service) -> None:
    assert keeping.pruner.look() == 0
    assert "no checkpoint was exported yet" in keeping.pruner.trouble
    checkpointed(keeping)
    assert keeping.pruner.look() == 39
    assert keeping.pruner.trouble == ""


def test_it_does_nothing_where_it_is_not_set(home: Home) -> None:
    service = home.service()
    aged(service)
    checkpointed(service)
    assert service.pruner.look() == 0
    service.pruner.start()
    assert not any(thread.name == "pruner" for thread in threading.enumerate())
    assert isinstance(service.keeper.events.verify(SYSTEM), Proof)
    assert owner(service).id
