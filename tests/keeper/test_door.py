"""Promise 8: no answer without a record. Promise 9: no stale answer from the ledger."""

import random  # noqa: TID251 - interleavings, from a seed that a failure shows
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from service.core.errors import Absent, Forbidden, KeywrightError, StoreAbsent, Unauthenticated, Unrecorded
from service.core.secret import Secret
from service.core.variable import ValueKind, VersionState
from service.keeper.granting import WantedGrant
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.failing import without_log
from tests.ledger.homes import Home, environment, machine, owner, put, tag, token


def events(service: Service, **question: Any) -> list[dict[str, Any]]:
    return service.keeper.events.ask(SYSTEM, Question(**question))


def value(service: Service, caller: Any, name: str = "shop/A", where: str = "production") -> str:
    found, _ = service.keeper.values.fetch(caller, where, Wanted((name,)))
    assert isinstance(found[0].value, Secret)
    return found[0].value.reveal()


class Lost(Exception):
    """The disk is gone."""


def test_without_a_record_nothing_is_answered_and_nothing_changes(home: Home) -> None:
    service = home.service()
    environment(service)
    put(service, "shop/A", "one")
    caller = machine(service, "shop", ("own", "environment", "production", ""))
    stranger = machine(service, "stranger", ("use", "folder", "production", "blog"))
    keeper = service.keeper
    attempts: list[Callable[[], object]] = [
        lambda: value(service, caller),
        lambda: keeper.values.fetch(caller, "production", Wanted(folder="shop")),
        lambda: keeper.variables.get(caller, "production", "shop/A"),
        lambda: keeper.variables.listed(caller, "production", "", "", 10),
        lambda: put(service, "shop/A", "two", caller=caller),
        lambda: keeper.variables.set_state(caller, "production", "shop/A", 1, VersionState.DESTROYED),
        lambda: keeper.variables.delete(caller, "production", "shop/A", if_match=None),
        lambda: keeper.environments.delete(caller, "production", if_match=None),
        lambda: keeper.environments.get(caller, "production"),
        lambda: keeper.tokens.me(caller),
        lambda: keeper.tokens.add(SYSTEM, "new", (), None, ()),
        lambda: keeper.events.verify(SYSTEM),
        lambda: keeper.events.ask(SYSTEM, Question()),
        # Refusals too: whoever tries doors must not stay unseen.
        lambda: value(service, stranger),
        lambda: keeper.environments.get(stranger, "elsewhere"),
    ]
    mended = without_log(service)
    for attempt in attempts:
        with pytest.raises(Unrecorded):
            attempt()
    mended()
    assert value(service, caller) == "one"
    assert [v.number for v in keeper.variables.get(caller, "production", "shop/A").versions] == [1]


def test_every_answer_and_every_refusal_has_its_event(home: Home) -> None:
    service = home.service()
    environment(service)
    put(service, "shop/A", "one")
    put(service, "shop/R", "vault:gone", kind=ValueKind.REFERENCE)
    caller = machine(service, "shop", ("use", "folder", "production", "shop"))
    value(service, caller)
    with pytest.raises(Absent):
        value(service, caller, "blog/A")
    with pytest.raises(Forbidden):
        put(service, "shop/A", "two", caller=caller)
    with pytest.raises(StoreAbsent):
        value(service, caller, "shop/R")
    told = [(e["action"], e["outcome"], e["resource"], e["detail"].get("error")) for e in events(service, actor="shop")]
    assert told == [
        ("value.fetch", "failed", "shop/R", "StoreAbsent"),
        ("variable.put", "refused", "shop/A", "Forbidden"),
        ("value.fetch", "refused", "blog/A", "Absent"),
        ("value.fetch", "allowed", "shop/A", None),
    ]
    assert {e["address"] for e in events(service, actor="shop")} == {""}
    assert service.keeper.events.verify(SYSTEM).broken_at is None


