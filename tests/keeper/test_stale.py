"""What is answered while a store cannot be reached, where an environment chose so; and when it is not."""

import json
import secrets
from dataclasses import replace

import pytest

from service.core.errors import (
    Absent,
    Invalid,
    KeywrightError,
    StoreAbsent,
    StoreMalformed,
    StoreRefused,
    StoreUnreachable,
)
from service.core.reference import Reading, Reference
from service.core.secret import Secret
from service.core.variable import ValueKind
from service.keeper.copies import Copies
from service.keeper.events import Question
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.keeper.values import Fetched, Wanted
from service.wiring import Service
from tests.keeper.test_references import Clock
from tests.ledger.homes import Home, environment, machine, put


@pytest.fixture
def service(sqlite_home: Home) -> Service:
    opened = sqlite_home.service()
    environment(opened)
    choose(opened, 600)
    put(opened, "shop/R", "vault:x#key", kind=ValueKind.REFERENCE)
    put(opened, "shop/T", "<${shop/R}>", kind=ValueKind.TEMPLATE)
    sqlite_home.store.put("x", '{"key":"one"}')
    return opened


def choose(service: Service, seconds: int, name: str = "production") -> None:
    service.keeper.environments.change(SYSTEM, name, stores=None, allowlist=None, if_match=None, stale_if_error=seconds)


def fetch(service: Service, name: str, where: str = "production", caller: object = SYSTEM) -> Fetched:
    """As if nothing were remembered for a moment."""
    service.keeper.references._recent.drop(lambda _place, _outcome: True)
    return service.keeper.values.fetch(caller, where, Wanted((name,)))[0][0]  # type: ignore[arg-type]


def kept(service: Service) -> int:
    copies = service.keeper.references.copies
    assert copies is not None
    return len(copies._shelf)


def test_the_last_reading_is_told_while_the_store_is_unreachable(service: Service, sqlite_home: Home) -> None:
    fresh = fetch(service, "shop/R")
    assert (fresh.value, fresh.stale) == (Secret("one"), False)
    sqlite_home.store.put("x", '{"key":"two"}')
    sqlite_home.store.down = True
    stale = fetch(service, "shop/R")
    assert (stale.value, stale.stale, stale.age > fresh.age) == (Secret("one"), True, True)
    composed = fetch(service, "shop/T")
    assert (composed.value, composed.stale, composed.age > fresh.age) == (Secret("<one>"), True, True)
    told = [event["detail"].get("stale") for event in service.keeper.events.ask(SYSTEM, Question(action="value.fetch"))]
    assert told == ["shop/T:0", "shop/R:0", None]
    sqlite_home.store.down = False
    again = fetch(service, "shop/R")
    assert (again.value, again.stale) == (Secret("two"), False)


def test_only_where_an_environment_chose_so(service: Service, sqlite_home: Home) -> None:
    environment(service, "staging")
    put(service, "shop/R", "vault:x#key", kind=ValueKind.REFERENCE, where="staging")
    fetch(service, "shop/R", "staging")
    assert kept(service) == 0
    fetch(service, "shop/R")
    sqlite_home.store.down = True
    assert fetch(service, "shop/R").stale
    with pytest.raises(StoreUnreachable):
        fetch(service, "shop/R", "staging")
    choose(service, 600, "staging")  # what another one keeps is not its own
    with pytest.raises(StoreUnreachable):
        fetch(service, "shop/R", "staging")
    choose(service, 0)
    with pytest.raises(StoreUnreachable):
        fetch(service, "shop/R")
    assert kept(service) == 0


@pytest.mark.parametrize(
    ("spoil", "error"), [("refused", StoreRefused), ("unusable", StoreMalformed), ("absent", StoreAbsent)]
)
def test_what_the_store_answered_itself_is_told_and_ends_the_copy(
    service: Service, sqlite_home: Home, spoil: str, error: type[KeywrightError]
) -> None:
    store = sqlite_home.store
    fetch(service, "shop/R")
    assert kept(service) == 1
    if spoil == "absent":
        store.remove("x")
    else:
        getattr(store, spoil).add("x")
    with pytest.raises(error):
        fetch(service, "shop/R")
    store.down = True  # and what was there before does not come back
    with pytest.raises(StoreUnreachable):
        fetch(service, "shop/R")


