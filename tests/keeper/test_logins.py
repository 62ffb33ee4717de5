"""Machines' logins by an approle: what is right, what is wrong, and what each leaves behind."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from service.core.access import Caller
from service.core.errors import Absent, Conflict, Forbidden, Invalid, Unauthenticated
from service.core.machine import Lives
from service.core.proof import AppRole, Certificate
from service.core.secret import Secret
from service.core.token import Shown
from service.keeper.callers import machine as by_certificate
from service.keeper.granting import WantedGrant
from service.keeper.logins import LoggedIn
from service.keeper.machine_tokens import WantedToken
from service.keeper.secrets import WantedSecret
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.ledger.questions import Question
from service.wiring import Service
from tests.ledger.homes import Home, environment, put

USE = WantedGrant("use", "folder", "production", "shop")
ONE = "ab" * 32
BEGAN = datetime(2026, 11, 22, tzinfo=UTC)


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: float) -> None:
        """So much of it."""
        self.now += timedelta(**time)


@pytest.fixture
def clock(sqlite_home: Home) -> Clock:
    sqlite_home.now = clock = Clock()
    return clock


def furnished(service: Service) -> Service:
    """An environment with a value, and a machine that may use it."""
    environment(service)
    put(service, "shop/A", "a")
    service.keeper.machines.add(SYSTEM, "shop/web", [USE], [AppRole("")])
    return service


@pytest.fixture
def service(home: Home) -> Service:
    return furnished(home.service())


def secret(service: Service, wanted: WantedSecret | None = None, machine: str = "shop/web") -> tuple[str, Secret]:
    _, role_id, text = service.keeper.secrets.add(SYSTEM, machine, wanted or WantedSecret())
    return role_id, text


def login(service: Service, role_id: str, text: Secret, address: str = "192.0.2.1") -> LoggedIn:
    return service.keeper.logins.approle(role_id, text, address, "r")


def caller(service: Service, given: LoggedIn, address: str = "192.0.2.1") -> Caller:
    assert given.token is not None
    return service.keeper.tokens.authenticate(given.token.reveal(), address, "r")


def value(service: Service, who: Caller) -> str:
    (fetched,), _ = service.keeper.values.fetch(who, "production", Wanted(("shop/A",)))
    return str(fetched.value.reveal())


def told_of(service: Service, action: str) -> list[dict[str, object]]:
    return service.keeper.events.ask(SYSTEM, Question(action=action, limit=500))


def refused(act: Callable[[], object]) -> str:
    with pytest.raises(Unauthenticated) as wrong:
        act()
    return wrong.value.message


def test_a_login_gives_out_a_token_with_the_machines_grants(service: Service) -> None:
    role_id, text = secret(service)
    given = login(service, role_id, text)
    assert given.machine == "shop/web"
    assert given.expires_at - given.created_at == timedelta(hours=1)
    assert given.renewable_until - given.created_at == timedelta(hours=24)
    assert [(it.grant.level.word, it.environment, it.grant.path) for it in given.grants] == [
        ("use", "production", "shop")
    ]
    web = caller(service, given)
    assert (web.id, web.name, web.kind) == (given.token_id, "shop/web", "machine")
    told = service.keeper.logins.told(web)
    assert told.machine is not None
    assert told.metadata["proof"] == "approle"
    assert told.metadata["role_id"] == role_id
    assert text.reveal() not in repr((given, told))
    (event,) = told_of(service, "machine.login")
    assert (event["actor"], event["name"], event["resource"]) == (given.token_id, "shop/web", "shop/web")
    assert text.reveal() not in str(event)


def test_a_secret_id_is_good_once(service: Service) -> None:
    role_id, text = secret(service)
    login(service, role_id, text)
    refused(lambda: login(service, role_id, text))
    assert service.keeper.secrets.listed(SYSTEM, "shop/web", "", 10) == []


def test_or_as_often_as_was_said(service: Service) -> None:
    role_id, twice = secret(service, WantedSecret(uses=2))
    _, always = secret(service, WantedSecret(uses=None))
    for _ in range(2):
        login(service, role_id, twice)
    refused(lambda: login(service, role_id, twice))
    for _ in range(4):
        login(service, role_id, always)
    assert [it.uses_left for it in service.keeper.secrets.listed(SYSTEM, "shop/web", "", 10)] == [None]


def test_whatever_is_wrong_is_said_in_the_same_words(service: Service) -> None:
    service.keeper.machines.add(SYSTEM, "bank", [], [AppRole("role-of-bank")])
    role_id, text = secret(service)
    _, revoked = secret(service)
    service.keeper.secrets.revoke(SYSTEM, revoked.reveal()[3:19])
    _, elsewhere = secret(service, WantedSecret(allowlist=("10.0.0.0/8",)))
    _, used = secret(service)
    login(service, role_id, used)
    shown = text.reveal()
    altered = shown[:-1] + ("A" if shown[-1] != "A" else "B")
    said = {
        refused(partial(login, service, role, Secret(shown)))
        for role, shown in [
            (role_id, ""),
            (role_id, "ks_"),
            (role_id, altered),
            (role_id, shown + "x"),
            (role_id, revoked.reveal()),
            (role_id, elsewhere.reveal()),
            (role_id, used.reveal()),
            (role_id, "ks_" + "0" * 16 + shown[19:]),
            (role_id, "ks_" + used.reveal()[3:19] + shown[19:]),
            ("", shown),
            ("\ud800", shown),
            ("role-of-bank", shown),
            (role_id + "x", shown),
        ]
    }
    service.keeper.machines.change(SYSTEM, "shop/web", enabled=False)
    said.add(refused(lambda: login(service, role_id, text)))
    service.keeper.machines.change(SYSTEM, "shop/web", enabled=True, allowlist=("10.0.0.0/8",))
    said.add(refused(lambda: login(service, role_id, text)))
    assert len(said) == 1
    service.keeper.machines.change(SYSTEM, "shop/web", allowlist=("192.0.2.0/24",))
    login(service, role_id, text)  # none of that used it up


def test_a_refused_login_tells_the_log_why_and_nothing_of_what_was_shown(service: Service) -> None:
    role_id, text = secret(service)
    shown = text.reveal()
    wrong = shown[:-1] + ("A" if shown[-1] != "A" else "B")
    refused(lambda: login(service, role_id, Secret(wrong)))
    (event,) = told_of(service, "machine.login")
    assert (event["outcome"], event["kind"], event["address"]) == ("refused", "stranger", "192.0.2.1")
    assert event["detail"] == {"error": "Unauthenticated", "proof": "approle", "reason": "role id or secret id"}
    assert shown[-40:-1] not in str(event)


def test_wrong_logins_fill_the_log_no_more_than_unknown_tokens_do(service: Service) -> None:
    for _ in range(40):
        refused(lambda: login(service, "nobody", Secret("nothing")))
    assert len(told_of(service, "machine.login")) < 20
    service.keeper.recorder.tell_strangers()


def test_of_two_at_once_one_gets_in(pg_home: Home) -> None:
    services = [furnished(pg_home.service()), pg_home.service()]
    for _ in range(8):
        role_id, text = secret(services[0])

        def attempt(number: int, role_id: str = role_id, text: Secret = text) -> bool:
            try:
                login(services[number % 2], role_id, text)
            except Unauthenticated:
                return False
            return True

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(attempt, range(4))) == 1


def test_what_is_taken_from_a_machine_holds_for_the_very_next_fetch(home: Home) -> None:
    here = furnished(home.service())
    there = here if home.engine == "sqlite" else home.service()
    role_id, text = secret(here)
    given = login(there, role_id, text)
    assert value(there, caller(there, given)) == "a"
    here.keeper.machines.change(SYSTEM, "shop/web", enabled=False)
    refused(lambda: caller(there, given))
    here.keeper.machines.change(SYSTEM, "shop/web", enabled=True)
    assert value(there, caller(there, given)) == "a"
    here.keeper.machines.change(SYSTEM, "shop/web", allowlist=("10.0.0.0/8",))
    with pytest.raises(Forbidden):
        caller(there, given)
    assert value(there, caller(there, given, "10.1.1.1")) == "a"
    (grant,) = [it for it in here.keeper.granting.listed(SYSTEM, "", 100) if it.holder.name == "shop/web"]
    here.keeper.granting.remove(SYSTEM, grant.id)
    with pytest.raises(Absent):
        value(there, caller(there, given, "10.1.1.1"))
    here.keeper.granting.to_machine(SYSTEM, "shop/web", USE)
    assert value(there, caller(there, given, "10.1.1.1")) == "a"
    here.keeper.machines.remove(SYSTEM, "shop/web")
    refused(lambda: caller(there, given, "10.1.1.1"))


def test_a_machine_goes_with_everything_that_is_its_own(service: Service) -> None:
    role_id, text = secret(service)
    given = login(service, role_id, text)
    left, _ = secret(service), caller(service, given)
    service.keeper.machines.remove(SYSTEM, "shop/web")
    service.keeper.machines.add(SYSTEM, "shop/web", [USE], [AppRole(role_id)])
    refused(lambda: login(service, *left))
    refused(lambda: caller(service, given))


def test_grants_go_with_their_environment(service: Service) -> None:
    given = login(service, *secret(service))
    service.keeper.environments.delete(SYSTEM, "production", if_match=None)
    assert caller(service, given).grants == ()


def test_a_token_of_a_login_is_over_and_swept(sqlite_home: Home, clock: Clock) -> None:
    service = furnished(sqlite_home.service())
    role_id, text = secret(service, WantedSecret(uses=None, expires_in=None))
    given = login(service, role_id, text)
    clock.passes(minutes=59)
    caller(service, given)
    clock.passes(minutes=1)
    refused(lambda: caller(service, given))
    login(service, role_id, text)
    with service.ledger.read() as tx:
        assert tx.sql.exec_driver_sql("SELECT count(*) FROM tokens").scalar_one() == 1


def test_a_secret_id_expires(sqlite_home: Home, clock: Clock) -> None:
    service = furnished(sqlite_home.service())
    role_id, text = secret(service, WantedSecret(expires_in=timedelta(minutes=5)))
    clock.passes(minutes=5)
    refused(lambda: login(service, role_id, text))
    assert service.keeper.secrets.listed(SYSTEM, "shop/web", "", 10) == []


def test_a_token_is_renewed_up_to_its_most(sqlite_home: Home, clock: Clock) -> None:
    service = furnished(sqlite_home.service())
    lives = Lives(timedelta(minutes=10), timedelta(minutes=25))
    service.keeper.machines.change(SYSTEM, "shop/web", token_ttl=lives.ttl, token_max_life=lives.most)
    given = login(service, *secret(service))
    web = caller(service, given)
    clock.passes(minutes=8)
    assert service.keeper.logins.renew(web).expires_at == BEGAN + timedelta(minutes=18)
    assert service.keeper.logins.renew(web, timedelta(minutes=1)).expires_at == BEGAN + timedelta(minutes=18)
    clock.passes(minutes=9)
    assert service.keeper.logins.renew(web, timedelta(hours=5)).expires_at == BEGAN + timedelta(minutes=25)
    clock.passes(minutes=7, seconds=59)
    caller(service, given)
    clock.passes(seconds=1)
    refused(lambda: caller(service, given))
    refused(lambda: service.keeper.logins.renew(web))
    with pytest.raises(Invalid):
        service.keeper.logins.renew(web, timedelta())


def test_what_cannot_be_renewed(service: Service) -> None:
    first = service.keeper.tokens.add(SYSTEM, "static", (), None, ())[2]
    static = service.keeper.tokens.authenticate(first.reveal(), "", "r")
    with pytest.raises(Conflict):
        service.keeper.logins.renew(static)
    assert service.keeper.logins.told(static).machine is None
    given = login(service, *secret(service))
    web = caller(service, given)
    service.keeper.machines.change(SYSTEM, "shop/web", enabled=False)
    refused(lambda: service.keeper.logins.renew(web))


def test_its_holder_ends_it(service: Service) -> None:
    given = login(service, *secret(service))
    web = caller(service, given)
    service.keeper.logins.end(web)
    refused(lambda: caller(service, given))
    refused(lambda: service.keeper.logins.renew(web))


def test_a_machines_token_makes_no_other_tokens(service: Service) -> None:
    web = caller(service, login(service, *secret(service)))
    with pytest.raises(Forbidden):
        service.keeper.tokens.add(web, "child", (USE,), None, ())


def test_so_many_tokens_and_no_more(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.keeper.logins.MOST_TOKENS", 2)
    role_id, text = secret(service, WantedSecret(uses=3))
    for _ in range(2):
        login(service, role_id, text)
    with pytest.raises(Conflict):
        login(service, role_id, text)
    assert [it.uses_left for it in service.keeper.secrets.listed(SYSTEM, "shop/web", "", 10)] == [1]
    assert told_of(service, "machine.login")[0]["outcome"] == "refused"


def test_a_token_by_hand_is_replaced_with_an_overlap(sqlite_home: Home, clock: Clock) -> None:
    service = furnished(sqlite_home.service())
    by_hand = service.keeper.machine_tokens
    first, former = by_hand.add(SYSTEM, "shop/web", WantedToken(timedelta(days=30)))
    second, text = by_hand.add(SYSTEM, "shop/web", WantedToken(timedelta(days=30), first.id, timedelta(hours=1)))
    assert {it.id for it, _ in by_hand.listed(SYSTEM, "shop/web", "", 10)} == {first.id, second.id}
    clock.passes(minutes=59)
    for shown in (former, text):
        web = service.keeper.tokens.authenticate(shown.reveal(), "", "r")
        assert (web.name, value(service, web)) == ("shop/web", "a")
        with pytest.raises(Conflict):
            service.keeper.logins.renew(web)
    clock.passes(minutes=1)
    refused(lambda: service.keeper.tokens.authenticate(former.reveal(), "", "r"))
    service.keeper.tokens.authenticate(text.reveal(), "", "r")
    assert [it.id for it, _ in by_hand.listed(SYSTEM, "shop/web", "", 10)] == [second.id]
    service.keeper.machines.change(SYSTEM, "shop/web", enabled=False)
    refused(lambda: service.keeper.tokens.authenticate(text.reveal(), "", "r"))


def test_a_token_by_hand_replaces_none_of_another_machine(service: Service) -> None:
    service.keeper.machines.add(SYSTEM, "bank")
    other, text = service.keeper.machine_tokens.add(SYSTEM, "bank", WantedToken(timedelta(days=1)))
    static = service.keeper.tokens.add(SYSTEM, "static", (), None, ())[0]
    for replaces in (other.id, static.id, "0" * 16):
        with pytest.raises(Absent):
            service.keeper.machine_tokens.add(SYSTEM, "shop/web", WantedToken(timedelta(days=1), replaces))
    service.keeper.tokens.authenticate(text.reveal(), "", "r")
    with pytest.raises(Invalid):
        WantedToken(timedelta())
    with pytest.raises(Invalid):
        WantedToken(timedelta(days=1), "", timedelta(hours=1))


def test_an_administrator_ends_one_token(service: Service) -> None:
    given = login(service, *secret(service))
    service.keeper.tokens.revoke(SYSTEM, given.token_id)
    refused(lambda: caller(service, given))
    assert service.keeper.machine_tokens.listed(SYSTEM, "shop/web", "", 10) == []


def test_a_certificate_stands_for_its_machine(service: Service) -> None:
    held = service.keeper.machines.add_proof(SYSTEM, "shop/web", Certificate((ONE.upper(),)))

    def standing(sha256: str = ONE) -> Caller:
        shown = Shown(sha256, datetime(2100, 1, 1, tzinfo=UTC))
        asker = by_certificate(shown, "nobody", "192.0.2.1", "r")
        return service.keeper.recorder.fetch(service.keeper.tokens.asked(asker))  # type: ignore[no-any-return]

    assert (standing().name, value(service, standing())) == ("shop/web", "a")
    acts: list[Callable[[], object]] = [
        lambda: service.keeper.machines.add(SYSTEM, "second", [], [Certificate((ONE,))]),
        lambda: service.keeper.tokens.add(SYSTEM, "static", (), None, (), (ONE,), bearer=False),
        lambda: service.keeper.tokens.bind(SYSTEM, held.id, ["cd" * 32]),
        lambda: service.keeper.tokens.revoke(SYSTEM, held.id),
        lambda: service.keeper.logins.end(standing()),
        lambda: service.keeper.logins.renew(standing()),
    ]
    for act in acts:
        with pytest.raises(Conflict):
            act()
    service.keeper.machines.change(SYSTEM, "shop/web", enabled=False)
    refused(standing)
    service.keeper.machines.change(SYSTEM, "shop/web", enabled=True)
    service.keeper.machines.remove_proof(SYSTEM, held.id)
    refused(standing)
    service.keeper.machines.add(SYSTEM, "second", [], [Certificate((ONE,))])
    assert standing().name == "second"


def test_the_first_owner_is_not_made_again_where_there_is_a_machine(home: Home) -> None:
    service = home.service()
    service.keeper.machines.add(SYSTEM, "only", [WantedGrant("own", "everything", None, "")], [AppRole("")])
    assert service.keeper.tokens.first() is None