def test_a_fetch_is_found_by_what_it_gave_away(home: Home) -> None:
    service = home.service()
    environment(service)
    put(service, "shop/HOST", "db.internal", secret=False)
    put(service, "shop/PASSWORD", "hunter2")
    put(service, "shop/URL", "x://${shop/HOST}:${shop/PASSWORD}", kind=ValueKind.TEMPLATE)
    for wanted in (Wanted(("shop/URL",)), Wanted(("shop/HOST", "shop/PASSWORD")), Wanted(folder="shop")):
        service.keeper.values.fetch(SYSTEM, "production", wanted)
    assert len(events(service, action="value.fetch", resource="shop/PASSWORD")) == 3
    assert len(events(service, action="value.fetch", resource="shop/URL")) == 2


def test_fetches_of_many_names_do_not_stop_the_log(home: Home) -> None:
    service = home.service()
    environment(service)
    names = tuple(f"folder-{number * 7919:x}/NAME_{number * 104729:x}" for number in range(150))
    for name in names[:3]:
        put(service, name, "v")
    with pytest.raises(Absent):
        service.keeper.values.fetch(SYSTEM, "production", Wanted(names))
    with pytest.raises(Absent):
        service.keeper.environments.get(SYSTEM, "e" * 1000)
    with pytest.raises(Absent):
        service.keeper.environments.get(SYSTEM, "nul\0")
    assert len(events(service, action="environment.get")) == 2


def test_questions_are_for_owners_and_name_nobody_in_the_chain(home: Home) -> None:
    service = home.service()
    environment(service)
    lesser = machine(service, "lesser", ("own", "environment", "production", ""), ("use", "everything", None, ""))
    with pytest.raises(Forbidden):
        service.keeper.events.ask(lesser, Question())
    with pytest.raises(Forbidden):
        service.keeper.events.verify(lesser)
    assert events(service, actor="anna.personal.name") == []
    with service.ledger.read() as tx:
        bodies = tx.sql.exec_driver_sql("SELECT body FROM batches").scalars().all()
    assert "anna.personal.name" not in "".join(bodies)


# Promise 9.


def test_a_change_between_look_and_record_is_seen(pg_home: Home) -> None:
    """The fetch looked at version 1; before it is recorded, another process makes version 2 live."""
    service, other = pg_home.service(), pg_home.service()
    environment(service)
    put(service, "shop/A", "one")
    caller = machine(service, "shop", ("use", "environment", "production", ""))
    record = service.ledger.record
    turns = 0

    def late(*given: Any) -> bool:
        nonlocal turns
        if not given[0]:
            return record(*given)  # a look at the epoch; nothing is recorded
        turns += 1
        put(other, "shop/A", f"changed {turns}")
        return record(*given)

    service.ledger.record = late  # type: ignore[method-assign]
    assert value(service, caller) == "changed 2"  # at the third look it holds `head`
    assert turns == 2
    fetched = events(other, action="value.fetch")
    assert [e["detail"]["versions"] for e in fetched] == ["shop/A:3"]  # nothing was recorded for what was not answered


def test_a_revocation_between_look_and_record_is_seen(pg_home: Home) -> None:
    """A grant that goes does so for whoever signs in afterwards; an environment's rules, at once."""
    service, other = pg_home.service(), pg_home.service()
    environment(service)
    put(service, "shop/A", "one")
    caller = machine(service, "shop", ("use", "environment", "production", ""))
    record = service.ledger.record
    keeper = other.keeper

    def late(*given: Any) -> bool:
        service.ledger.record = record  # type: ignore[method-assign]
        keeper.environments.change(SYSTEM, "production", stores=None, allowlist=("192.0.2.0/24",), if_match=None)
        return record(*given)

    service.ledger.record = late  # type: ignore[method-assign]
    with pytest.raises(Forbidden):
        value(service, caller)
    assert [e["outcome"] for e in events(other, action="value.fetch")] == ["refused"]


