"""Bulk requests (RFC 7644, 3.7): many operations in one, which may name what others of them make."""

from typing import Any

from tests.http.scim.conftest import BULK, GROUP, PATCH, USER, Provider

MOST = 200


def bulk(provider: Provider, *operations: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    answer = provider.client.post("Bulk", json={"schemas": [BULK], "Operations": list(operations)} | more)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["Operations"])


def new_user(name: str, **more: Any) -> dict[str, Any]:
    return {"method": "POST", "path": "/Users", "bulkId": name, "data": {"schemas": [USER], "userName": name} | more}


def test_operations_name_what_others_make(provider: Provider) -> None:
    members = [{"type": "User", "value": "bulkId:bulk-one"}, {"type": "Group", "value": "bulkId:inner"}]
    outer = {"schemas": [GROUP], "displayName": "Outer", "members": members}
    inner = {"schemas": [GROUP], "displayName": "Inner", "members": [{"value": "bulkId:bulk-two"}]}
    done = bulk(
        provider,
        {"method": "POST", "path": "/Groups", "bulkId": "outer", "data": outer},
        {"method": "POST", "path": "/Groups", "bulkId": "inner", "data": inner},
        new_user("bulk-one"),
        new_user("bulk-two"),
    )
    assert [it["status"] for it in done] == ["201"] * 4
    ids = {it["bulkId"]: it["location"].rpartition("/")[2] for it in done}
    assert provider.members(ids["outer"]) == {ids["bulk-one"], ids["inner"]}
    assert provider.members(ids["inner"]) == {ids["bulk-two"]}


def test_each_operation_has_an_end_of_its_own(provider: Provider) -> None:
    person = provider.person("bulk-there")
    path = f"/Users/{person['id']}"
    patch = {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    done = bulk(
        provider,
        new_user("bulk-there"),
        {"method": "PATCH", "path": path, "version": 'W/"old"', "data": patch},
        {"method": "PATCH", "path": path, "version": person["meta"]["version"], "data": patch},
        {"method": "DELETE", "path": "/Users/nobody"},
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {"schemas": [GROUP], "members": []}},
        {"method": "DELETE", "path": path},
    )
    assert [it["status"] for it in done] == ["409", "412", "200", "404", "400", "204"]
    assert done[0]["response"]["scimType"] == "uniqueness"
    taken = new_user("bulk-new") | {"bulkId": "again"}
    stopped = bulk(provider, new_user("bulk-new"), taken, new_user("bulk-never"), failOnErrors=1)
    assert [it["status"] for it in stopped] == ["201", "409"]
    assert provider.found("Users", 'userName eq "bulk-never"') == []


def test_circles_of_groups_are_refused(provider: Provider) -> None:
    one = provider.group("circle one")["id"]
    other = provider.group("circle other", one)["id"]
    for inside, outside in ((one, one), (other, one)):
        answer = provider.patch(
            f"Groups/{outside}", {"op": "add", "path": "members", "value": [{"value": inside, "type": "Group"}]}
        )
        assert answer.status_code in (400, 409), answer.text
    assert provider.members(one) == set()


def test_there_is_an_end_of_it(provider: Provider) -> None:
    many = [new_user(f"many-{number}") for number in range(MOST + 1)]
    answer = provider.client.post("Bulk", json={"schemas": [BULK], "Operations": many})
    assert answer.status_code == 413
    assert provider.found("Users", 'userName sw "many-"') == []
    large = provider.client.post("Users", json={"schemas": [USER], "userName": "large", "title": "x" * 300_000})
    assert (large.status_code, large.json()["status"]) == (413, "413")
    assert large.headers["content-type"] == "application/scim+json"
