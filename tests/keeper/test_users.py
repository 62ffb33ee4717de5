"""Users: who may keep them, what ends with them, and the last owner."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.core.access import Caller, Grant, Kind, Level
from service.core.errors import Absent, Conflict, Forbidden, Invalid, Outdated, Unauthenticated
from service.core.person import User
from service.keeper import granting
from service.keeper.granting import WantedGrant
from service.keeper.groups import WantedGroup
from service.keeper.sessions import Way
from service.keeper.tokens import SYSTEM
from service.keeper.users import ChangedUser
from service.ledger import users
from service.wiring import Service
from tests.ledger.homes import Home, environment, machine

EVERYTHING = WantedGrant("own", "everything", None, "")
PEOPLE = WantedGrant("own", "people", None, "")


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    environment(opened, "production")
    environment(opened, "staging")
    return opened


def user(service: Service, address: str, *grants: WantedGrant) -> User:
    made = service.keeper.users.add(SYSTEM, address).user
    for grant in grants:
        service.keeper.granting.to_user(SYSTEM, address, grant)
    return made


def with_password(service: Service, who: User) -> None:
    """That it has one is all that counts here."""
    with service.ledger.change() as tx:
        users.set_password(tx, who.id, "$argon2id$none", None)


def signed_in(service: Service, who: User, method: str = "password") -> str:
    """The text of a new session, with a fresh second factor."""
    with service.ledger.change() as tx:
        _, text = service.keeper.sessions.opened(tx, who, Way(method, "127.0.0.1", "a test", factor_at=tx.now))
    return text.reveal()


def caller(service: Service, text: str, address: str = "127.0.0.1") -> Caller:
    return service.keeper.tokens.authenticate(text, address, "r")


def person(service: Service, address: str, *grants: WantedGrant) -> Caller:
    return caller(service, signed_in(service, user(service, address, *grants)))


def on(environment: str, level: str = "own", kind: str = "environment", path: str = "", rule: str = "") -> WantedGrant:
    return WantedGrant(level, kind, environment, path, rule)


def test_a_user_is_made_changed_and_removed(service: Service) -> None:
    chief = person(service, "chief@shop.example", PEOPLE)
    made = service.keeper.users.add(chief, " Ana@Shop.Example ", "Ana", {"team": ["shop", "db"]})
    assert (made.user.email, made.user.created_by) == ("ana@shop.example", "chief@shop.example")
    changed = service.keeper.users.change(chief, made.user.id, ChangedUser(name="Ana B."), if_match=1)
    assert (changed.user.name, changed.user.revision, changed.user.attributes) == (
        "Ana B.",
        2,
        {"team": ("shop", "db")},
    )
    with pytest.raises(Outdated):
        service.keeper.users.change(chief, made.user.id, ChangedUser(name="Ana C."), if_match=1)
    service.keeper.users.remove(chief, made.user.id)
    with pytest.raises(Absent):
        service.keeper.users.get(chief, made.user.id)


def test_an_address_is_of_one_user(service: Service) -> None:
    ana, ben = user(service, "ana@shop.example"), user(service, "ben@shop.example")
    with pytest.raises(Conflict):
        service.keeper.users.add(SYSTEM, "ANA@shop.example")
    with pytest.raises(Conflict):
        service.keeper.users.change(SYSTEM, ben.id, ChangedUser(email=ana.email))
    with pytest.raises(Invalid):
        service.keeper.users.add(SYSTEM, "no address")


def test_who_may_not_see_people_sees_nobody_but_oneself(service: Service) -> None:
    ana = user(service, "ana@shop.example", on("production"))
    ben = user(service, "ben@shop.example")
    as_ana = caller(service, signed_in(service, ana))
    assert service.keeper.users.get(as_ana, ana.id).user == service.keeper.users.get(SYSTEM, ana.id).user
    for call in (
        lambda: service.keeper.users.get(as_ana, ben.id),
        lambda: service.keeper.users.listed(as_ana, "", 10),
        lambda: service.keeper.users.add(as_ana, "cem@shop.example"),
        lambda: service.keeper.users.change(as_ana, ana.id, ChangedUser(name="A")),
        lambda: service.keeper.users.remove(as_ana, ben.id),
    ):
        with pytest.raises(Absent):
            call()


def test_who_may_only_see_people_changes_nobody(service: Service) -> None:
    ben = user(service, "ben@shop.example")
    looker = person(service, "ana@shop.example", WantedGrant("use", "people", None, ""))
    assert [it.user.email for it in service.keeper.users.listed(looker, "", 10)] == ["ana@shop.example", ben.email]
    for call in (
        lambda: service.keeper.users.add(looker, "cem@shop.example"),
        lambda: service.keeper.users.change(looker, ben.id, ChangedUser(enabled=False)),
        lambda: service.keeper.users.remove(looker, ben.id),
    ):
        with pytest.raises(Forbidden):
            call()


def test_disabled_its_sessions_and_tokens_are_gone_and_its_memberships_stay(service: Service) -> None:
    ana = user(service, "ana@shop.example", on("production"))
    group = service.keeper.groups.add(SYSTEM, WantedGroup("staff")).group
    service.keeper.groups.join(SYSTEM, group.id, ana.id)
    text = signed_in(service, ana)
    assert caller(service, text).user is not None
    service.keeper.users.change(SYSTEM, ana.id, ChangedUser(enabled=False))
    with pytest.raises(Unauthenticated):
        caller(service, text)
    enabled = service.keeper.users.change(SYSTEM, ana.id, ChangedUser(enabled=True))
    assert enabled.groups == ("staff",)
    assert next(it.grant for it in enabled.grants).level == Level.OWN
    with pytest.raises(Unauthenticated):
        caller(service, text)  # what has ended does not begin again


def test_nobody_changes_somebody_who_holds_more_than_they_own(service: Service) -> None:
    keeper = service.keeper
    chief = person(service, "chief@shop.example", PEOPLE, on("staging"))
    less, more = user(service, "less@shop.example", on("staging")), user(service, "more@shop.example", on("production"))
    by_group = user(service, "group@shop.example")
    group = keeper.groups.add(SYSTEM, WantedGroup("producers")).group
    keeper.granting.to_group(SYSTEM, "producers", on("production", "use"))
    keeper.groups.join(SYSTEM, group.id, by_group.id)
    for who in (more, by_group):
        for wanted in (ChangedUser(enabled=False), ChangedUser(email="new@shop.example"), ChangedUser(attributes={})):
            with pytest.raises(Forbidden):
                keeper.users.change(chief, who.id, wanted)
        with pytest.raises(Forbidden):
            keeper.users.remove(chief, who.id)
        assert keeper.users.change(chief, who.id, ChangedUser(name="Somebody")).user.name == "Somebody"
    keeper.users.change(chief, less.id, ChangedUser(enabled=False))
    with pytest.raises(Forbidden):
        keeper.groups.join(chief, group.id, less.id)


def test_nobody_fulfils_a_rule_by_what_somebody_is_called(service: Service) -> None:
    """Rules ask for names, too: who keeps people renames nobody, and not oneself, into what a rule gives."""
    keeper, rule = service.keeper, "current_user.name == 'Operator'"
    chief = person(service, "chief@shop.example", PEOPLE, on("production", "use", rule=rule))
    ben = user(service, "ben@shop.example", on("production", rule=rule))
    assert chief.user is not None
    for who in (chief.user.id, ben.id):
        with pytest.raises(Forbidden, match="more than you own"):
            keeper.users.change(chief, who, ChangedUser(name="Operator"))
    owner = person(service, "owner@shop.example", EVERYTHING)
    assert keeper.users.change(owner, ben.id, ChangedUser(name="Operator")).user.name == "Operator"


def test_only_owners_of_everything_make_emergency_users(service: Service) -> None:
    chief = person(service, "chief@shop.example", PEOPLE)
    with pytest.raises(Absent):
        service.keeper.users.add(chief, "ana@shop.example", emergency=True)
    owner = person(service, "owner@shop.example", EVERYTHING)
    assert service.keeper.users.add(owner, "ana@shop.example", emergency=True).user.emergency


def test_nobody_disables_or_removes_oneself(service: Service) -> None:
    owner = person(service, "owner@shop.example", EVERYTHING)
    assert owner.user is not None
    with pytest.raises(Conflict):
        service.keeper.users.change(owner, owner.user.id, ChangedUser(enabled=False))
    with pytest.raises(Conflict):
        service.keeper.users.remove(owner, owner.user.id)


def test_the_last_owner_who_can_sign_in_stays(service: Service) -> None:
    keeper = service.keeper
    ana = user(service, "ana@shop.example")
    group = keeper.groups.add(SYSTEM, WantedGroup("owners")).group
    grant = keeper.granting.to_group(SYSTEM, "owners", EVERYTHING)
    keeper.groups.join(SYSTEM, group.id, ana.id)
    with_password(service, ana)
    user(service, "ben@shop.example", EVERYTHING)  # owns everything, but cannot sign in
    for call in (
        lambda: keeper.users.change(SYSTEM, ana.id, ChangedUser(enabled=False)),
        lambda: keeper.users.remove(SYSTEM, ana.id),
        lambda: keeper.groups.part(SYSTEM, group.id, ana.id),
        lambda: keeper.groups.remove(SYSTEM, group.id),
        lambda: keeper.granting.remove(SYSTEM, grant.id),
    ):
        with pytest.raises(Conflict):
            call()
    cem = user(service, "cem@shop.example", EVERYTHING)
    with_password(service, cem)
    keeper.users.change(SYSTEM, ana.id, ChangedUser(enabled=False))
    with pytest.raises(Conflict):
        keeper.users.remove(SYSTEM, cem.id)


def test_nobody_slows_others_by_many_rules(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "MOST_RULES", 2)
    keeper, owner = service.keeper, person(service, "owner@shop.example", on("staging"), on("production"))
    user(service, "ana@shop.example")
    one, two, three = (on("staging", "use", rule=f"request.address == '192.0.2.{each}'") for each in (1, 2, 3))
    for given in (one, two, replace(one, kind="folder", path="shop"), replace(three, environment="production")):
        keeper.granting.to_user(owner, "ana@shop.example", given)
    for call in (
        lambda: keeper.granting.to_user(owner, "ana@shop.example", three),
        lambda: keeper.tokens.add(owner, "many", (one, two, three), None, ()),
        lambda: keeper.machines.add(SYSTEM, "many", (one, two, three)),
    ):
        with pytest.raises(Conflict, match="2 different rules"):
            call()
    keeper.granting.to_user(owner, "ana@shop.example", on("staging", "use"))


def test_a_machine_with_the_grant_keeps_users(service: Service) -> None:
    directory = machine(service, "directory", ("own", "people", None, ""))
    assert directory.grants == (Grant(Level.OWN, Kind.PEOPLE),)
    made = service.keeper.users.add(directory, "ana@shop.example").user
    assert made.created_by == "directory"
    assert made.created_at <= datetime.now(UTC)


def test_what_is_owned_by_a_rule_is_not_passed_on(service: Service) -> None:
    ruled = person(service, "ana@shop.example", on("production", rule="true"))
    assert service.keeper.environments.get(ruled, "production").name == "production"
    with pytest.raises(Forbidden, match="with a rule"):
        service.keeper.tokens.add(ruled, "lasting", (on("production"),), None, ())
