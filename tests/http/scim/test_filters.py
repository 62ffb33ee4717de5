"""Filters: every operator of RFC 7644, 3.4.2.2; what is beyond the limits or means harm finds nothing and breaks
nothing."""

import pytest

from tests.http.scim.conftest import ENTERPRISE, ERROR, PATCH, Provider
from tests.rigs.keywright import Keywright, dump

NAMES = ("ana", "ben", "cem")


@pytest.fixture(scope="module", autouse=True)
def people(provider: Provider) -> dict[str, str]:
    """Three, by name their ids."""
    told = {
        "ana": {"title": "Boss", "name": {"familyName": "Adams"}, ENTERPRISE: {"department": "Tours"}},
        "ben": {"title": "50% off", "active": False, "externalId": "X-1"},
        "cem": {"name": {"familyName": "ÖZ"}, "displayName": "O'Brien; DROP TABLE users--"},
    }
    return {name: str(provider.person(name, **more)["id"]) for name, more in told.items()}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ('userName eq "ANA"', "ana"),
        ('userName ne "ana"', "ben cem"),
        ('userName co "e"', "ben cem"),
        ('userName sw "b"', "ben"),
        ('userName ew "m"', "cem"),
        ('userName gt "b"', "ben cem"),
        ('userName ge "ben"', "ben cem"),
        ('userName lt "ben"', "ana"),
        ('userName le "ben"', "ana ben"),
        ("title pr", "ana ben"),
        ('title co "%"', "ben"),
        ('externalId eq "X-1"', "ben"),
        ('externalId eq "x-1"', ""),
        ("active eq false", "ben"),
        ("not (active eq false)", "ana cem"),
        ('name.familyName eq "öz"', "cem"),
        ('emails[type eq "work" and value co "ana@"]', "ana"),
        ('emails.value eq "cem@people.example"', "cem"),
        (f'{ENTERPRISE}:department eq "tours"', "ana"),
        ('title eq "boss" or userName eq "cem"', "ana cem"),
        ('title pr and active eq true and userName sw "a"', "ana"),
        ('title pr and (active eq false or userName eq "cem")', "ben"),
        ('meta.created gt "2000-01-01T00:00:00Z"', "ana ben cem"),
        ('id eq "0"', ""),
        ('displayName eq "O\'Brien; DROP TABLE users--"', "cem"),
        ("userName eq \"ana' OR '1'='1\"", ""),
        ('userName eq "ana\\" or userName pr or \\""', ""),
        ('userName co "_"', ""),
    ],
)
def test_a_filter_finds_what_it_says(provider: Provider, asked: str, found: str) -> None:
    assert sorted(it["userName"] for it in provider.found("Users", asked)) == found.split()
    answer = provider.client.post(
        "Users/.search", json={"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": asked}
    )
    assert sorted(it["userName"] for it in answer.json()["Resources"]) == found.split()


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "userName",
        "userName eq",
        "userName eq ana",
        'userName is "ana"',
        '(userName eq "ana"',
        'userName eq "ana" and',
        "active gt true",
        'emails[type eq "work"',
        'password eq "x"',
        "userName eq \x00",
        "(" * 11 + 'userName eq "ana"' + ")" * 11,
        "not (" * 11 + 'userName eq "ana"' + ")" * 11,
        'userName eq "' + "x" * 1000 + '"',
    ],
)
def test_what_is_no_filter_is_refused(provider: Provider, it: Keywright, asked: str) -> None:
    before = dump(it.service)
    for answer in (
        provider.client.get("Users", params={"filter": asked}),
        provider.client.post("Users/.search", json={"filter": asked}),
    ):
        assert answer.status_code == 400, answer.text
        assert answer.json()["schemas"] == [ERROR]
        assert answer.json()["scimType"] in ("invalidFilter", "invalidSyntax", "invalidValue")
    assert dump(it.service) == before


def test_brackets_within_texts_do_not_count(provider: Provider) -> None:
    assert provider.found("Users", 'userName eq "' + "([" * 100 + '"') == []
    assert provider.found("Users", "(" * 10 + 'userName eq "ana"' + ")" * 10) != []


def test_paths_of_a_patch_have_the_same_limits(provider: Provider, people: dict[str, str]) -> None:
    deep = "emails[" + "(" * 11 + 'type eq "work"' + ")" * 11 + "].value"
    path = f"Users/{people['ana']}"
    for operation in (
        {"op": "replace", "path": deep, "value": "x"},
        {"op": "replace", "value": {deep: "x"}},
        {"op": "remove", "path": "x" * 1001},
    ):
        answer = provider.patch(path, operation)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidPath")
    bulk = {
        "method": "PATCH",
        "path": f"/{path}",
        "data": {"schemas": [PATCH], "Operations": [{"op": "add", "path": deep}]},
    }
    assert provider.client.post("Bulk", json={"Operations": [bulk]}).status_code == 400


def test_users_and_groups_are_searched_together(provider: Provider, people: dict[str, str]) -> None:
    group = provider.group("ana's", people["ana"])
    found = provider.client.get("", params={"filter": 'displayName eq "ana\'s" or userName eq "ana"'}).json()
    assert {it["id"] for it in found["Resources"]} == {group["id"], people["ana"]}


def test_attributes_are_chosen(provider: Provider, people: dict[str, str]) -> None:
    path = f"Users/{people['ana']}"
    assert set(provider.client.get(path, params={"attributes": "title"}).json()) == {"schemas", "id", "title"}
    assert set(provider.client.get(path, params={"attributes": "emails.value"}).json()["emails"][0]) == {"value"}
    left = provider.client.get(path, params={"excludedAttributes": "emails,name,id"}).json()
    assert {"emails", "name"}.isdisjoint(left)
    assert left["id"] == people["ana"]  # returned always
