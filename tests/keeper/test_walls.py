"""Promise 10: what a caller may not see is absent. Promise 11: walls between environments, and pinned instances."""

from collections.abc import Callable

import pytest
from sqlalchemy import event, select

from service.core.access import Caller, Grant, Kind, Level
from service.core.errors import Absent, Conflict, Forbidden, Invalid, KeywrightError
from service.core.openid import OpenId
from service.core.secret import Secret
from service.core.variable import ValueKind
from service.keeper.granting import WantedGrant
from service.keeper.groups import WantedGroup
from service.keeper.registration import registration
from service.keeper.tokens import SYSTEM
from service.keeper.users import ChangedUser
from service.keeper.values import Wanted
from service.ledger import environments
from service.ledger.questions import Question
from service.ledger.tables import data_keys
from service.wiring import Service
from tests.ledger.homes import Home, credential_tag, environment, machine, owner, put, tag
from tests.rigs import persons

CONNECTION = {
    "engine": "postgresql",
    "endpoints": [{"host": "db.test", "port": 5432}],
    "database": "shop",
    "tls": {"mode": "disable"},
    "login": {"username": "app"},
}


def connect(service: Service, home: Home, where: str, name: str = "shop/db", caller: Caller = SYSTEM) -> None:
    home.database.create("app", "app-password")
    wanted = registration(CONNECTION, Secret("app-password"))
    service.keeper.connections.put(caller, where, name, wanted, if_match=None)


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    for name in ("production", "staging"):
        environment(opened, name)
        put(opened, "shop/A", f"{name}-value", where=name)
        connect(opened, home, name)
    return opened


def attempts(service: Service, home: Home, caller: Caller, where: str) -> dict[str, Callable[[], object]]:
    """Every way into an environment."""
    keeper = service.keeper
    grant = WantedGrant("use", "folder", where, "shop")
    return {
        "environment": lambda: keeper.environments.get(caller, where),
        "environment change": lambda: keeper.environments.change(
            caller, where, stores={}, allowlist=None, if_match=None
        ),
        "environment delete": lambda: keeper.environments.delete(caller, where, if_match=None),
        "variables": lambda: keeper.variables.listed(caller, where, "", "", 10),
        "variable": lambda: keeper.variables.get(caller, where, "shop/A"),
        "put": lambda: put(service, "shop/A", "x", where=where, caller=caller),
        "put new": lambda: put(service, "shop/NEW", "x", where=where, caller=caller),
        "activate": lambda: keeper.variables.activate(caller, where, "shop/A", 1),
        "delete": lambda: keeper.variables.delete(caller, where, "shop/A", if_match=None),
        "value": lambda: keeper.values.fetch(caller, where, Wanted(("shop/A",))),
        "values": lambda: keeper.values.fetch(caller, where, Wanted(folder="")),
        "tag": lambda: tag(service, caller, where, Wanted(("shop/A",))),
        "connections": lambda: keeper.connections.listed(caller, where, "", "", 10),
        "connection": lambda: keeper.connections.get(caller, where, "shop/db"),
        "connection put": lambda: connect(service, home, where, caller=caller),
        "connection delete": lambda: keeper.connections.delete(caller, where, "shop/db", if_match=None),
        "credential": lambda: keeper.credentials.one(caller, where, "shop/db"),
        "credential tag": lambda: credential_tag(service, caller, where, "shop/db"),
        "rotate": lambda: keeper.rotations.ask(caller, where, "shop/db", ""),
        "rotations": lambda: keeper.rotations.listed(caller, where, None, None, "", 10),
        "rehearse": lambda: keeper.rehearsals.rehearse(caller, where, "shop/db"),
        "grant": lambda: keeper.granting.to_token(caller, "taker", grant),
        "token": lambda: keeper.tokens.add(caller, "new", (grant,), None, ()),
    }


def answered(attempt: Callable[[], object], where: str) -> str:
    with pytest.raises(KeywrightError) as refused:
        attempt()
    assert type(refused.value) is Absent
    return refused.value.message.replace(where, "…")