def test_grants_and_rules_and_references_hold_at_once(service: Service, sqlite_home: Home) -> None:
    reader = machine(service, "reader", ("use", "folder", "production", "shop"))
    fetch(service, "shop/R", caller=reader)
    sqlite_home.store.down = True
    assert fetch(service, "shop/R", caller=reader).stale
    with pytest.raises(Absent):
        fetch(service, "shop/R", caller=replace(reader, grants=()))
    put(service, "shop/R", "vault:y#key", kind=ValueKind.REFERENCE)
    with pytest.raises(StoreUnreachable):
        fetch(service, "shop/R")
    put(service, "shop/R", "vault:x#key", kind=ValueKind.REFERENCE)
    assert fetch(service, "shop/R").stale
    service.keeper.environments.change(SYSTEM, "production", stores={}, allowlist=None, if_match=None)
    with pytest.raises(StoreRefused):
        fetch(service, "shop/R")


def test_a_credential_is_told_too_but_not_the_one_before(service: Service, sqlite_home: Home) -> None:
    sqlite_home.database.create("app", "first")
    sqlite_home.store.put("db", json.dumps({"username": "app", "password": "first"}))
    wanted = {
        "engine": "postgresql",
        "endpoints": [{"host": "db.test", "port": 5432}],
        "database": "shop",
        "tls": {"mode": "disable"},
        "kept_in": {"reference": "vault:db", "password_key": "password", "username_key": "username"},
    }
    service.keeper.connections.put(SYSTEM, "production", "shop/db", registration(wanted, None), if_match=None)
    fresh = service.keeper.credentials.one(SYSTEM, "production", "shop/db")
    assert not fresh.stale
    references = service.keeper.references
    references._recent.drop(lambda _place, _outcome: True)
    sqlite_home.store.down = True
    stale = service.keeper.credentials.one(SYSTEM, "production", "shop/db")
    assert (stale.stale, stale.age > fresh.age, stale.entries[0].account.password) == (True, True, Secret("first"))
    (event, *_) = service.keeper.events.ask(SYSTEM, Question(action="credential.fetch"))
    assert event["detail"]["stale"] == 0
    put(service, "shop/U", "${connection:shop/db#password}", kind=ValueKind.TEMPLATE)
    assert fetch(service, "shop/U").stale
    assert references.copies is not None
    (_, place), *_ = references.copies._shelf._kept
    assert place[2] == stale_id(service)
    references.forget(Reference("vault", "db"))
    references._recent.drop(lambda _place, _outcome: True)
    with pytest.raises(StoreUnreachable):  # it was written to
        service.keeper.credentials.one(SYSTEM, "production", "shop/db")


def stale_id(service: Service) -> str:
    """The id of the live credential."""
    found = service.keeper.recorder.snapshot
    offered = found.offered(next(iter(found._environments)), "shop/db")
    assert offered is not None
    return offered.credentials[0].id


def test_copies_are_sealed_and_end_with_their_time_and_their_key(service: Service) -> None:
    put(service, "shop/A", "a")
    wall = service.keeper.environments.get(SYSTEM, "production")
    clock, place = Clock(), ("vault", "x", "")
    keyrings = service.keeper.keyrings
    copies = Copies(keyrings, secrets.token_bytes, lambda _: wall, clock)
    copies.keep(wall, place, Reading(Secret("hunter2"), "1"), clock.now)
    (copy,) = (held.value for held in copies._shelf._kept.values())
    assert b"hunter2" not in copy.sealed
    clock.now += 600
    assert copies.find(wall, place) is None
    copies.keep(wall, place, Reading(Secret("hunter2"), "1"), clock.now)
    clock.now += 400
    assert copies.find(replace(wall, stale_if_error=399), place) is None
    found = copies.find(wall, place)
    assert found is not None
    assert (found[0].value, found[0].version, clock.now - found[1]) == (Secret("hunter2"), "1", 400)
    assert copies.find(wall, ("vault", "x", "another")) is None
    for _ in keyrings.rotate(SYSTEM, "production"):
        pass
    keyrings.fill(wall.id, None)
    assert copies.find(wall, place) is None
    assert len(copies._shelf) == 0


@pytest.mark.parametrize("seconds", [-1, 3601])
def test_an_hour_is_the_most(service: Service, seconds: int) -> None:
    with pytest.raises(Invalid, match="stale_if_error"):
        choose(service, seconds)
    with pytest.raises(Invalid, match="stale_if_error"):
        service.keeper.environments.add(SYSTEM, "other", {}, (), seconds)
