"""The door over a ledger in PostgreSQL: odd texts meet a stricter engine, and changes come from other processes."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.listens import listens
from tests.rigs.postgresql import PostgresServer

PLACE = "/environments/production"


@pytest.fixture(scope="module")
def ledger_url(new_postgresql: PostgresServer) -> Iterator[str]:
    new_postgresql.execute("CREATE DATABASE door_ledger")
    server = new_postgresql
    yield f"postgresql://postgres:{server.password}@{server.host}:{server.port}/door_ledger"
    new_postgresql.execute("DROP DATABASE door_ledger WITH (FORCE)")


@pytest.fixture(scope="module")
def replicas(ledger_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Keywright, Keywright]]:
    data = tmp_path_factory.mktemp("replicas")
    data.chmod(0o700)
    with (
        running_keywright(ledger_url=ledger_url, data=data) as one,
        running_keywright(ledger_url=ledger_url, data=data, owner=one.owner) as other,
    ):
        assert one.client().post("/environments", json={"name": "production"}).status_code == 201
        yield one, other


def test_odd_texts_are_answered(replicas: tuple[Keywright, Keywright]) -> None:
    client = replicas[0].client()
    for value in ("a\0b", {"a\0": ["\0"]}, "\uffff\U0010ffff"):
        assert client.put(f"{PLACE}/variables/odd", json={"value": value}).status_code in (200, 201)
        assert client.get(f"{PLACE}/values/odd").json()["value"] == value
    for query, status in (
        ("actor=a%00", 422),
        ("resource=%F4%8F%BF%BF", 200),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5", 200),
        ("cursor=OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5", 422),
        ("since=0001-01-01T00:00:00%2B23:00&until=9999-12-31T23:59:60Z", 200),
        ("since=2026-02-30T00:00:00Z", 422),
    ):
        assert client.get(f"/events?{query}").status_code == status, query
    assert client.get(f"{PLACE}/variables?cursor=AGE").status_code == 422


def test_waiting_ends_with_a_change_through_another_replica(replicas: tuple[Keywright, Keywright]) -> None:
    one, other = replicas
    one.client().put(f"{PLACE}/variables/A", json={"value": "one"})
    tag = one.client().get(f"{PLACE}/values/A").headers["etag"]
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(one.client().get, f"{PLACE}/values/A", params={"wait": 50}, headers={"If-None-Match": tag})
        assert other.client().put(f"{PLACE}/variables/A", json={"value": "two"}).status_code == 200
        assert answer.result(30).json()["value"] == "two"


def test_a_token_that_one_replica_revokes_is_refused_by_the_other(replicas: tuple[Keywright, Keywright]) -> None:
    one, other = replicas
    text = one.token("brief", {"level": "use", "kind": "everything"})
    token_id = other.client(text).get("/me").json()["id"]
    assert one.client().delete(f"/tokens/{token_id}").status_code == 204
    assert other.client(text).get("/me").status_code == 401


def test_many_at_once_over_two_replicas(replicas: tuple[Keywright, Keywright]) -> None:
    clients = [it.client() for it in replicas]

    def one(number: int) -> int:
        client = clients[number % 2]
        if number % 4 < 2:
            return client.get(f"{PLACE}/values?folder=").status_code
        return client.put(f"{PLACE}/variables/many/V{number % 8}", json={"value": str(number)}).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(one, range(120))) <= {200, 201}
    assert clients[0].get("/events/verify").json()["whole"] is True


def test_a_stream_hears_of_what_other_replicas_change(replicas: tuple[Keywright, Keywright]) -> None:
    one, other = replicas
    text = one.token("listener", {"level": "use", "kind": "everything"})
    with listens(one.client(text), environment="production") as heard:
        for number in range(20):
            answer = replicas[number % 2].client().put(f"{PLACE}/variables/heard/V{number}", json={"value": "x"})
            assert answer.status_code == 201
        heard.wait(lambda: len(heard.heard) >= 20)
        assert [signal["resource"] for signal in heard.heard] == [f"heard/V{number}" for number in range(20)]
        with listens(other.client(text), heard.last) as resumed:  # what one replica gave is known to the other
            assert other.client().delete(f"{PLACE}/variables/heard/V0").status_code == 204
            resumed.wait(lambda: resumed.kinds == ["variable.delete"])
        token_id = other.client(text).get("/me").json()["id"]
        assert other.client().delete(f"/tokens/{token_id}").status_code == 204
        assert heard.ended.wait(60)
