"""Variables: versions, the pointer, what is plain and what is secret, templates and references when they are put."""

import pytest
from sqlalchemy import event

from service.core.errors import Absent, Conflict, Forbidden, Invalid, Outdated, TooLarge
from service.core.secret import Secret
from service.core.variable import DEEPEST, LONGEST_VALUE, ValueKind, VersionState
from service.keeper.tokens import SYSTEM
from service.keeper.values import Wanted
from service.keeper.variables import NewValue
from service.wiring import Service
from tests.ledger.homes import Home, environment, machine, put

TEMPLATE, REFERENCE = ValueKind.TEMPLATE, ValueKind.REFERENCE
LIVE, KEPT, DELETED, DESTROYED = VersionState.LIVE, VersionState.KEPT, VersionState.DELETED, VersionState.DESTROYED


@pytest.fixture
def service(home: Home) -> Service:
    opened = home.service()
    environment(opened)
    return opened


def value(service: Service, name: str) -> object:
    found, _ = service.keeper.values.fetch(SYSTEM, "production", Wanted((name,)))
    return found[0].value.reveal() if isinstance(found[0].value, Secret) else found[0].value


def states(service: Service, name: str = "shop/A") -> dict[int, VersionState]:
    return {v.number: v.state for v in service.keeper.variables.get(SYSTEM, "production", name).versions}


def set_state(service: Service, number: int, state: VersionState, caller: object = SYSTEM) -> None:
    service.keeper.variables.set_state(caller, "production", "shop/A", number, state)  # type: ignore[arg-type]


def test_put_makes_the_new_version_live(service: Service) -> None:
    put(service, "shop/A", "one")
    made = put(service, "shop/A", "two")
    assert (made.variable.live, made.variable.newest, made.variable.revision) == (2, 2, 2)
    assert states(service) == {1: KEPT, 2: LIVE}
    assert value(service, "shop/A") == "two"


def test_put_is_not_activate(service: Service) -> None:
    put(service, "shop/A", "one")
    put(service, "shop/A", "two", activate=False)
    assert states(service) == {1: LIVE, 2: KEPT}
    assert value(service, "shop/A") == "one"
    service.keeper.variables.activate(SYSTEM, "production", "shop/A", 2)
    assert value(service, "shop/A") == "two"
    assert states(service) == {1: KEPT, 2: LIVE}


def test_a_first_version_that_is_held_gives_no_value(service: Service) -> None:
    put(service, "shop/A", "one", activate=False)
    with pytest.raises(Conflict, match="no live version"):
        value(service, "shop/A")
    assert service.keeper.values.fetch(SYSTEM, "production", Wanted(folder="shop"))[0] == []


def test_roll_back_and_forward(service: Service) -> None:
    for text in ("one", "two", "three"):
        put(service, "shop/A", text)
    for number, text in ((1, "one"), (3, "three"), (3, "three"), (2, "two")):
        service.keeper.variables.activate(SYSTEM, "production", "shop/A", number)
        assert value(service, "shop/A") == text
        assert [n for n, state in states(service).items() if state is LIVE] == [number]
    with pytest.raises(Absent):
        service.keeper.variables.activate(SYSTEM, "production", "shop/A", 4)


def test_numbers_are_never_used_again(service: Service) -> None:
    for text in ("one", "two"):
        put(service, "shop/A", text)
    set_state(service, 2, DESTROYED)
    set_state(service, 1, DESTROYED)
    assert put(service, "shop/A", "three").variable.live == 3
    service.keeper.variables.activate(SYSTEM, "production", "shop/A", 3)
    assert put(service, "shop/A", "four").variable.newest == 4


def test_delete_undelete_destroy(service: Service) -> None:
    put(service, "shop/A", "one")
    put(service, "shop/A", "two")
    set_state(service, 2, DELETED)
    with pytest.raises(Conflict, match="no live version"):
        value(service, "shop/A")
    with pytest.raises(Conflict, match="deleted"):
        service.keeper.variables.activate(SYSTEM, "production", "shop/A", 2)
    set_state(service, 2, KEPT)
    with pytest.raises(Conflict, match="not deleted"):
        set_state(service, 2, KEPT)
    service.keeper.variables.activate(SYSTEM, "production", "shop/A", 2)
    assert value(service, "shop/A") == "two"
    set_state(service, 1, DESTROYED)
    for state in (KEPT, DELETED, DESTROYED):
        with pytest.raises(Conflict, match="destroyed"):
            set_state(service, 1, state)
    with pytest.raises(Conflict, match="destroyed"):
        service.keeper.variables.activate(SYSTEM, "production", "shop/A", 1)
    with service.ledger.read() as tx:
        sealed = tx.sql.exec_driver_sql("SELECT number, sealed FROM versions ORDER BY number").all()
    assert [(number, held is None) for number, held in sealed] == [(1, True), (2, False)]