def test_another_environment_is_absent_in_every_way(service: Service, home: Home) -> None:
    caller = machine(service, "shop", ("own", "environment", "production", ""))
    beyond = attempts(service, home, caller, "staging")
    absent = attempts(service, home, caller, "nowhere")
    for name, attempt in beyond.items():
        assert answered(attempt, "staging") == answered(absent[name], "nowhere"), name
    assert [e.name for e in service.keeper.environments.listed(caller, "", 10)] == ["production"]
    found, _ = service.keeper.values.fetch(SYSTEM, "staging", Wanted(("shop/A",)))
    assert isinstance(found[0].value, Secret)
    assert found[0].value.reveal() == "staging-value"


def statements(service: Service, attempt: Callable[[], object]) -> list[str]:
    sent: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(service.ledger.engine, "before_cursor_execute", note)
    with pytest.raises(Absent):
        attempt()
    event.remove(service.ledger.engine, "before_cursor_execute", note)
    return sent


def test_what_is_not_for_a_caller_takes_the_statements_of_what_is_not_there(service: Service, home: Home) -> None:
    caller = machine(service, "shop", ("own", "folder", "production", "blog"))
    keeper = service.keeper
    missing: dict[str, Callable[[], object]] = {
        "variable": lambda: keeper.variables.get(caller, "production", "shop/none"),
        "value": lambda: keeper.values.fetch(caller, "production", Wanted(("shop/none",))),
        "tag": lambda: tag(service, caller, "production", Wanted(("shop/none",))),
        "connection": lambda: keeper.connections.get(caller, "production", "shop/none"),
        "credential": lambda: keeper.credentials.one(caller, "production", "shop/none"),
        "delete": lambda: keeper.variables.delete(caller, "production", "shop/none", if_match=None),
        "activate": lambda: keeper.variables.activate(caller, "production", "shop/none", 1),
        "rotate": lambda: keeper.rotations.ask(caller, "production", "shop/none", ""),
    }
    hidden = attempts(service, home, caller, "production")
    for action, attempt in missing.items():
        assert statements(service, hidden[action]) == statements(service, attempt), action


def test_levels(service: Service, home: Home) -> None:
    held = {
        level: machine(service, level, (level, "environment", "production", "")) for level in ("use", "edit", "own")
    }
    machine(service, "taker")
    needs = {
        "environment": "use",
        "variables": "use",
        "variable": "use",
        "value": "use",
        "values": "use",
        "tag": "use",
        "connections": "use",
        "connection": "use",
        "credential": "use",
        "credential tag": "use",
        "rotations": "use",
        "put": "edit",
        "put new": "edit",
        "activate": "edit",
        "connection put": "edit",
        "environment change": "own",
        "delete": "own",
        "connection delete": "own",
        "grant": "own",
        "token": "own",
        "environment delete": "own",
    }
    order = ["use", "edit", "own"]
    for action, needed in needs.items():
        for level in order:
            attempt = attempts(service, home, held[level], "production")[action]
            if order.index(level) < order.index(needed):
                with pytest.raises(Forbidden):
                    attempt()
            elif level == "own" or needed != "own":
                attempt()


def test_an_allowlist_keeps_addresses_out(home: Home) -> None:
    service = home.service()
    environment(service)
    put(service, "shop/A", "a")
    keeper = service.keeper
    keeper.environments.change(SYSTEM, "production", stores=None, allowlist=("192.0.2.0/24",), if_match=None)
    inside = machine(service, "inside", ("own", "everything", None, ""), address="192.0.2.9")
    outside = machine(service, "outside", ("own", "everything", None, ""), address="192.0.3.9")
    stranger = machine(service, "stranger", address="192.0.3.9")
    keeper.values.fetch(inside, "production", Wanted(("shop/A",)))
    for attempt in attempts(service, home, outside, "production").values():
        with pytest.raises(Forbidden, match=r"192\.0\.3\.9"):
            attempt()
    with pytest.raises(Absent):  # whoever has no grant does not learn that there is an allowlist
        keeper.values.fetch(stranger, "production", Wanted(("shop/A",)))


