"""Two replicas on PostgreSQL: whom one of them is told to disable or remove, no other lets in, at the next request."""

from collections.abc import Iterator

import pytest

from tests.http.scim.conftest import Provider, own_token, scim_client, session, token
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.postgresql import PostgresServer

INACTIVE = {"op": "replace", "path": "active", "value": False}


@pytest.fixture(scope="module")
def replicas(
    new_postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Keywright, Keywright]]:
    server = new_postgresql
    server.execute("CREATE DATABASE scim_ledger")
    url = f"postgresql://postgres:{server.password}@{server.host}:{server.port}/scim_ledger"
    data = tmp_path_factory.mktemp("replicas")
    data.chmod(0o700)
    with (
        running_keywright(ledger_url=url, data=data) as one,
        running_keywright(ledger_url=url, data=data, owner=one.owner) as other,
    ):
        yield one, other
    server.execute("DROP DATABASE scim_ledger WITH (FORCE)")


@pytest.mark.parametrize("ended", ["disabled", "removed"])
def test_who_is_ended_by_one_replica_is_refused_by_the_other(replicas: tuple[Keywright, Keywright], ended: str) -> None:
    one, other = replicas
    provider = Provider(scim_client(one, token(one, f"directory-{ended}", ("own", "people"))))
    person = provider.person(f"replicated-{ended}")["id"]
    texts = session(one, person), own_token(one, person)
    clients = [it.client(text) for it in replicas for text in texts]
    assert [client.get("/me").status_code for client in clients] == [200] * 4
    if ended == "disabled":
        assert provider.patch(f"Users/{person}", INACTIVE).status_code == 204
    else:
        assert provider.client.delete(f"Users/{person}").status_code == 204
    assert [client.get("/me").status_code for client in reversed(clients)] == [401] * 4
    seen = scim_client(other, token(other, f"reader-{ended}", ("own", "people"))).get(f"Users/{person}")
    assert seen.status_code == (200 if ended == "disabled" else 404)


def test_the_ledger_finds_on_postgresql_what_it_finds_on_sqlite(replicas: tuple[Keywright, Keywright]) -> None:
    provider = Provider(scim_client(replicas[0], token(replicas[0], "finder", ("own", "people"))))
    person = provider.person("Aerger", displayName="Ä", externalId="E-1")["id"]
    group = provider.group("Ärger Gruppe", person)["id"]
    for asked in ('userName eq "AERGER"', 'externalId eq "E-1"', 'displayName eq "ä"', 'emails co "rger@"'):
        assert [it["id"] for it in provider.found("Users", asked)] == [person], asked
    for asked in ('displayName eq "ÄRGER gruppe"', f'members eq "{person}"', 'displayName sw "ärger"'):
        assert [it["id"] for it in provider.found("Groups", asked)] == [group], asked
    later = provider.person("later")["id"]
    total = provider.client.get("Users", params={"count": 0}).json()["totalResults"]
    pages = [
        provider.client.get("Users", params={"startIndex": total - 1 + each, "count": 1}).json() for each in (0, 1)
    ]
    assert [page["Resources"][0]["id"] for page in pages] == [person, later]