def test_destroying_and_deleting_for_good_are_the_owners(service: Service) -> None:
    put(service, "shop/A", "one")
    editor = machine(service, "editor", ("edit", "folder", "production", "shop"))
    set_state(service, 1, DELETED, editor)
    set_state(service, 1, KEPT, editor)
    with pytest.raises(Forbidden):
        set_state(service, 1, DESTROYED, editor)
    with pytest.raises(Forbidden):
        service.keeper.variables.delete(editor, "production", "shop/A", if_match=None)
    service.keeper.variables.delete(SYSTEM, "production", "shop/A", if_match=None)
    with pytest.raises(Absent):
        value(service, "shop/A")
    with service.ledger.read() as tx:
        assert tx.sql.exec_driver_sql("SELECT count(*) FROM versions").scalar_one() == 0


def test_if_match(service: Service) -> None:
    variables = service.keeper.variables
    new = NewValue(ValueKind.LITERAL, "x")
    with pytest.raises(Outdated):
        variables.put(SYSTEM, "production", "shop/A", new, secret=None, activate=True, if_match=1)
    variables.put(SYSTEM, "production", "shop/A", new, secret=None, activate=True, if_match=0)
    with pytest.raises(Outdated, match="revision is 1"):
        variables.put(SYSTEM, "production", "shop/A", new, secret=None, activate=True, if_match=2)
    with pytest.raises(Outdated):
        variables.delete(SYSTEM, "production", "shop/A", if_match=2)
    variables.delete(SYSTEM, "production", "shop/A", if_match=1)


# Plain and secret.


def test_a_variable_is_secret_unless_declared_plain(service: Service) -> None:
    assert put(service, "shop/A", "one").variable.secret
    assert not put(service, "shop/B", "one", secret=False).variable.secret
    assert not put(service, "shop/B", "two").variable.secret  # left as it is
    assert put(service, "shop/B", "two", secret=True).variable.secret


def test_what_was_secret_is_made_plain_by_an_owner_only(service: Service) -> None:
    put(service, "shop/A", "one")
    editor = machine(service, "editor", ("edit", "folder", "production", "shop"))
    with pytest.raises(Forbidden):
        put(service, "shop/A", "two", secret=False, caller=editor)
    assert put(service, "shop/A", "two", secret=True, caller=editor).variable.secret
    assert not put(service, "shop/A", "two", secret=False).variable.secret
    assert put(service, "shop/A", "three", secret=True, caller=editor).variable.secret


def test_a_plain_template_is_made_of_plain_parts_only(service: Service, home: Home) -> None:
    put(service, "shop/HOST", "db", secret=False)
    put(service, "shop/PW", "hunter2")
    put(service, "shop/plain", "x-${shop/HOST}", kind=TEMPLATE, secret=False)
    for text in ("${shop/PW}", "${shop/HOST}${shop/PW}"):
        with pytest.raises(Invalid, match="secret"):
            put(service, "shop/T", text, kind=TEMPLATE, secret=False)
    put(service, "shop/T", "${shop/PW}", kind=TEMPLATE)
    assert value(service, "shop/T") == "hunter2"
    put(service, "shop/HOST", "db", secret=True)  # the part turns secret later: not shown as plain any more
    with pytest.raises(Conflict, match="secret"):
        value(service, "shop/plain")


# Templates and references.


def test_templates_name_what_is_there_and_go_in_no_circle(service: Service) -> None:
    put(service, "shop/A", "a")
    with pytest.raises(Invalid, match="shop/missing does not exist"):
        put(service, "shop/T", "${shop/missing}", kind=TEMPLATE)
    with pytest.raises(Invalid, match="connection shop/missing does not exist"):
        put(service, "shop/T", "${connection:shop/missing#url}", kind=TEMPLATE)
    put(service, "shop/T", "${shop/A}", kind=TEMPLATE)
    with pytest.raises(Invalid, match="circle"):
        put(service, "shop/T", "${shop/T}", kind=TEMPLATE)
    with pytest.raises(Invalid, match="circle"):
        put(service, "shop/A", "${shop/T}", kind=TEMPLATE)
    assert value(service, "shop/T") == "a"


def test_a_circle_cannot_be_closed_by_activating(service: Service) -> None:
    put(service, "shop/A", "a")
    put(service, "shop/B", "b")
    put(service, "shop/A", "${shop/B}", kind=TEMPLATE, activate=False)
    put(service, "shop/B", "${shop/A}", kind=TEMPLATE)
    with pytest.raises(Invalid, match="circle"):
        service.keeper.variables.activate(SYSTEM, "production", "shop/A", 2)
    assert value(service, "shop/B") == "a"


def test_a_template_cannot_use_what_its_writer_may_not(service: Service) -> None:
    put(service, "payroll/PW", "hunter2")
    editor = machine(service, "editor", ("edit", "folder", "production", "shop"))
    with pytest.raises(Invalid, match="payroll/PW does not exist"):
        put(service, "shop/T", "${payroll/PW}", kind=TEMPLATE, caller=editor)
    with pytest.raises(Invalid, match="payroll/NO does not exist"):
        put(service, "shop/T", "${payroll/NO}", kind=TEMPLATE, caller=editor)


