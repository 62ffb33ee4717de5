"""The conformance suite of scim2-tester, against a running server: every check it has."""

from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

from tests.http.scim.conftest import Provider


def test_every_check_of_the_conformance_suite_passes(provider: Provider) -> None:
    results = check_server(SyncSCIMClient(provider.client))
    wrong = [(it.status.name, it.resource_type, it.title, it.reason) for it in results if it.status != Status.SUCCESS]
    assert wrong == []
    checked = {(it.resource_type, it.title) for it in results}
    assert {kind for kind, _ in checked} == {None, "User", "Group"}
    assert len(results) > 90


def test_what_is_announced_is_what_there_is(provider: Provider) -> None:
    told = provider.client.get("ServiceProviderConfig").json()
    offered = {name: told[name]["supported"] for name in ("patch", "bulk", "filter", "sort", "etag", "changePassword")}
    assert offered == {"patch": True, "bulk": True, "filter": True, "sort": True, "etag": True, "changePassword": False}
    for path in ("ServiceProviderConfig", "ResourceTypes", "Schemas", "Users", "Nothing"):
        assert provider.client.get(path).headers["content-type"] == "application/scim+json"
