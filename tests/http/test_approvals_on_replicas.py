"""Approvals on two replicas over PostgreSQL: what is agreed to at one is applied at either, and once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.http.test_approvals import decide, slug
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.postgresql import PostgresServer
from tests.rigs.signed_in import Person, signed_in

PLACE = "/environments/production"
VALUE = f"{PLACE}/variables/shop/PASSWORD"
ASKS = {"Keywright-Approval": "ask", "Keywright-Reason": "twice"}
OWN = ("own", "environment", "production")


@pytest.fixture(scope="module")
def replicas(
    new_postgresql: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Keywright, Keywright]]:
    server = new_postgresql
    server.execute("CREATE DATABASE approvals_ledger")
    url = f"postgresql://postgres:{server.password}@{server.host}:{server.port}/approvals_ledger"
    data = tmp_path_factory.mktemp("replicas")
    data.chmod(0o700)
    with (
        running_keywright(ledger_url=url, data=data) as one,
        running_keywright(ledger_url=url, data=data, owner=one.owner) as other,
    ):
        owner = one.client()
        assert owner.post("/environments", json={"name": "production"}).status_code == 201
        assert owner.put(VALUE, json={"value": "first"}).status_code == 201
        areas = {"variables": True, "reveals": True}
        assert owner.patch(PLACE, json={"approvals": areas}).status_code == 200
        yield one, other
    server.execute("DROP DATABASE approvals_ledger WITH (FORCE)")


@pytest.fixture(scope="module")
def alice(replicas: tuple[Keywright, Keywright]) -> Person:
    return signed_in(replicas[0], "alice@example.test", OWN)


@pytest.fixture(scope="module")
def bob(replicas: tuple[Keywright, Keywright]) -> Person:
    return signed_in(replicas[1], "bob@example.test", OWN)


def asked(alice: Person, method: str, path: str, **more: object) -> str:
    answer = alice.client.request(method, path, headers=ASKS, **more)  # type: ignore[arg-type]
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def at_once(approval: str, clients: list[httpx2.Client]) -> list[httpx2.Response]:
    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(lambda client: client.post(f"/approvals/{approval}/apply"), clients))


def test_of_two_who_apply_at_once_one_does(replicas: tuple[Keywright, Keywright], alice: Person, bob: Person) -> None:
    clients = [alice.client, alice.elsewhere(replicas[1])]
    for number in range(5):
        approval = asked(alice, "PUT", VALUE, json={"value": f"v{number}"})
        assert decide(bob, approval).status_code == 200
        live = alice.client.get(VALUE).json()["live"]
        answers = at_once(approval, clients * 2)
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
        assert alice.client.get(VALUE).json()["live"] == live + 1
        assert alice.client.get(f"/approvals/{approval}").json()["state"] == "applied"


def test_a_reveal_is_told_once_wherever_it_is_asked(
    replicas: tuple[Keywright, Keywright], alice: Person, bob: Person
) -> None:
    clients = [alice.client, alice.elsewhere(replicas[1])]
    for _ in range(5):
        approval = asked(alice, "GET", f"{PLACE}/values/shop/PASSWORD")
        assert decide(bob, approval).status_code == 200
        answers = at_once(approval, clients * 2)
        assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


def test_who_waits_at_one_hears_of_a_decision_at_the_other(alice: Person, bob: Person) -> None:
    approval = asked(alice, "PUT", VALUE, json={"value": "waited for"})
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(alice.client.get, f"/approvals/{approval}", params={"wait": 50})
        assert decide(bob, approval, "refuse").status_code == 200
        assert answer.result(60).json()["state"] == "refused"


def test_break_glass_at_one_holds_at_the_other_and_so_does_its_end(
    replicas: tuple[Keywright, Keywright], alice: Person
) -> None:
    there = alice.elsewhere(replicas[1])
    assert slug(there.get(f"{PLACE}/values/shop/PASSWORD")) == (403, "approval-needed")
    taken = alice.client.post(f"{PLACE}/break-glass", json={"reason": "down", "minutes": 5})
    assert taken.status_code == 201, taken.text
    assert there.get(f"{PLACE}/values/shop/PASSWORD").status_code == 200
    assert alice.client.delete(f"/break-glass/{taken.json()['id']}").status_code == 200
    assert slug(there.get(f"{PLACE}/values/shop/PASSWORD")) == (403, "approval-needed")