def test_a_template_gives_nothing_to_who_may_not_use_its_parts(service: Service) -> None:
    put(service, "payroll/PW", "hunter2")
    put(service, "shop/T", "${payroll/PW}", kind=TEMPLATE)
    reader = machine(service, "reader", ("use", "folder", "production", "shop"))
    with pytest.raises(Conflict, match="payroll/PW, which does not exist or is not for this token"):
        service.keeper.values.fetch(reader, "production", Wanted(("shop/T",)))


def test_a_tower_of_templates_has_a_limit_however_it_was_built(service: Service) -> None:
    """From the top down each step is low when it is put; the fetch counts the whole."""
    put(service, "t/v0", "x")
    for number in range(1, DEEPEST + 2):
        if number <= DEEPEST:
            put(service, f"t/v{number}", f"${{t/v{number - 1}}}", kind=TEMPLATE)
        else:
            with pytest.raises(Invalid, match="more than"):
                put(service, f"t/v{number}", f"${{t/v{number - 1}}}", kind=TEMPLATE)
    assert value(service, f"t/v{DEEPEST}") == "x"
    for number in range(40):
        put(service, f"d/v{number}", "x")
    for number in range(39):
        put(service, f"d/v{number}", f"${{d/v{number + 1}}}", kind=TEMPLATE)
    assert value(service, f"d/v{39 - DEEPEST}") == "x"
    with pytest.raises(Conflict, match="more than"):
        value(service, "d/v0")
    # However the fetch goes about it.
    wanted = Wanted(tuple(f"d/v{number}" for number in reversed(range(40))))
    with pytest.raises(Conflict, match="more than"):
        service.keeper.values.fetch(SYSTEM, "production", wanted)


def test_a_wide_lattice_of_templates_is_read_once(service: Service) -> None:
    """Each level uses both of the level below: 2^10 ways to the bottom, 21 variables."""
    put(service, "l/a0", "x")
    put(service, "l/b0", "y")
    for level in range(1, 11):
        for side in "ab":
            put(service, f"l/{side}{level}", f"${{l/a{level - 1}}}${{l/b{level - 1}}}", kind=TEMPLATE)
    statements = 0

    @event.listens_for(service.ledger.engine, "before_cursor_execute")
    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    assert value(service, "l/a10") == "xy" * 2**9
    assert statements < 200


@pytest.mark.parametrize("text", ["vault:other/x", "env:PATH", "aws-sm:shop/db"])
def test_references_stay_within_the_rules(home: Home, text: str) -> None:
    service = home.service()
    environment(service, "production", {"vault": ["secret/shop/*"]})
    with pytest.raises(Invalid, match="does not let its references read"):
        put(service, "shop/R", text, kind=REFERENCE)
    put(service, "shop/R", "vault:secret/shop/db", kind=REFERENCE)


def test_a_reference_that_the_rules_left_behind_is_not_read(service: Service, home: Home) -> None:
    home.store.put("secret/shop", "x")
    put(service, "shop/R", "vault:secret/shop", kind=REFERENCE)
    put(service, "shop/R", "other")
    service.keeper.environments.change(SYSTEM, "production", stores={}, allowlist=None, if_match=None)
    with pytest.raises(Invalid, match="does not let"):
        service.keeper.variables.activate(SYSTEM, "production", "shop/R", 1)


# What is put.


def test_values_that_cannot_be_kept(service: Service) -> None:
    with pytest.raises(TooLarge):
        put(service, "shop/A", "ä" * (LONGEST_VALUE // 2))
    for content in ("half \ud800", {"a": float("nan")}, {"a": "\udfff"}):
        with pytest.raises(Invalid):
            put(service, "shop/A", content)
    with pytest.raises(Absent):
        service.keeper.variables.get(SYSTEM, "production", "shop/A")


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", ".a", "a/.b", "-a", "a b", "ä", "a\n", "a" * 201, "a/../b"])
def test_names_that_are_none(service: Service, name: str) -> None:
    with pytest.raises(Invalid):
        put(service, name, "x")


def test_lists_are_paged_and_show_what_the_caller_may_use(service: Service) -> None:
    for name in ("shop/a", "shop/b/c", "shop-x", "shopping/x", "zoo"):
        put(service, name, "v")
    put(service, "shop/d", "v", activate=False)

    def listed(caller: object, folder: str = "", limit: int = 2) -> list[str]:
        seen: list[str] = []
        while page := service.keeper.variables.listed(
            caller,
            "production",
            folder,
            seen[-1] if seen else "",
            limit,  # type: ignore[arg-type]
        ):
            seen += [variable.name for variable, _ in page]
        return seen

    assert listed(SYSTEM) == ["shop-x", "shop/a", "shop/b/c", "shop/d", "shopping/x", "zoo"]
    assert listed(SYSTEM, "shop") == ["shop/a", "shop/b/c", "shop/d"]
    reader = machine(service, "reader", ("use", "folder", "production", "shop/b"), ("use", "folder", "production", "z"))
    assert listed(reader, limit=1) == ["shop/b/c"]
    kinds = {v.name: kind for v, kind in service.keeper.variables.listed(SYSTEM, "production", "shop", "", 9)}
    assert kinds == {"shop/a": "literal", "shop/b/c": "literal", "shop/d": ""}
