"""ETags (RFC 7644, 3.14): what somebody else changed meanwhile is not overwritten, what is known is not sent again."""

from concurrent.futures import ThreadPoolExecutor

from tests.http.scim.conftest import USER, Provider


def test_a_version_that_is_not_the_present_one_changes_nothing(provider: Provider) -> None:
    person = provider.person("versions")
    path, first = f"Users/{person['id']}", person["meta"]["version"]
    title = {"op": "replace", "path": "title", "value": "one"}
    changed = provider.patch(path, title, **{"If-Match": first})
    second = changed.headers["etag"]
    assert (changed.status_code, second != first) == (204, True)
    assert provider.client.get(path).headers["etag"] == second
    late = {"If-Match": first}
    body = {"schemas": [USER], "userName": "versions"}
    for answer in (
        provider.patch(path, {"op": "replace", "path": "title", "value": "two"}, **late),
        provider.client.put(path, json=body, headers=late),
        provider.client.delete(path, headers=late),
        provider.patch(path, title, **{"If-None-Match": second}),
    ):
        assert (answer.status_code, answer.json()["status"]) == (412, "412")
    assert provider.client.get(path).json()["title"] == "one"
    assert provider.patch(path, title, **{"If-Match": "*"}).headers["etag"] == second  # nothing to change
    assert provider.client.delete(path, headers={"If-Match": f'"x", {second}'}).status_code == 204


def test_what_is_known_is_not_sent_again(provider: Provider) -> None:
    person = provider.person("known")
    path = f"Users/{person['id']}"
    same = provider.client.get(path, headers={"If-None-Match": person["meta"]["version"]})
    assert (same.status_code, same.content) == (304, b"")
    group = provider.group("of known", person["id"])
    news = provider.client.get(path, headers={"If-None-Match": person["meta"]["version"]})
    assert (news.status_code, news.json()["groups"][0]["value"]) == (200, group["id"])
    assert provider.client.delete(path).status_code == 204
    left = provider.client.get(f"Groups/{group['id']}", headers={"If-None-Match": group["meta"]["version"]})
    assert (left.status_code, left.json().get("members")) == (200, None)


def test_members_that_come_at_once_all_come(provider: Provider) -> None:
    group = provider.group("crowd")
    ids = [str(provider.person(f"crowd-{number}")["id"]) for number in range(6)]

    def add(each: str) -> int:
        operation = {"op": "add", "path": "members", "value": [{"value": each}]}
        return provider.patch(f"Groups/{group['id']}", operation).status_code

    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(add, ids)) == {204}
    assert provider.members(group["id"]) == set(ids)
