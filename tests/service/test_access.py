"""Grants: what they cover, and where they end."""

from itertools import product

import pytest

from service.core.access import (
    EVERYTHING,
    Caller,
    Grant,
    Kind,
    Level,
    Thing,
    admitted,
    networks,
    require,
)
from service.core.errors import Absent, Forbidden, Invalid


def variable(name: str, where: str = "e") -> Thing:
    return Thing(Kind.FOLDER, where, name)


def connection(name: str, where: str = "e") -> Thing:
    return Thing(Kind.CONNECTION, where, name)


ENVIRONMENT, OTHER = Thing(Kind.ENVIRONMENT, "e"), Thing(Kind.ENVIRONMENT, "f")
THINGS = {
    "everything": EVERYTHING,
    "e": ENVIRONMENT,
    "f": OTHER,
    "shop/A": variable("shop/A"),
    "shop/db/PW": variable("shop/db/PW"),
    "shopping/x": variable("shopping/x"),
    "sho": variable("sho"),
    "f shop/A": variable("shop/A", "f"),
    "c shop/db": connection("shop/db"),
    "c shop": connection("shop"),
    "c shopping/db": connection("shopping/db"),
    "f c shop/db": connection("shop/db", "f"),
}
COVERS = {
    Grant(Level.USE, Kind.EVERYTHING): set(THINGS),
    Grant(Level.USE, Kind.ENVIRONMENT, "e"): set(THINGS) - {"everything", "f", "f shop/A", "f c shop/db"},
    Grant(Level.USE, Kind.FOLDER, "e", "shop"): {"shop/A", "shop/db/PW", "c shop/db"},
    Grant(Level.USE, Kind.FOLDER, "e", "shop/db"): {"shop/db/PW"},
    Grant(Level.USE, Kind.FOLDER, "f", "shop"): {"f shop/A", "f c shop/db"},
    Grant(Level.USE, Kind.CONNECTION, "e", "shop/db"): {"c shop/db"},
    Grant(Level.USE, Kind.CONNECTION, "e", "shop"): {"c shop"},
    Grant(Level.USE, Kind.ENVIRONMENT, ""): set(),
}


@pytest.mark.parametrize("grant", COVERS, ids=lambda g: f"{g.kind}-{g.environment_id}-{g.path}")
def test_what_a_grant_covers(grant: Grant) -> None:
    assert {name for name, thing in THINGS.items() if grant.covers(thing)} == COVERS[grant]


def test_a_folder_may_be_granted_itself_and_its_folders() -> None:
    """Granting is asked about the folder as a thing: whoever owns a folder hands it on, and what is in it."""
    own = Grant(Level.OWN, Kind.FOLDER, "e", "shop")
    assert own.covers(Thing(Kind.FOLDER, "e", "shop"))
    assert own.covers(Thing(Kind.FOLDER, "e", "shop/db"))
    assert not own.covers(Thing(Kind.FOLDER, "e", "shopping"))
    assert not own.covers(ENVIRONMENT)


def test_levels_hold_the_ones_before() -> None:
    for held, needed in product(Level, Level):
        caller = Caller("c", "c", "machine", (Grant(held, Kind.FOLDER, "e", "shop"),))
        if held >= needed:
            require(caller, needed, variable("shop/A"), "it")
            continue
        with pytest.raises(Forbidden):
            require(caller, needed, variable("shop/A"), "it")
    for needed in Level:
        with pytest.raises(Absent):
            require(caller, needed, variable("blog/A"), "it")


def test_the_highest_grant_counts() -> None:
    grants = (
        Grant(Level.USE, Kind.ENVIRONMENT, "e"),
        Grant(Level.OWN, Kind.FOLDER, "e", "shop"),
        Grant(Level.EDIT, Kind.CONNECTION, "e", "shop/db"),
    )
    caller = Caller("c", "c", "machine", grants)
    assert caller.level(variable("shop/A")) is Level.OWN
    assert caller.level(connection("shop/db")) is Level.OWN
    assert caller.level(variable("blog/A")) is Level.USE
    assert caller.level(EVERYTHING) is None
    assert caller.sees("e")
    assert not caller.sees("f")
    assert not Caller("c", "c", "machine", ()).sees("e")
    assert Caller("c", "c", "machine", (Grant(Level.USE, Kind.EVERYTHING),)).sees("f")


def test_levels_have_words() -> None:
    assert [Level.of(level.word) for level in Level] == list(Level)
    for word in ("", "admin", "1"):
        with pytest.raises(Invalid):
            Level.of(word)


def test_allowlists() -> None:
    blocks = networks(("10.0.0.0/8", "192.0.2.7/32", "2001:DB8::/32"))
    assert blocks == ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32")
    for inside in ("10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1"):
        assert admitted(inside, blocks), inside
    for outside in ("11.0.0.1", "192.0.2.8", "2001:db9::1", "", "testclient", "10.0.0.1 "):
        assert not admitted(outside, blocks), outside
    assert admitted("", ())
    for wrong in ("10.0.0.1/8", "x", "", "10.0.0.0/33", "fe80::%eth0/128", "fe80::%\nhost all all/128"):
        with pytest.raises(Invalid) as refused:
            networks((wrong,), "somewhere")
        assert refused.value.field == "somewhere"
