"""Grants are looked up by place: what that finds is what the plain definition says, whatever is granted."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.access import Grant, Grants, Kind, Level, Thing

NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)
WALLS = st.sampled_from(["e", "f"])
RULES = st.sampled_from(["", "", "holds", "holds too", "does not"])
HOLDS = {"holds", "holds too"}
LEVELS = st.sampled_from(list(Level))
UNPATHED = st.sampled_from([Kind.EVERYTHING, Kind.PEOPLE, Kind.SETTINGS])
WITHIN = st.sampled_from([Kind.FOLDER, Kind.CONNECTION, Kind.POLICY])

PLACES = st.one_of(
    st.tuples(UNPATHED, st.just(""), st.just("")),
    st.tuples(st.just(Kind.MACHINE), st.just(""), st.one_of(st.just(""), NAMES)),
    st.tuples(st.just(Kind.ENVIRONMENT), WALLS, st.just("")),
    st.tuples(WITHIN, WALLS, NAMES),
)
GRANTS = st.builds(lambda level, place, rule: Grant(level, *place, rule), LEVELS, PLACES, RULES)
THINGS = PLACES.map(lambda place: Thing(*place))


def contains(grant: Grant, thing: Thing) -> bool:
    """The plain definition, told apart from how it is looked up."""

    def inside(folder: str) -> bool:
        return thing.path == folder or thing.path.startswith(folder + "/")

    if grant.kind is Kind.EVERYTHING:
        return True
    if grant.environment_id != thing.environment_id:
        return False
    match grant.kind:
        case Kind.ENVIRONMENT:
            return True
        case Kind.FOLDER if thing.kind is Kind.FOLDER:
            return inside(grant.path)
        case Kind.FOLDER if thing.kind in (Kind.CONNECTION, Kind.POLICY):
            return thing.path.startswith(grant.path + "/")
        case Kind.CONNECTION:
            return thing.kind in (Kind.CONNECTION, Kind.POLICY) and thing.path == grant.path
        case Kind.MACHINE:
            return thing.kind is Kind.MACHINE and (not grant.path or inside(grant.path))
    return thing.kind is grant.kind and thing.path == grant.path


@settings(max_examples=1500, deadline=None)
@given(st.lists(GRANTS, max_size=30), THINGS)
def test_a_level_is_the_highest_of_the_grants_that_cover_it_and_whose_rule_holds(
    held: list[Grant], thing: Thing
) -> None:
    counts = [grant for grant in held if contains(grant, thing) and (not grant.rule or grant.rule in HOLDS)]
    assert Grants(held).level(thing, HOLDS.__contains__) == max((grant.level for grant in counts), default=None)


@settings(max_examples=500, deadline=None)
@given(GRANTS, THINGS)
def test_a_grant_covers_what_is_in_it(grant: Grant, thing: Thing) -> None:
    assert grant.covers(thing) == contains(grant, thing)


@settings(max_examples=500, deadline=None)
@given(st.lists(GRANTS, max_size=30), WALLS)
def test_an_environment_is_seen_by_any_grant_on_or_in_it(held: list[Grant], wall: str) -> None:
    counts = [grant for grant in held if not grant.rule or grant.rule in HOLDS]
    expected = any(grant.kind is Kind.EVERYTHING or grant.environment_id == wall for grant in counts)
    assert Grants(held).sees(wall, HOLDS.__contains__) == expected