def test_a_template_or_reference_cannot_reach_over_a_wall(service: Service) -> None:
    put(service, "only/staging", "x", where="staging")
    for text in ("${only/staging}", "${staging/only/staging}", "${connection:staging/shop/db#url}"):
        with pytest.raises(Invalid, match="does not exist"):
            put(service, "shop/T", text, kind=ValueKind.TEMPLATE)
    service.keeper.environments.change(SYSTEM, "staging", stores={}, allowlist=None, if_match=None)
    with pytest.raises(Invalid):
        put(service, "shop/R", "vault:x", kind=ValueKind.REFERENCE, where="staging")


def test_a_value_moved_over_a_wall_does_not_open(service: Service) -> None:
    """Environments have keys of their own: not even swapping the keys' rows helps."""
    with service.ledger.connected() as sql:
        ids = [sql.exec_driver_sql(f"SELECT id FROM environments WHERE name = '{n}'").scalar_one() for n in WALLS]
        wrapped = {
            row.environment_id: row.wrapped for row in sql.execute(select(data_keys)) if row.environment_id in ids
        }
        change = data_keys.update().where(data_keys.c.environment_id == ids[0]).values(wrapped=wrapped[ids[1]])
        sql.execute(change)
        sql.commit()
    service.keeper.keyrings.forget(ids[0])
    with pytest.raises(KeywrightError):
        service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))


WALLS = ("production", "staging")


# Pinned instances.


def test_through_a_pinned_instance_even_an_owner_reaches_no_other(service: Service, home: Home) -> None:
    if home.engine == "sqlite":
        service.close()  # one process writes
    pinned = home.service(KEYWRIGHT_ENVIRONMENTS="staging")
    boss = owner(pinned)
    for name, attempt in attempts(pinned, home, boss, "production").items():
        missing = attempts(pinned, home, boss, "nowhere")[name]
        assert answered(attempt, "production") == answered(missing, "nowhere"), name
    assert [e.name for e in pinned.keeper.environments.listed(boss, "", 10)] == ["staging"]
    with pytest.raises(Absent):
        pinned.keeper.environments.add(boss, "development", {}, ())
    assert pinned.keeper.values.fetch(boss, "staging", Wanted(("shop/A",)))


def test_a_pinned_instance_tells_nothing_of_the_others(service: Service, home: Home) -> None:
    service.keeper.tokens.add(SYSTEM, "far", (WantedGrant("use", "folder", "production", "payroll"),), None, ())
    service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))
    if home.engine == "sqlite":
        service.close()
    pinned = home.service(KEYWRIGHT_ENVIRONMENTS="staging")
    boss = owner_of(pinned)
    keeper = pinned.keeper
    assert {e["environment"] for e in keeper.events.ask(boss, Question(limit=500))} <= {"", "staging"}
    assert keeper.events.ask(boss, Question(environment="production")) == []
    far = [shown for held, shown in keeper.tokens.listed(boss, "", 10) if held.name == "far"]
    assert far == [[]]
    assert [g for g in keeper.granting.listed(boss, "", 100) if g.holder.name == "far"] == []
    with pinned.ledger.read() as tx:
        grant_id = tx.sql.exec_driver_sql("SELECT id FROM grants WHERE path = 'payroll'").scalar_one()
        production = environments.find(tx, "production")
    assert production is not None
    with pytest.raises(Absent):
        keeper.granting.remove(boss, grant_id)
    with pytest.raises((Absent, Forbidden)):
        keeper.granting.to_token(boss, "far", WantedGrant("use", "everything", None, ""))
    with pytest.raises((Absent, Forbidden)):
        keeper.tokens.add(boss, "wide", (WantedGrant("use", "everything", None, ""),), None, ())


