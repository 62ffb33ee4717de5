"""Groups: who is in them by which way, what they hold for their members, and where those land."""

from itertools import pairwise

import pytest

from service.core.access import Caller, Level, Thing
from service.core.access import Kind as On
from service.core.errors import Absent, Conflict, Forbidden, Invalid, Unauthenticated
from service.core.person import DEEPEST
from service.keeper.granting import WantedGrant
from service.keeper.groups import WantedGroup
from service.keeper.tokens import SYSTEM
from service.keeper.users import ChangedUser, Landing
from service.ledger import groups
from service.wiring import Service
from tests.keeper.test_users import PEOPLE, caller, on, person, signed_in, user
from tests.ledger.homes import Home, environment, put


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    environment(opened, "production")
    environment(opened, "staging")
    return opened


def group(service: Service, name: str, *grants: WantedGrant, **wanted: object) -> str:
    """The id of a new one."""
    made = service.keeper.groups.add(SYSTEM, WantedGroup(name, **wanted)).group  # type: ignore[arg-type]
    for grant in grants:
        service.keeper.granting.to_group(SYSTEM, name, grant)
    return made.id


def level(service: Service, who: Caller, environment: str) -> Level | None:
    wall = service.keeper.recorder.snapshot.environment(environment)
    assert wall is not None
    return who.level(Thing(On.ENVIRONMENT, wall.id))


def test_a_member_holds_what_its_group_holds_by_any_way(service: Service) -> None:
    ana = user(service, "ana@shop.example")
    staff = group(service, "staff", on("production", "use"))
    admins, operators = group(service, "admins", on("staging", "edit")), group(service, "operators")
    service.keeper.groups.join(SYSTEM, staff, operators)
    service.keeper.groups.join(SYSTEM, admins, operators)
    text = signed_in(service, ana)
    assert level(service, caller(service, text), "production") is None
    service.keeper.groups.join(SYSTEM, operators, ana.id)
    as_ana = caller(service, text)
    assert as_ana.user is not None
    assert as_ana.user.groups == ("admins", "operators", "staff")
    assert (level(service, as_ana, "production"), level(service, as_ana, "staging")) == (Level.USE, Level.EDIT)
    service.keeper.groups.part(SYSTEM, staff, operators)
    as_ana = caller(service, text)
    assert (level(service, as_ana, "production"), level(service, as_ana, "staging")) == (None, Level.EDIT)
    service.keeper.groups.remove(SYSTEM, admins)
    assert level(service, caller(service, text), "staging") is None


def test_a_group_is_not_in_itself_by_any_way(service: Service) -> None:
    one, two, three = (group(service, name) for name in ("one", "two", "three"))
    service.keeper.groups.join(SYSTEM, one, two)
    service.keeper.groups.join(SYSTEM, two, three)
    for outer, inner in ((one, one), (two, one), (three, one), (three, two)):
        with pytest.raises(Conflict, match="itself"):
            service.keeper.groups.join(SYSTEM, outer, inner)
    service.keeper.groups.join(SYSTEM, one, three)  # by two ways is no circle


def test_groups_are_not_in_one_another_without_end(service: Service) -> None:
    chain = [group(service, f"g{number}") for number in range(DEEPEST + 1)]
    half = DEEPEST // 2
    for outer, inner in pairwise(chain[: half + 1]):
        service.keeper.groups.join(SYSTEM, outer, inner)
    for outer, inner in pairwise(chain[half + 1 :]):
        service.keeper.groups.join(SYSTEM, outer, inner)
    with pytest.raises(Conflict, match="deep"):
        service.keeper.groups.join(SYSTEM, chain[half], chain[half + 1])


def test_nobody_lets_in_to_more_than_they_own(service: Service) -> None:
    chief = person(service, "chief@shop.example", PEOPLE, on("staging"))
    ben = user(service, "ben@shop.example")
    production, staging = (
        group(service, "production", on("production", "use")),
        group(service, "staging", on("staging")),
    )
    inner = group(service, "inner")
    service.keeper.groups.join(SYSTEM, production, inner)
    for closed in (production, inner):
        for call in (service.keeper.groups.join, service.keeper.groups.part):
            with pytest.raises(Forbidden):
                call(chief, closed, ben.id)
        with pytest.raises(Forbidden):
            service.keeper.groups.join(chief, staging, closed)
        with pytest.raises(Forbidden):
            service.keeper.groups.remove(chief, closed)
    service.keeper.groups.join(chief, staging, ben.id)
    with pytest.raises(Forbidden):
        service.keeper.granting.to_group(
            person(service, "dan@shop.example", on("production", "edit")), "staging", on("production", "use")
        )


def test_nobody_fulfils_a_rule_by_what_a_group_is_called_or_in(service: Service) -> None:
    """Somebody holds *own* by a rule that asks for a group: who keeps people brings it into force by no way."""
    rule = "'on-call' in current_user.groups && !('away' in current_user.groups)"
    ben = user(service, "ben@shop.example", on("production", rule=rule))
    chief = person(service, "chief@shop.example", PEOPLE)
    keeper = service.keeper
    team, inner, on_call, away = (group(service, name) for name in ("team", "inner", "on-call", "away"))
    keeper.groups.join(SYSTEM, team, inner)
    keeper.groups.join(SYSTEM, inner, ben.id)
    keeper.groups.join(SYSTEM, away, team)
    text = signed_in(service, ben)
    for done in (
        lambda: keeper.groups.join(chief, on_call, team),
        lambda: keeper.groups.join(chief, on_call, ben.id),
        lambda: keeper.groups.part(chief, away, team),
        lambda: keeper.groups.remove(chief, away),
        lambda: keeper.groups.change(chief, away, WantedGroup("here")),
        lambda: keeper.groups.change(chief, team, WantedGroup("another")),
    ):
        with pytest.raises(Forbidden, match="more than you own"):
            done()
    keeper.groups.change(chief, on_call, WantedGroup("once-on-call"))
    assert level(service, caller(service, text), "production") is None
    keeper.groups.join(chief, away, group(service, "empty"))