@pytest.mark.parametrize("seed", range(3))
def test_no_stale_answer_on_any_replica(pg_home: Home, seed: int) -> None:
    """Two services on one ledger, many fetches under way: what began after a change was answered sees it."""
    services = [pg_home.service(), pg_home.service()]
    environment(services[0])
    put(services[0], "shop/A", "0")
    draw = random.Random(seed)
    state = {"version": 0, "revoked": False, "granted": True}  # what has been answered for certain
    changing, stop = threading.Lock(), threading.Event()
    text = token(services[0], "reader", ("use", "environment", "production", "")).reveal()
    reader = services[0].keeper.tokens.authenticate(text, "", "")

    def fetch(number: int) -> int:
        done, mine = 0, random.Random(seed * 100 + number)
        while not stop.is_set():
            service = services[mine.randrange(2)]
            before = dict(state)
            try:
                answered = int(value(service, service.keeper.tokens.authenticate(text, "", "")))
                outcome = "answer"
            except (Unauthenticated, Absent) as refused:
                answered, outcome = -1, type(refused).__name__
            if outcome == "answer":
                assert answered >= before["version"], f"seed {seed}: {answered} after {before}"
                assert not before["revoked"], f"seed {seed}: answered to a revoked token"
                if not before["granted"]:
                    # Only right if the grant came back while the fetch was under way.
                    assert regranted[0] > before["regrants"], f"seed {seed}: answered without a grant"
            done += 1
        return done

    regranted = [0]
    state["regrants"] = 0
    with ThreadPoolExecutor(4) as pool:
        fetching = [pool.submit(fetch, number) for number in range(4)]
        try:
            grant_id = next(
                g.id for g in services[0].keeper.granting.listed(SYSTEM, "", 100) if g.holder.name == "reader"
            )
            for _ in range(60):
                service = services[draw.randrange(2)]
                with changing:
                    if draw.random() < 0.7:
                        put(service, "shop/A", str(state["version"] + 1))
                        state["version"] += 1
                    elif state["granted"]:
                        service.keeper.granting.remove(SYSTEM, grant_id)
                        state["granted"] = False
                    else:
                        regranted[0] += 1  # from here on it may be seen
                        wanted = WantedGrant("use", "environment", "production", "")
                        grant_id = service.keeper.granting.to_token(SYSTEM, "reader", wanted).id
                        state.update(granted=True, regrants=regranted[0])
            services[1].keeper.tokens.revoke(SYSTEM, reader.id)
            state["revoked"] = True
            for _ in range(10):
                service = services[draw.randrange(2)]
                with pytest.raises(Unauthenticated):
                    service.keeper.tokens.authenticate(text, "", "")
        finally:
            stop.set()
        assert sum(future.result(30) for future in fetching) > 50
    assert services[0].keeper.events.verify(owner(services[0])).broken_at is None


def test_listeners_hear_of_changes_and_of_nothing_else(home: Home) -> None:
    service = home.service()
    heard: list[int] = []
    service.keeper.door.on_change(lambda: heard.append(1))
    environment(service)
    put(service, "shop/A", "one")
    assert len(heard) == 2
    value(service, SYSTEM)
    with pytest.raises(KeywrightError):
        value(service, SYSTEM, "shop/B")
    assert len(heard) == 2


def test_what_another_process_changed_is_seen_by_polls_and_tokens(pg_home: Home) -> None:
    """They record nothing, but they look at the epoch all the same."""
    service, other = pg_home.service(), pg_home.service()
    environment(service)
    put(service, "shop/A", "one")
    text = token(service, "reader", ("use", "environment", "production", "")).reveal()
    tokens = service.keeper.tokens
    reader = tokens.authenticate(text, "", "request")
    before = tag(service, reader, "production", Wanted(("shop/A",)))
    put(other, "shop/A", "two")
    assert tag(service, reader, "production", Wanted(("shop/A",))) != before
    other.keeper.tokens.revoke(SYSTEM, reader.id)
    with pytest.raises(Unauthenticated):
        tokens.authenticate(text, "", "request")


def test_a_defect_in_looking_around_does_not_end_the_recorder(sqlite_home: Home) -> None:
    """Its thread answers every fetch of an event loop: were it gone, they would wait for ever."""
    service = sqlite_home.service()
    recorder, failed, answered = service.keeper.recorder, threading.Event(), threading.Event()

    def fail(_: object) -> None:
        if not failed.is_set():
            failed.set()
            raise Lost

    recorder.on_change(fail)
    recorder.start()
    environment(service)
    assert failed.wait(20)
    asked = service.keeper.values.asked(lambda _: SYSTEM, "production", Wanted(("shop/none",)))
    recorder.submit([asked], lambda _: answered.set())
    assert answered.wait(20)
    assert isinstance(asked.error, Absent)
