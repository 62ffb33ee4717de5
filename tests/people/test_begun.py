"""Sign-ins that are begun and never gone on with: whoever begins many keeps nobody else from signing in."""

from collections.abc import Callable, Iterator

import httpx2
import pytest

from service.core.saml import Place
from service.keeper import pendings
from tests.rigs.asserting import Asserting, pair
from tests.rigs.hostile_provider import CLIENT, HostileProvider, running_hostile_provider
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.ports import free_port

ONE, OTHER = "192.0.2.1", "198.51.100.1"


@pytest.fixture(scope="module")
def server() -> Iterator[HostileProvider]:
    with running_hostile_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def it(server: HostileProvider) -> Iterator[Keywright]:
    """Behind a proxy that is trusted."""
    port = free_port()
    with running_keywright(port=port, url=f"http://127.0.0.1:{port}", trusted_proxies="127.0.0.0/8") as served:
        liar = Asserting(Place(f"{served.url}/sign-in/saml/liar"), "https://liar.test/saml", pair("liar"))
        told = {"entity_id": liar.entity_id, "sso_url": liar.sso_url, "certificates": [liar.pair.certificate]}
        for name, definition in {
            "main": {"kind": "oidc", "issuer": f"{server.url}/main", "client_id": CLIENT, "ca": server.ca},
            "liar": {"kind": "saml", **told},
        }.items():
            body = {"name": name, "secret": "s3cret" if name == "main" else "", "definition": definition}
            made = served.client().post("/identity-providers", json=body)
            assert made.status_code == 201, made.text
        yield served


Begin = Callable[[httpx2.Client, str], httpx2.Response]
BEGINNINGS: dict[str, Begin] = {
    "oidc": lambda client, url: client.get(f"{url}/sign-in/oidc/main"),
    "saml": lambda client, url: client.get(f"{url}/sign-in/saml/liar"),
    "device": lambda client, url: client.post(f"{url}/oauth/device-authorization", data={"client_id": "keywright"}),
}


@pytest.mark.parametrize("begin", BEGINNINGS.values(), ids=BEGINNINGS)
def test_one_address_begins_so_many(it: Keywright, monkeypatch: pytest.MonkeyPatch, begin: Begin) -> None:
    monkeypatch.setattr(pendings, "MOST_BEGUN", 3)
    with httpx2.Client(timeout=60, trust_env=False) as client:
        said = []
        for address in (ONE, ONE, f"{OTHER}, {ONE}", ONE, OTHER):
            client.headers["X-Forwarded-For"] = address
            said.append(begin(client, it.url))
    assert [answer.status_code < 400 for answer in said] == [True, True, True, False, True], [it.text for it in said]
    assert said[3].status_code == 429
    assert 500 < int(said[3].headers["retry-after"]) <= 600
    assert "from your address" in said[3].text
