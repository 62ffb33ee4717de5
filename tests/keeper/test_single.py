"""The fetch of one value: what was decided holds for an epoch, and for nothing but what it was decided for."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from service.core.errors import Absent, Conflict, Forbidden, KeywrightError, Unauthenticated, Unrecorded
from service.core.secret import Secret
from service.core.token import Shown, hashed
from service.core.variable import ValueKind, VersionState
from service.keeper.asked import Known, Told, nothing
from service.keeper.callers import Presented
from service.keeper.granting import WantedGrant
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.failing import without_log
from tests.ledger.homes import Home, environment, put, tag, token
from tests.rigs.rotating import BEGINNING

SHOP = ("use", "folder", "production", "shop")


def parts(text: Secret) -> tuple[str, bytes]:
    """Id, and the hash of the secret, as the door has them of what is presented."""
    _, token_id, secret = text.reveal().split("_", 2)
    return token_id, hashed(secret)


def told(
    service: Service,
    presented: tuple[str, bytes],
    name: str = "shop/A",
    address: str = "192.0.2.1",
    known: Known = nothing,
    where: str = "production",
) -> Told[Any]:
    who = Presented(*presented, address, "request")
    asked = service.keeper.singles.asked(who, where, name, known)
    answer: Told[Any] = service.keeper.recorder.fetch(asked)
    return answer


def value(service: Service, presented: tuple[str, bytes], name: str = "shop/A", address: str = "192.0.2.1") -> str:
    text = told(service, presented, name, address).news[0].value
    assert isinstance(text, Secret)
    return text.reveal()


def decided(service: Service) -> int:
    return len(service.keeper.recorder.snapshot.decided)


@pytest.fixture
def service(home: Home) -> Service:
    made = home.service()
    environment(made)
    put(made, "shop/A", "one")
    return made


def test_what_is_decided_holds_no_value_of_its_own(sqlite_home: Home) -> None:
    """Decisions are many, from many addresses, about one value that may be large."""
    service = sqlite_home.service()
    environment(service)
    put(service, "shop/A", "x" * 60_000)
    presented = parts(token(service, "load", SHOP))
    told(service, presented)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(300):
            told(service, presented, address=f"2001:db8::{number:x}")
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(service.keeper.recorder.snapshot.decided) == 301
    assert grown < 300 * 10_000


def test_the_second_answer_is_as_the_first(service: Service) -> None:
    shop = parts(token(service, "shop", SHOP))
    first = told(service, shop)
    assert decided(service) == 1
    second = told(service, shop)
    assert first.tag == second.tag == tag(service, SYSTEM, "production", Wanted(("shop/A",)))
    assert (first.news[0].text.reveal(), vars_of(first)) == (second.news[0].text.reveal(), vars_of(second))
    one, other = service.keeper.events.ask(SYSTEM, Question(action="value.fetch"))[:2]
    different = {"id", "at"}
    assert {key: said for key, said in one.items() if key not in different} == {
        key: said for key, said in other.items() if key not in different
    }
    assert one["detail"] == {"versions": "shop/A:1"}


def vars_of(told: Told[Any]) -> tuple[Any, ...]:
    it = told.news[0]
    return it.name, it.version, it.secret, it.kind, it.age, it.mark, it.stale


def test_what_was_decided_is_for_whoever_shows_the_same_secret(service: Service) -> None:
    shop = parts(token(service, "shop", SHOP))
    value(service, shop)
    with pytest.raises(Unauthenticated):
        value(service, (shop[0], hashed("A" * 43)))
    other = parts(token(service, "other", ("use", "folder", "production", "blog")))
    value(service, shop)
    with pytest.raises(Absent):
        value(service, other)


def test_a_token_ends_when_it_expires(home: Home) -> None:
    now = [BEGINNING]
    home.now = lambda: now[0]
    service = home.service()
    if home.engine != "sqlite":
        return  # its own clock, which a test cannot move
    environment(service)
    put(service, "shop/A", "one")
    wanted = (WantedGrant(*SHOP),)
    text = service.keeper.tokens.add(SYSTEM, "shop", wanted, timedelta(hours=1), ())[2]
    shop = parts(text)
    assert value(service, shop) == "one"
    now[0] += timedelta(hours=1)
    with pytest.raises(Unauthenticated):
        value(service, shop)


def test_a_bound_token_needs_its_certificate_each_time(service: Service) -> None:
    mine, ends = "a" * 64, datetime(2100, 1, 1, tzinfo=UTC)
    wanted = (WantedGrant(*SHOP),)
    text = service.keeper.tokens.add(SYSTEM, "bound", wanted, None, (), certificates=(mine,))[2]
    assert text is not None

    def ask(shown: Shown | None) -> int:
        who = Presented(*parts(text), "192.0.2.1", "request", shown)
        asked = service.keeper.singles.asked(who, "production", "shop/A", nothing)
        return len(service.keeper.recorder.fetch(asked).news)

    for _ in range(2):
        assert ask(Shown(mine, ends)) == 1
        for shown in (None, Shown("b" * 64, ends), Shown(mine, datetime(2020, 1, 1, tzinfo=UTC))):
            with pytest.raises(Unauthenticated):
                ask(shown)


def test_allowlists_are_for_addresses(service: Service) -> None:
    wanted = (WantedGrant(*SHOP),)
    shop = parts(service.keeper.tokens.add(SYSTEM, "shop", wanted, None, ("192.0.2.0/24",))[2])
    assert value(service, shop) == "one"
    with pytest.raises(Forbidden):
        value(service, shop, address="198.51.100.1")
    anywhere = parts(token(service, "anywhere", SHOP))
    assert value(service, anywhere, address="198.51.100.1") == "one"
    service.keeper.environments.change(SYSTEM, "production", stores=None, allowlist=("192.0.2.0/24",), if_match=None)
    assert value(service, anywhere) == "one"
    with pytest.raises(Forbidden):
        value(service, anywhere, address="198.51.100.1")


def test_every_change_is_seen(service: Service) -> None:
    text = token(service, "shop", SHOP)
    shop, keeper = parts(text), service.keeper
    assert value(service, shop) == "one"
    put(service, "shop/A", "two")
    assert value(service, shop) == "two"
    keeper.variables.activate(SYSTEM, "production", "shop/A", 1)
    assert value(service, shop) == "one"
    keeper.variables.set_state(SYSTEM, "production", "shop/A", 1, VersionState.DELETED)
    with pytest.raises(Conflict):
        value(service, shop)
    keeper.variables.activate(SYSTEM, "production", "shop/A", 2)
    assert value(service, shop) == "two"
    grant = next(g for g in keeper.granting.listed(SYSTEM, "", 100) if g.holder.name == "shop")
    keeper.granting.remove(SYSTEM, grant.id)
    with pytest.raises(Absent):
        value(service, shop)
    keeper.granting.to_token(SYSTEM, "shop", WantedGrant(*SHOP))
    assert value(service, shop) == "two"
    keeper.variables.delete(SYSTEM, "production", "shop/A", if_match=None)
    with pytest.raises(Absent):
        value(service, shop)
    put(service, "shop/A", "again")
    assert value(service, shop) == "again"
    keeper.tokens.revoke(SYSTEM, shop[0])
    with pytest.raises(Unauthenticated):
        value(service, shop)


def test_a_new_data_key_is_used(service: Service) -> None:
    shop = parts(token(service, "shop", SHOP))
    assert value(service, shop) == "one"
    for _ in service.keeper.keyrings.rotate(SYSTEM, "production"):
        assert value(service, shop) == "one"
    assert value(service, shop) == "one"


def test_what_is_not_a_literal_is_decided_every_time(service: Service, home: Home) -> None:
    home.store.put("x", "outside")
    put(service, "shop/R", "vault:x", kind=ValueKind.REFERENCE)
    put(service, "shop/T", "<${shop/A}>", kind=ValueKind.TEMPLATE)
    shop = parts(token(service, "shop", SHOP))
    for _ in range(2):
        assert value(service, shop, "shop/R") == "outside"
        assert value(service, shop, "shop/T") == "<one>"
    assert decided(service) == 0


def test_a_poll_is_told_that_it_knows_and_leaves_no_event(service: Service) -> None:
    shop = parts(token(service, "shop", SHOP))
    first = told(service, shop)
    count = len(service.keeper.events.ask(SYSTEM, Question(action="value.fetch")))
    again = told(service, shop, known=lambda seen: seen == first.tag)
    assert again.value is None
    assert again.keys
    assert len(service.keeper.events.ask(SYSTEM, Question(action="value.fetch"))) == count


def test_no_plaintext_is_kept(service: Service) -> None:
    shop = parts(token(service, "shop", SHOP))
    put(service, "shop/A", "correct horse battery staple")
    assert value(service, shop) == "correct horse battery staple"
    (kept,) = service.keeper.recorder.snapshot.decided.values()
    for name in type(kept).__slots__:
        held = getattr(kept, name)
        assert "battery" not in repr(held)
        assert not isinstance(held, bytes) or b"battery" not in held


def test_without_a_record_nothing_is_answered(service: Service) -> None:
    shop = parts(token(service, "shop", SHOP))
    assert value(service, shop) == "one"
    mended = without_log(service)
    with pytest.raises(Unrecorded):
        value(service, shop)
    mended()
    assert value(service, shop) == "one"


@pytest.mark.parametrize("where", ["production", "elsewhere"])
def test_what_is_not_there_is_absent(service: Service, where: str) -> None:
    shop = parts(token(service, "shop", SHOP))
    refused = []
    for name in ("shop/none", "blog/A"):
        with pytest.raises(KeywrightError) as raised:
            told(service, shop, name, where=where)
        refused.append(type(raised.value))
    assert refused == [Absent, Absent]
    assert [e["outcome"] for e in service.keeper.events.ask(SYSTEM, Question(action="value.fetch"))] == ["refused"] * 2