def test_through_a_pinned_instance_nobody_takes_a_factor_away_of_who_reaches_further(
    service: Service, home: Home
) -> None:
    with service.ledger.read() as tx:
        walls = {name: environments.find(tx, name) for name in WALLS}
    users = {}
    for name, wall in walls.items():
        assert wall is not None
        grant = Grant(Level.USE, Kind.ENVIRONMENT, wall.id)
        users[name] = persons.add(service, f"{name}@keywright.test", grant)
        persons.app(service, users[name])
    if home.engine == "sqlite":
        service.close()
    pinned = home.service(KEYWRIGHT_ENVIRONMENTS="staging")
    boss = _another(pinned)
    held = {name: pinned.keeper.factors.listed(boss, user).factors[0].id for name, user in users.items()}
    with pytest.raises(Forbidden, match="reaches further than this instance"):
        pinned.keeper.factors.remove(boss, held["production"])
    assert pinned.keeper.factors.listed(boss, users["production"]).factors
    pinned.keeper.factors.remove(boss, held["staging"])
    assert not pinned.keeper.factors.listed(boss, users["staging"]).factors


def owner_of(service: Service) -> Caller:
    return owner(service) if not service.keeper.tokens.listed(SYSTEM, "", 1) else _another(service)


def _another(service: Service) -> Caller:
    wide = WantedGrant("own", "everything", None, "")
    text = service.keeper.tokens.add(SYSTEM, "boss", (wide,), None, ())[2]
    return service.keeper.tokens.authenticate(text.reveal(), "", "")


def test_deleting_an_environment_takes_everything_and_nobody_elses(service: Service, home: Home) -> None:
    service.keeper.tokens.add(SYSTEM, "t", (WantedGrant("use", "folder", "production", "shop"),), None, ())
    service.keeper.environments.delete(SYSTEM, "production", if_match=None)
    with service.ledger.read() as tx:
        for table in ("variables", "versions", "connections", "logins", "credentials", "environments"):
            assert tx.sql.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 1, table
        assert tx.sql.exec_driver_sql("SELECT count(*) FROM grants").scalar_one() == 0
    assert service.keeper.credentials.one(SYSTEM, "staging", "shop/db").entries
    environment(service, "production")  # the name is free again, and nothing came back with it
    with pytest.raises(Absent):
        service.keeper.values.fetch(SYSTEM, "production", Wanted(("shop/A",)))
    with pytest.raises(Conflict):
        environment(service, "production")


def test_through_a_pinned_instance_nobody_comes_to_reach_further(service: Service, home: Home) -> None:
    """By who vouches for people, by what holds for everybody, or by what a rule of somebody else asks for."""
    keeper, rule = service.keeper, "'on-call' in current_user.groups || current_user.name == 'Operator'"
    user = keeper.users.add(SYSTEM, "ruled@keywright.test").user
    keeper.granting.to_user(SYSTEM, user.email, WantedGrant("own", "environment", "production", "", rule))
    team, on_call = (keeper.groups.add(SYSTEM, WantedGroup(name)).group.id for name in ("team", "once-on-call"))
    keeper.groups.join(SYSTEM, team, user.id)
    definition = OpenId("https://id.test", "keywright")
    keeper.identity_providers.add(SYSTEM, "here", definition, Secret(""))
    if home.engine == "sqlite":
        service.close()
    opened = home.service(KEYWRIGHT_ENVIRONMENTS="staging")
    pinned, boss = opened.keeper, _another(opened)
    for call in (
        lambda: pinned.identity_providers.add(boss, "mine", definition, Secret("")),
        lambda: pinned.identity_providers.change(boss, "here", secret=Secret("mine")),
        lambda: pinned.settings.change(boss, {"step_up": 0}),
        lambda: pinned.groups.join(boss, on_call, user.id),
        lambda: pinned.groups.join(boss, on_call, team),
        lambda: pinned.groups.change(boss, team, WantedGroup("on-call")),
        lambda: pinned.users.change(boss, user.id, ChangedUser(name="Operator")),
    ):
        with pytest.raises(Forbidden, match="instance"):
            call()
    assert not pinned.identity_providers.change(boss, "here", enabled=False).enabled
    pinned.identity_providers.remove(boss, "here")
