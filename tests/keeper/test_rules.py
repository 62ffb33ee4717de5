"""Rules: what they can ask, what is refused when a grant is made, and what does not hold."""

from datetime import UTC, datetime, timedelta

import pytest

from service.core.access import CurrentUser
from service.core.errors import Invalid
from service.keeper.rules import LONGEST, Context, checked, failures

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


def test_a_rule_cannot_take_long() -> None:
    """Lists in lists in lists: a million turns, of which only so many are allowed."""
    ten = "[0,1,2,3,4,5,6,7,8,9]"
    before = failures.count
    assert not person().holds(checked("".join(f"{ten}.all({v}, " for v in "abcdef") + "true" + ")" * 6))
    assert failures.count == before + 1


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
