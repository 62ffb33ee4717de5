"""Names, references and the rules about them, and templates."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core import names
from service.core.environment import checked_stores
from service.core.errors import Invalid, StoreAbsent, StoreMalformed
from service.core.reference import Reading, Reference, allowed, select
from service.core.secret import Secret
from service.core.variable import (
    DEEPEST,
    ConnectionPart,
    VariablePart,
    fill,
    parse_template,
    refuse_cycle,
    variables_in,
)

SEGMENTS = st.from_regex("[A-Za-z0-9_][A-Za-z0-9._-]{0,8}", fullmatch=True)
PATHS = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


@settings(deadline=None)
@given(PATHS)
def test_names_are_made_of_segments(text: str) -> None:
    assert names.path(text) == text
    assert names.folder(text) + "/" * ("/" in text) + names.last(text) == text
    assert names.within(text, names.folder(text))
    assert not names.within(text, text)


NO_PATHS = ["", "/", "a/", "/a", "a//b", ".", "..", "a/..", ".a", "a/.b", "-a", "a b", "a\n", "\na", "ä", "a\0", "a:b"]


@pytest.mark.parametrize("text", [*NO_PATHS, "x" * 201])
def test_what_is_no_name(text: str) -> None:
    for check in (names.path, names.segment):
        with pytest.raises(Invalid) as refused:
            check(text, "somewhere")
        assert refused.value.field == "somewhere"
    with pytest.raises(Invalid):
        names.segment("a/b")


def test_inside_a_folder() -> None:
    assert names.within("shop/db/PW", "shop")
    assert names.within("shop/db/PW", "shop/db")
    assert names.within("shop", "")
    for outside in ("shopping/x", "shop", "sho/p", "shop-x/y", "Shop/x"):
        assert not names.within(outside, "shop")


# References.

GOOD = {
    "vault:secret/shop/db#password": ("vault", "secret/shop/db", "password"),
    "vault:secret/shop/db": ("vault", "secret/shop/db", None),
    "aws-sm:arn:aws:secretsmanager:eu:1:secret:x#k": ("aws-sm", "arn:aws:secretsmanager:eu:1:secret:x", "k"),
    "env:SHOP_PW": ("env", "SHOP_PW", None),
    "file:/run/secrets/x#/a/b": ("file", "/run/secrets/x", "/a/b"),
    "vault:a#b#c": ("vault", "a", "b#c"),
}


@pytest.mark.parametrize("text", GOOD)
def test_references(text: str) -> None:
    found = Reference.parse(text)
    assert (found.store, found.location, found.key) == GOOD[text]
    assert str(found) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "vault",
        "vault:",
        "vault:#k",
        "vault:a#",
        "VAULT:a",
        "ldap:a",
        "vault:/a",
        "vault:a//b",
        "vault:a/../b",
        "vault:a/./b",
        "vault:..",
        "vault:a/",
        "file:/",
        "file:/a/../b",
        "file:/a//b",
        "vault:a\nb",
        "vault:a\0#k",
        "vault:" + "a" * 1024,
    ],
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        Reference.parse(text, "somewhere")
    assert refused.value.field == "somewhere"


def test_rules_deny_by_default() -> None:
    rules = {"vault": ["secret/shop/*", "secret/one"], "env": ["SHOP_*"], "file": []}
    for within in ("vault:secret/shop/db#x", "vault:secret/one", "env:SHOP_A", "env:SHOP_"):
        assert allowed(Reference.parse(within), rules), within
    outside = ("vault:secret/shopping", "vault:secret/one/x", "vault:secret/one2", "env:SHO", "file:/a", "aws-sm:a")
    for text in (*outside, "vault:secret/shop", "env:OTHER"):
        assert not allowed(Reference.parse(text), rules), text
    assert not allowed(Reference.parse("vault:a"), {})
    assert allowed(Reference.parse("vault:a/*b"), {"vault": ["a/**"]})
    assert not allowed(Reference.parse("vault:a/xb"), {"vault": ["a/*b"]})  # only the last * has a meaning


@pytest.mark.parametrize("rules", [{"ldap": ["*"]}, {"vault": [""]}, {"vault": ["a/../b"]}, {"vault": ["a//*"]}])
def test_rules_that_cannot_be_meant(rules: dict[str, list[str]]) -> None:
    with pytest.raises(Invalid):
        checked_stores(rules)


HELD = {"pw": "x", "n": 5, "o": {"a/b": {"~": [1, True]}}, "": "empty", "null": None}


@pytest.mark.parametrize(
    ("key", "expected"),
    [("pw", "x"), ("n", "5"), ("/o/a~1b/~0", "[1,true]"), ("/pw", "x"), ("/", "empty"), ("null", "null")],
)
def test_selecting(key: str, expected: str) -> None:
    assert select(Reading(Secret(json.dumps(HELD)), "1"), Reference("vault", "a", key)).reveal() == expected


@pytest.mark.parametrize("key", ["none", "/o/none", "/none/x", "o/a~1b"])
def test_selecting_what_is_not_there(key: str) -> None:
    with pytest.raises(StoreAbsent):
        select(Reading(Secret(json.dumps(HELD)), "1"), Reference("vault", "a", key))


@pytest.mark.parametrize(
    ("text", "key"), [("secret-text", "k"), ("[1]", "k"), ('"x"', "k"), ('{"a":"secret-text"}', "/a/b")]
)
def test_selecting_in_what_has_no_keys(text: str, key: str) -> None:
    with pytest.raises(StoreMalformed) as refused:
        select(Reading(Secret(text), "1"), Reference("vault", "a", key))
    assert "secret-text" not in refused.value.message
    assert select(Reading(Secret(text), "1"), Reference("vault", "a")).reveal() == text


# Templates.


def test_a_templates_parts() -> None:
    parts = parse_template("a ${shop/db/HOST}$${x}${connection:shop/db#url}$")
    assert [part for part in parts if part] == [
        "a ",
        VariablePart("shop/db/HOST"),
        "${",
        "x}",
        ConnectionPart("shop/db", "url"),
        "$",
    ]
    assert variables_in(parts) == ("shop/db/HOST",)


@settings(deadline=None)
@given(st.text(st.sampled_from("$${}a")))
def test_escaped_any_text_stands_for_itself(text: str) -> None:
    assert fill(parse_template(text.replace("${", "$${")), {}) == text


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(st.characters(exclude_characters="$")), PATHS), max_size=3))
def test_every_placeholder_is_filled_and_what_fills_is_not_read_again(given_parts: list[tuple[str, str]]) -> None:
    text = "".join(f"{plain}${{{name}}}" for plain, name in given_parts)
    parts = parse_template(text)
    filled = fill(parts, {part: "${x}" for part in parts if not isinstance(part, str)})
    assert filled == "".join(f"{plain}${{x}}" for plain, _ in given_parts)


@pytest.mark.parametrize(
    "text",
    [
        "${",
        "a ${b",
        "${}",
        "${a b}",
        "${../x}",
        "${connection:a}",
        "${connection:a#}",
        "${connection:a#secret}",
        "${connection:#url}",
        "${a${b}}",
        "${CONNECTION:a#url}",
    ],
)
def test_what_is_no_template(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_template(text, "somewhere")
    assert refused.value.field == "somewhere"


def test_circles_are_named() -> None:
    uses = {"a": ("b",), "b": ("c", "d"), "d": ("b",)}
    with pytest.raises(Invalid, match="b → d → b"):
        refuse_cycle("a", lambda name: uses.get(name, ()))
    with pytest.raises(Invalid, match="a → a"):
        refuse_cycle("a", lambda name: ("a",))


def test_a_diamond_is_no_circle_and_depth_has_a_limit() -> None:
    diamond = {"a": ("b", "c"), "b": ("d",), "c": ("d",)}
    refuse_cycle("a", lambda name: diamond.get(name, ()))

    def tower(name: str) -> tuple[str, ...]:
        return (str(int(name) - 1),) if int(name) else ()

    refuse_cycle(str(DEEPEST), tower)
    with pytest.raises(Invalid, match="more than"):
        refuse_cycle(str(DEEPEST + 1), tower)


def test_a_wide_lattice_is_walked_once() -> None:
    looked = 0

    def uses(name: str) -> tuple[str, ...]:
        nonlocal looked
        looked += 1
        level = int(name[1:])
        return (f"a{level - 1}", f"b{level - 1}") if level else ()

    refuse_cycle(f"a{DEEPEST}", uses)
    assert looked <= 2 * DEEPEST + 2