def test_who_may_only_see_people_changes_no_group(service: Service) -> None:
    ben, staff = user(service, "ben@shop.example"), group(service, "staff")
    looker = person(service, "ana@shop.example", WantedGrant("use", "people", None, ""))
    stranger = person(service, "cem@shop.example", on("production"))
    assert [it.group.name for it in service.keeper.groups.listed(looker, "", 10)] == ["staff"]
    for who, refusal in ((looker, Forbidden), (stranger, Absent)):
        for call in (
            lambda who: service.keeper.groups.add(who, WantedGroup("another")),
            lambda who: service.keeper.groups.change(who, staff, WantedGroup("another")),
            lambda who: service.keeper.groups.join(who, staff, ben.id),
            lambda who: service.keeper.groups.part(who, staff, ben.id),
            lambda who: service.keeper.groups.remove(who, staff),
        ):
            with pytest.raises(refusal):
                call(who)
    for call in (service.keeper.groups.get, lambda who, of: service.keeper.groups.members(who, of, "", 10)):
        with pytest.raises(Absent):
            call(stranger, staff)


def test_who_is_there_by_an_identity_provider_is_not_taken_out_by_hand(service: Service) -> None:
    ana, staff = user(service, "ana@shop.example"), group(service, "staff")
    with service.ledger.change() as tx:
        groups.join(tx, "m1", staff, "scim", user_id=ana.id)
    with pytest.raises(Conflict, match="scim"):
        service.keeper.groups.part(SYSTEM, staff, ana.id)
    service.keeper.groups.join(SYSTEM, staff, ana.id)
    assert sorted(it.source for it in service.keeper.groups.members(SYSTEM, staff, "", 10)) == ["hand", "scim"]
    service.keeper.groups.part(SYSTEM, staff, ana.id)
    assert [it.source for it in service.keeper.groups.members(SYSTEM, staff, "", 10)] == ["scim"]


def test_members_without_edit_land_in_the_folder_and_others_do_not(service: Service) -> None:
    put(service, "shop/PASSWORD", "x")
    folder = {"landing_environment": "production", "landing_folder": "shop"}
    looks = group(service, "looks", on("production", "use", "folder", "shop"), **folder)
    ana = user(service, "ana@shop.example")
    text = signed_in(service, ana)
    service.keeper.groups.join(SYSTEM, looks, ana.id)
    assert service.keeper.users.landing(caller(service, text)) == Landing("production", "shop")
    service.keeper.granting.to_user(SYSTEM, ana.email, on("production", "edit", "folder", "shop"))
    assert service.keeper.users.landing(caller(service, text)) is None
    stranger = user(service, "ben@shop.example")
    empty = group(service, "empty", **folder)
    service.keeper.groups.join(SYSTEM, empty, stranger.id)
    assert service.keeper.users.landing(caller(service, signed_in(service, stranger))) is None


def test_what_a_group_may_not_be(service: Service) -> None:
    group(service, "staff")
    for name in ("", " staff", "a\nb", "x" * 129):
        with pytest.raises(Invalid):
            service.keeper.groups.add(SYSTEM, WantedGroup(name))
    with pytest.raises(Conflict):
        service.keeper.groups.add(SYSTEM, WantedGroup("staff"))
    with pytest.raises(Invalid):
        service.keeper.groups.add(SYSTEM, WantedGroup("nowhere", landing_folder="shop"))


def test_on_every_replica_what_was_taken_is_gone_at_the_next_request(pg_home: Home) -> None:
    here, there = pg_home.service(), pg_home.service()
    environment(here, "production")
    put(here, "PASSWORD", "x")
    ana = user(here, "ana@shop.example")
    outer, inner = group(here, "outer", on("production", "use")), group(here, "inner")
    here.keeper.groups.join(SYSTEM, outer, inner)
    text = signed_in(here, ana)

    def sees() -> bool:
        """On the other replica, by a request that begins now."""
        as_ana = there.keeper.tokens.authenticate(text, "127.0.0.1", "r")
        return level(there, as_ana, "production") is not None

    def told(change: object) -> bool:
        assert callable(change)
        change()
        return sees()

    assert not sees()
    assert told(lambda: here.keeper.groups.join(SYSTEM, inner, ana.id))
    assert not told(lambda: here.keeper.groups.part(SYSTEM, inner, ana.id))
    assert told(lambda: here.keeper.groups.join(SYSTEM, inner, ana.id))
    assert not told(lambda: here.keeper.groups.part(SYSTEM, outer, inner))
    assert told(lambda: here.keeper.groups.join(SYSTEM, outer, inner))
    grant = here.keeper.groups.get(SYSTEM, outer).grants[0]
    assert not told(lambda: here.keeper.granting.remove(SYSTEM, grant.id))
    assert told(lambda: here.keeper.granting.to_group(SYSTEM, "outer", on("production", "use", rule="true")))
    assert not told(lambda: here.keeper.groups.remove(SYSTEM, outer))
    here.keeper.users.change(SYSTEM, ana.id, ChangedUser(enabled=False))
    with pytest.raises(Unauthenticated):
        sees()
