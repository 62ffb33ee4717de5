"""Rules: what they can ask, what is refused when a grant is made, and what does not hold."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.core.access import CurrentUser
from service.core.errors import Invalid
from service.keeper.rules import LONGEST, MOST_STEPS, Context, checked, failures

AT = datetime(2026, 11, 26, 22, 30, tzinfo=UTC)
"""A Thursday; in Berlin half past eleven at night, in Tokyo Friday morning."""
ANA = CurrentUser(
    "a1",
    "ana@shop.example",
    "Ana",
    ("on-call", "staff"),
    {"team": ("shop", "db"), "country": "de"},
    "oidc:main",
    AT - timedelta(hours=2),
    AT - timedelta(seconds=600),
    True,
)


def person(user: CurrentUser = ANA, address: str = "10.1.2.3") -> Context:
    return Context(user, user.email, "person", address, AT)


HELD = [
    "true",
    "current_user.id == 'a1'",
    "current_user.email.endsWith('@shop.example')",
    "current_user.name == 'Ana' && current_user.method.startsWith('oidc:')",
    "'on-call' in current_user.groups",
    "'db' in current_user.attributes.team",
    "current_user.attributes.country == ['de']",
    "'team' in current_user.attributes && current_user.attributes.team.exists(t, t == 'shop')",
    "current_user.signed_in && current_user.factor_age < 900",
    "request.address == '10.1.2.3'",
    "request.address.within('10.0.0.0/8')",
    "request.at.hour('Europe/Berlin') == 23 && request.at.hour('UTC') == 22",
    "request.at.weekday('Europe/Berlin') == 4 && request.at.weekday(\"Asia/Tokyo\") == 5",
    "request.at.date('Asia/Tokyo') == '2026-11-27'",
    "machine.name == 'ci' || 'staff' in current_user.groups",
]
NOT_HELD = [
    "false",
    "'admins' in current_user.groups",
    "current_user.factor_age < 300",
    "request.address.within('192.0.2.0/24')",
    "request.address.within('2001:db8::/32')",
    "request.at.hour('Europe/Berlin') < 18",
]
UNJUDGED = [
    "machine.name == 'ci'",
    "'x' in current_user.attributes.missing",
    "!('x' in current_user.attributes.missing)",
    "1 / 0 == 1",
    "int(current_user.email) == 3",
]


@pytest.mark.parametrize("rule", HELD)
def test_what_holds(rule: str) -> None:
    assert person().holds(checked(rule))


@pytest.mark.parametrize("rule", NOT_HELD)
def test_what_does_not_hold(rule: str) -> None:
    before = failures.count
    assert not person().holds(checked(rule))
    assert failures.count == before


@pytest.mark.parametrize("rule", UNJUDGED)
def test_what_cannot_be_judged_does_not_hold_and_is_counted(rule: str) -> None:
    before = failures.count
    assert not person().holds(checked(rule))
    assert failures.count == before + 1


def test_a_machine_has_a_name_and_no_user() -> None:
    machine = Context(None, "shop/web", "machine", "::ffff:192.0.2.7", AT)
    assert machine.holds("machine.name.startsWith('shop/') && machine.kind == 'machine'")
    assert machine.holds("request.address.within('192.0.2.0/24')")
    assert not machine.holds("current_user.email != ''")


def test_who_showed_no_factor_has_none_of_any_age() -> None:
    bare = CurrentUser("a1", "ana@shop.example", "Ana")
    assert not person(bare).holds("current_user.factor_age < 900")
    assert not person(bare).holds("current_user.factor_age >= 0")
    assert person(bare).holds("!current_user.signed_in && current_user.method == 'token'")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("current_user.emial == 'a'", "at character 13: undeclared reference to 'current_user.emial'"),
        ("current_user.email + 1 == 2", "no matching overload"),
        ("current_user.email", "true or false"),
        ("current_user.attributes.team == 'shop'", "no matching overload"),
        ("request.at.hour(1) == 2", "no matching overload"),
        ("request.at.hour('Europe/Berln') == 2", "a time zone"),
        ("request.address.within('10.0.0.0/33')", "a network"),
        ("request.address.within('10.0.0.1/8')", "a network"),
        ("request.address.within(current_user.name)", "written out"),
        ("request.address. within(current_user.name)", "written out"),
        ("request.address.// here\nwithin(current_user.name)", "written out"),
        ("request.at.hour // here\n(current_user.name) == 2", "written out"),
        ("((", "Syntax error"),
        ("(" * 400 + "true" + ")" * 400, "recursion"),
        ("true || " + "'" + "x" * LONGEST + "' == ''", "are the most"),
        ("open('/etc/passwd') == ''", "undeclared reference"),
        ("__import__('os') == ''", "undeclared reference"),
    ],
)
def test_what_is_wrong_is_told_when_the_grant_is_made(rule: str, told: str) -> None:
    with pytest.raises(Invalid) as refused:
        checked(rule)
    assert told in refused.value.message
    assert refused.value.field == "rule"
    assert "\n" not in refused.value.message


TEN = "[0,1,2,3,4,5,6,7,8,9]"
GROUPS = "current_user.groups"
TOO_LONG = {
    "lists in lists": "".join(f"{TEN}.all({v}, " for v in "abcdef") + "true" + ")" * 6,
    "groups in groups": f"{GROUPS}.all(a, {GROUPS}.all(b, a == b || true))",
    "calls in a list in a list": f"{TEN}.all(a, {TEN}.all(b, {TEN}.all(c, request.at.hour('UTC') >= 0)))",
    "calls for each group": f"{GROUPS}.all(a, " + "request.at.hour('UTC') >= 0 && " * 10 + "true)",
    "groups that are added up": f"({GROUPS} + {GROUPS} + {GROUPS}).all(a, {GROUPS}.exists(b, a == b))",
    "groups that are chosen": f"{GROUPS}.filter(a, a != '').filter(a, a != '').filter(a, a != '').size() > 0",
    "groups in a list": f"[{GROUPS}, {GROUPS}].all(a, a.all(b, {GROUPS}.all(c, b != c || true)))",
    "groups behind a map": "{'a': GROUPS}.a.all(a, GROUPS.all(b, a == b || true))".replace("GROUPS", GROUPS),
    "groups behind dyn": f"dyn({GROUPS}).all(a, dyn({GROUPS}).all(b, a == b || true))",
    "groups of either kind": f"({GROUPS} == [] ? [] : {GROUPS}).all(a, {GROUPS}.all(b, a == b || true))",
    "all that a user has": f"{GROUPS}.all(a, current_user.attributes == current_user.attributes)",
    "texts that grow": f"{GROUPS}.all(a, " + "(" + " + ".join("a" * 14) + ").contains(a + 'x') || true)",
    "maps that are made anew": f"{GROUPS}.all(a, " + "{'a': 1, 'b': 2} == {'b': 2, 'a': 1} && " * 20 + "true)",
}
MANY = CurrentUser("a1", "ana@shop.example", "Ana", tuple(f"group-{n}" for n in range(2_000)))


@pytest.mark.parametrize("rule", TOO_LONG.values(), ids=TOO_LONG)
def test_a_rule_cannot_take_long(rule: str) -> None:
    """It is judged on the way of every fetch: what it may take is known before it is judged anywhere."""
    with pytest.raises(Invalid) as refused:
        checked(rule)
    assert f"{MOST_STEPS:,} are the most" in refused.value.message
    before = failures.count
    assert not person().holds(rule), "nor does one that was kept before"
    assert failures.count == before + 1


@pytest.mark.parametrize(
    "rule",
    [
        f"{GROUPS}.exists(g, g.startsWith('shop-') && g.endsWith('-admins'))",
        f"current_user.attributes.team.exists(t, t in {GROUPS})",
        f"{GROUPS}.exists(g, ['on-call', 'staff'].exists(it, g == it))",
        f"{TEN}.exists(hour, request.at.hour('UTC') == hour + 9) && {GROUPS}.filter(g, g != 'x').size() > 1",
    ],
)
def test_a_rule_may_go_over_what_a_user_has(rule: str) -> None:
    assert checked(rule) == rule


def test_what_takes_longer_for_somebody_with_more_does_not_hold_for_them() -> None:
    rule = checked(f"{GROUPS}.all(g, " + "g != 'a' && g != 'b' && " * 4 + "true)")
    few = replace(MANY, groups=MANY.groups[:100])
    assert person(few).holds(rule)
    assert not person(MANY).holds(rule)
    assert person(MANY).holds("'group-1999' in current_user.groups")


@pytest.mark.parametrize("part", ["Hours", "FullYear", "Date", "DayOfWeek", "Milliseconds"])
def test_a_rule_opens_no_files(part: str) -> None:
    """CEL takes a time zone for the name of a file: a pipe that nobody writes to would hold up the whole server."""
    rule = f"request.at.get{part}('/proc/self/stat') == 1 || true"
    with pytest.raises(Invalid) as refused:
        checked(rule)
    assert f"undeclared reference to 'get{part}'" in refused.value.message
    assert not person().holds(rule), "nor does it if it was kept before"


def test_a_rule_makes_no_messages() -> None:
    with pytest.raises(Invalid, match="no part of a rule"):
        checked("google.protobuf.Struct{} == google.protobuf.Struct{}")


@pytest.mark.parametrize(
    "rule",
    [
        "['a']" + ".map(a, a + a + a + a + a + a + a + a)" * 7 + ".size() > 0",
        "['a']" + ".map(a, a != '', a + a + a + a + a + a + a + a)" * 7 + ".size() > 0",
        "current_user.groups.all(a, a.matches('(x{30}){30}' + a) || true)",
        "matches(current_user.name, '(x{30}){30}')",
    ],
    ids=("map", "map where", "matches", "matches as a function"),
)
def test_a_rule_makes_nothing_large_and_reads_no_patterns(rule: str) -> None:
    """A few hundred characters would take gigabytes, or minutes, of the whole server."""
    with pytest.raises(Invalid) as refused:
        checked(rule)
    assert "undeclared reference" in refused.value.message
    assert not person().holds(rule), "nor does it if it was kept before"
