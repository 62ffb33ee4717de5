"""What Okta sends, in the order and the words of its reference (SCIM 2.0 protocol reference): users by PUT, groups
by push."""

from typing import Any

from tests.http.scim.conftest import GROUP, USER, Provider

PROFILE: dict[str, Any] = {
    "schemas": [USER],
    "userName": "test.user@okta.example",
    "name": {"givenName": "Test", "familyName": "User"},
    "emails": [{"primary": True, "value": "test.user@okta.example", "type": "work"}],
    "displayName": "Test User",
    "locale": "en-US",
    "externalId": "00ujl29u0le5T6Aj10h7",
    "groups": [],
    "password": "1mz050nq",
    "active": True,
}
LOOKUP = {"filter": 'userName eq "test.user@okta.example"', "startIndex": "1", "count": "100"}


def test_a_user_is_looked_for_made_changed_and_ended(provider: Provider) -> None:
    okta = provider.client
    assert okta.get("Users", params={"startIndex": 1, "count": 2}).status_code == 200
    assert okta.get("Groups", params={"startIndex": 1, "count": 100}).status_code == 200
    nobody = okta.get("Users", params=LOOKUP).json()
    assert (nobody["totalResults"], nobody["startIndex"], nobody["itemsPerPage"]) == (0, 1, 0)

    made = okta.post("Users", json=PROFILE)
    assert made.status_code == 201
    assert made.headers["location"] == made.json()["meta"]["location"] == f"{okta.base_url}Users/{made.json()['id']}"
    assert "1mz050nq" not in made.text
    told = {name: made.json()[name] for name in PROFILE if name not in ("groups", "password")}
    assert told == {name: value for name, value in PROFILE.items() if name not in ("groups", "password")}
    again = okta.post("Users", json=PROFILE)
    assert (again.status_code, again.json()["scimType"], again.json()["status"]) == (409, "uniqueness", "409")
    assert [it["id"] for it in okta.get("Users", params=LOOKUP).json()["Resources"]] == [made.json()["id"]]

    path = f"Users/{made.json()['id']}"
    whole = okta.get(path).json()
    whole["name"] = {"givenName": "Another", "middleName": "Excited", "familyName": "User"}
    put = okta.put(path, json=whole | {"groups": []})
    assert put.status_code == 200
    assert put.json()["name"] == whole["name"]
    assert put.json()["externalId"] == PROFILE["externalId"]

    assert provider.patch(path, {"op": "replace", "value": {"active": False}}).status_code == 204
    assert okta.get(path).json()["active"] is False
    assert okta.put(path, json=whole | {"active": True}).json()["active"] is True


def test_a_group_is_pushed_renamed_filled_and_taken_away(provider: Provider) -> None:
    okta = provider.client
    one, other = (provider.person(name)["id"] for name in ("okta-one", "okta-other"))
    made = okta.post("Groups", json={"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []})
    assert made.status_code == 201
    group_id = made.json()["id"]
    path = f"Groups/{group_id}"
    renamed = {"op": "replace", "value": {"id": group_id, "displayName": "Test SCIMv20"}}
    assert provider.patch(path, renamed).status_code == 204
    assert okta.get(path).json()["displayName"] == "Test SCIMv20"

    in_it = {"op": "add", "path": "members", "value": [{"value": one, "display": "test.user@okta.example"}]}
    # Somebody who is not in it: nothing to do, and no error (RFC 7644, 3.5.2.2).
    out = {"op": "remove", "path": f'members[value eq "{other}"]'}
    assert provider.patch(path, out, in_it).status_code == 204
    assert provider.members(group_id) == {one}
    everybody = [{"value": each, "display": "test.user@okta.example"} for each in (one, other)]
    assert provider.patch(path, {"op": "replace", "path": "members", "value": everybody}).status_code == 204
    assert provider.members(group_id) == {one, other}
    assert provider.patch(path, {"op": "remove", "path": f'members[value eq "{one}"]'}).status_code == 204
    assert provider.members(group_id) == {other}
    put = okta.put(path, json={"schemas": [GROUP], "displayName": "Test SCIMv2", "members": everybody[:1]})
    assert put.status_code == 200
    assert provider.members(group_id) == {one}
    assert [each["display"] for each in okta.get(f"Users/{one}").json()["groups"]] == ["Test SCIMv2"]
    assert okta.delete(path).status_code == 204
    assert okta.get(path).status_code == 404
    assert "groups" not in okta.get(f"Users/{one}").json()
