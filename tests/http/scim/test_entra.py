"""What Microsoft Entra ID sends, in the words of its documentation: PATCH with capital letters, flags as texts,
members to be removed as a value, addresses by a filter that finds nothing yet."""

from typing import Any

import pytest

from tests.http.scim.conftest import ENTERPRISE, GROUP, USER, Provider


def test_a_user_lives_as_entra_has_it(provider: Provider) -> None:
    entra = provider.client
    name = "Test_User_00aa00aa-bb11-cc22-dd33-44ee44ee44ee"
    assert provider.found("Users", f'userName eq "{name}"') == []
    body = {
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": name,
        "active": True,
        "addresses": None,
        "emails": [{"primary": True, "type": "work", "value": f"{name}@people.example"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "phoneNumbers": None,
        "preferredLanguage": None,
        "title": None,
        "roles": [],
    }
    made = entra.post("Users", json=body)
    assert made.status_code == 201, made.text
    path = f"Users/{made.json()['id']}"
    assert [it["id"] for it in provider.found("Users", f'externalId eq "{body["externalId"]}"')] == [made.json()["id"]]
    assert [it["id"] for it in provider.found("Users", f'emails[type eq "work"].value eq "{name}@people.example"')]

    operations = [
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updated@people.example"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Finance"},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "+1 555"},
        {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "no-such-user"},
        {"op": "Add", "path": 'emails[type eq "other"].value', "value": "other@people.example"},
    ]
    assert provider.patch(path, *operations).status_code == 204
    told = entra.get(path).json()
    assert [(it["type"], it["value"]) for it in told["emails"]] == [
        ("work", "updated@people.example"),
        ("other", "other@people.example"),
    ]
    assert (told["name"]["familyName"], told[ENTERPRISE]) == ("updatedFamilyName", {"department": "Finance"})
    assert provider.patch(path, {"op": "Replace", "path": "userName", "value": "b@people.example"}).status_code == 204
    assert entra.get(path).json()["userName"] == "b@people.example"
    assert entra.delete(path).status_code == 204
    assert entra.get(path).status_code == 404


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "active", "value": False},
        {"op": "Replace", "value": {"active": "False"}},
        {"op": "replace", "path": f"{USER}:active", "value": False},
    ],
    ids=["text", "flag", "no path", "urn"],
)
def test_a_user_is_disabled_however_it_is_said(provider: Provider, operation: dict[str, Any]) -> None:
    person = provider.person(f"disabled-{len(str(operation))}")
    assert provider.patch(f"Users/{person['id']}", operation).status_code == 204
    assert provider.client.get(f"Users/{person['id']}").json()["active"] is False
    again = {"op": "Replace", "path": "active", "value": "True"}
    assert provider.patch(f"Users/{person['id']}", again).status_code == 204
    assert provider.client.get(f"Users/{person['id']}").json()["active"] is True


def test_a_group_lives_as_entra_has_it(provider: Provider) -> None:
    entra = provider.client
    person = provider.person("entra-member")["id"]
    body = {
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "displayName",
        "meta": {"resourceType": "Group"},
    }
    made = entra.post("Groups", json=body)
    assert made.status_code == 201, made.text
    path = f"Groups/{made.json()['id']}"
    asked = {"excludedAttributes": "members", "filter": 'displayName eq "displayName"'}
    assert [it["id"] for it in entra.get("Groups", params=asked).json()["Resources"]] == [made.json()["id"]]
    value = [{"$ref": None, "value": person}]
    assert provider.patch(path, {"op": "Add", "path": "members", "value": value}).status_code == 204
    assert provider.patch(path, {"op": "Add", "path": "members", "value": value}).status_code == 204  # again: no harm
    assert provider.members(made.json()["id"]) == {person}
    assert "members" not in entra.get(path, params={"excludedAttributes": "members"}).json()
    assert "members" not in entra.get("Groups", params=asked).json()["Resources"][0]
    assert provider.patch(path, {"op": "Remove", "path": "members", "value": value}).status_code == 204
    assert provider.members(made.json()["id"]) == set()
    named = {"op": "Replace", "path": "displayName", "value": "updatedDisplayName"}
    assert provider.patch(path, named).status_code == 204
    assert entra.delete(path).status_code == 204
