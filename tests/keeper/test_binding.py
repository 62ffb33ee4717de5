"""Tokens that are bound to certificates, and certificates that stand alone for a caller."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.access import Caller
from service.core.errors import Absent, Conflict, Forbidden, Invalid, Unauthenticated
from service.core.secret import Secret
from service.core.token import Shown
from service.keeper.callers import machine
from service.keeper.granting import WantedGrant
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.homes import Home, environment, put
from tests.ledger.homes import machine as caller_of

ONE, OTHER, THIRD = "ab" * 32, "cd" * 32, "ef" * 32
FOLDER = WantedGrant("use", "folder", "production", "shop")
UNKNOWN = "kw_" + "0" * 16 + "_" + "x" * 43
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def shown(sha256: str, ends: datetime = LATER) -> Shown:
    return Shown(sha256, ends)


def made(service: Service, name: str, *certificates: str, bearer: bool = True) -> tuple[str, Secret]:
    token, _, text = service.keeper.tokens.add(SYSTEM, name, (FOLDER,), None, (), certificates, bearer=bearer)
    return token.id, text


def signed_in(service: Service, text: Secret, by: Shown | None = None) -> Caller:
    return service.keeper.tokens.authenticate(text.reveal(), "192.0.2.1", "r", by)


def alone(service: Service, by: Shown) -> Caller:
    found: Caller = service.keeper.recorder.fetch(
        service.keeper.tokens.asked(machine(by, "nobody", "192.0.2.1", "request-1"))
    )
    return found


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    environment(opened, "production")
    return opened


def test_a_bound_token_needs_its_certificate_and_is_refused_like_an_unknown_one(service: Service) -> None:
    _, text = made(service, "shop", ONE)
    assert signed_in(service, text, shown(ONE)).name == "shop"
    said = set()
    for attempt in (None, shown(OTHER), shown(ONE, datetime(2020, 1, 1, tzinfo=UTC))):
        with pytest.raises(Unauthenticated) as refused:
            signed_in(service, text, attempt)
        said.add(refused.value.message)
    with pytest.raises(Unauthenticated) as unknown:
        signed_in(service, Secret(UNKNOWN), shown(ONE))
    assert said == {unknown.value.message}


def test_whose_token_came_without_its_certificate_is_in_the_log(service: Service) -> None:
    _, text = made(service, "shop", ONE)
    for each in (text, Secret(UNKNOWN), Secret(text.reveal()[:-1] + "_")):
        with pytest.raises(Unauthenticated):
            signed_in(service, each)
    told = service.keeper.events.ask(SYSTEM, Question(action="token.use"))
    assert [(e["name"], e["outcome"], e["address"], e["detail"]) for e in told] == [
        ("", "refused", "192.0.2.1", {"error": "Unauthenticated"}),
        ("", "refused", "192.0.2.1", {"error": "Unauthenticated"}),
        ("shop", "refused", "192.0.2.1", {"error": "Unauthenticated"}),
    ]


def test_a_certificate_alone_stands_for_its_caller_and_no_text_does(service: Service) -> None:
    put(service, "shop/A", "one")
    token_id, text = made(service, "machine", ONE, bearer=False)
    caller = alone(service, shown(ONE))
    assert (caller.id, caller.name, caller.kind, caller.address) == (token_id, "machine", "machine", "192.0.2.1")
    assert service.keeper.values.fetch(caller, "production", Wanted(("shop/A",)))[0][0].value
    for by in (shown(ONE), None):
        with pytest.raises(Unauthenticated):
            signed_in(service, text, by)
    for by in (shown(OTHER), shown(ONE, datetime(2020, 1, 1, tzinfo=UTC))):
        with pytest.raises(Unauthenticated, match="nobody"):
            alone(service, by)
    service.keeper.tokens.revoke(SYSTEM, token_id)
    with pytest.raises(Unauthenticated):
        alone(service, shown(ONE))


def test_a_certificate_that_a_token_is_bound_to_stands_for_nobody_without_it(service: Service) -> None:
    made(service, "shop", ONE)
    with pytest.raises(Unauthenticated):
        alone(service, shown(ONE))


def test_a_certificate_alone_expires_and_stays_at_its_addresses(sqlite_home: Home) -> None:
    moments = [datetime(2026, 11, 22, tzinfo=UTC)]
    sqlite_home.now = lambda: moments[0]
    service = sqlite_home.service()
    add = service.keeper.tokens.add
    add(SYSTEM, "short", (), timedelta(hours=1), (), [ONE], bearer=False)
    add(SYSTEM, "elsewhere", (), None, ("198.51.100.0/24",), [OTHER], bearer=False)
    assert alone(service, shown(ONE)).name == "short"
    with pytest.raises(Forbidden):
        alone(service, shown(OTHER))
    moments[0] += timedelta(hours=1)
    with pytest.raises(Unauthenticated):
        alone(service, shown(ONE))


def test_a_certificate_is_replaced_with_both_in_force_meanwhile(service: Service) -> None:
    token_id, text = made(service, "shop", ONE)
    machine_id, _ = made(service, "machine", THIRD, bearer=False)
    bind = service.keeper.tokens.bind
    token, grants = bind(SYSTEM, token_id, [ONE, OTHER])
    assert (token.certificates, [g.grant.path for g in grants]) == ((ONE, OTHER), ["shop"])
    for each in (ONE, OTHER):
        assert signed_in(service, text, shown(each)).name == "shop"
    bind(SYSTEM, token_id, [OTHER])
    with pytest.raises(Unauthenticated):
        signed_in(service, text, shown(ONE))
    bind(SYSTEM, token_id, [])
    assert signed_in(service, text).name == "shop"
    bind(SYSTEM, machine_id, [ONE])
    assert alone(service, shown(ONE)).name == "machine"
    with pytest.raises(Unauthenticated):
        alone(service, shown(THIRD))
    told = service.keeper.events.ask(SYSTEM, Question(action="token.bind"))
    assert [(e["resource"], e["detail"]) for e in told] == [
        (machine_id, {"name": "machine", "certificates": ONE}),
        (token_id, {"name": "shop"}),
        (token_id, {"name": "shop", "certificates": OTHER}),
        (token_id, {"name": "shop", "certificates": f"{ONE} {OTHER}"}),
    ]


def test_a_certificate_stands_for_one_caller(service: Service) -> None:
    first, _ = made(service, "first", ONE, bearer=False)
    second, _ = made(service, "second", OTHER, bearer=False)
    made(service, "bound", ONE)  # a token may be bound to it besides
    with pytest.raises(Conflict, match="stands for first already"):
        made(service, "third", THIRD, ONE, bearer=False)
    with pytest.raises(Conflict):
        service.keeper.tokens.bind(SYSTEM, second, [OTHER, ONE])
    service.keeper.tokens.bind(SYSTEM, first, [ONE, THIRD])  # its own is no conflict
    assert alone(service, shown(OTHER)).name == "second"
    service.keeper.tokens.bind(SYSTEM, first, [THIRD])
    service.keeper.tokens.bind(SYSTEM, second, [ONE])
    assert alone(service, shown(ONE)).name == "second"


def test_what_cannot_be_bound(service: Service) -> None:
    for certificates in (["ab"], [ONE, OTHER, THIRD]):
        with pytest.raises(Invalid):
            made(service, "shop", *certificates)
    with pytest.raises(Invalid, match="at least one"):
        made(service, "machine", bearer=False)
    machine_id, _ = made(service, "machine", ONE, bearer=False)
    with pytest.raises(Invalid, match="revoke it"):
        service.keeper.tokens.bind(SYSTEM, machine_id, [])
    with pytest.raises(Absent):
        service.keeper.tokens.bind(SYSTEM, "0" * 16, [ONE])


def test_only_owners_of_everything_bind(service: Service) -> None:
    """Whoever has a token for a moment would otherwise keep it for good."""
    token_id, text = made(service, "shop", ONE)
    own = signed_in(service, text, shown(ONE))
    lesser = caller_of(service, "lesser", ("own", "environment", "production", ""))
    for caller in (own, lesser):
        with pytest.raises(Absent):
            service.keeper.tokens.bind(caller, token_id, [OTHER])
    assert signed_in(service, text, shown(ONE))


def test_nobody_is_let_in_elsewhere_through_a_pinned_instance(home: Home) -> None:
    whole = home.service()
    environment(whole, "production")
    environment(whole, "staging")
    owner = caller_of(whole, "boss", ("own", "everything", None, ""))
    inside, _ = whole.keeper.tokens.add(SYSTEM, "in", (FOLDER,), None, (), [ONE], bearer=False)[::2]
    outside, _ = whole.keeper.tokens.add(
        SYSTEM, "out", (WantedGrant("use", "environment", "staging", ""),), None, (), [OTHER], bearer=False
    )[::2]
    pinned = home.service(KEYWRIGHT_ENVIRONMENTS="production")
    pinned.keeper.tokens.bind(owner, inside.id, [THIRD])
    for token_id in (outside.id, owner.id):
        with pytest.raises(Forbidden, match="further than this instance"):
            pinned.keeper.tokens.bind(owner, token_id, ["12" * 32])
    assert alone(whole, shown(OTHER)).name == "out"
