"""A store that does not answer must not hold up who reads another, or nothing outside at all."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from service.keeper.crews import QUEUE, THREADS
from tests.rigs.fake_store import FakeStore, SlowStore
from tests.rigs.keywright import Keywright, running_keywright
from tests.rigs.ports import silent_port

MANY = 60
"""More than the server has threads to share."""
PLACE = "/environments/production"
VALUES = f"{PLACE}/values"


def furnish(it: Keywright, *references: str) -> httpx2.Client:
    """An environment with a literal `shop/L`, and a variable for each reference, named by its location."""
    owner = it.client()
    rules = {store: ["*"] for store in ("vault", "file")}
    owner.post("/environments", json={"name": "production", "stores": rules}).raise_for_status()
    owner.put(f"{PLACE}/variables/shop/L", json={"value": "here"}).raise_for_status()
    for reference in references:
        name = reference.rpartition("/")[2].replace(":", "/")
        owner.put(f"{PLACE}/variables/{name}", json={"reference": reference}).raise_for_status()
    return owner


@contextmanager
def asking(it: Keywright, names: list[str], timeout: float = 90) -> Iterator[list[Future[httpx2.Response]]]:
    """Each of these is asked for by a client of its own, at the same time."""

    def fetch(name: str) -> httpx2.Response:
        with httpx2.Client(headers={"Authorization": f"Bearer {it.owner}"}, timeout=timeout, trust_env=False) as own:
            return own.get(f"{it.url}/api/v1{VALUES}/{name}")

    with ThreadPoolExecutor(len(names)) as pool:
        yield [pool.submit(fetch, name) for name in names]


def test_fetches_of_others_are_answered_while_a_store_hangs() -> None:
    slow, other = SlowStore(), FakeStore()
    other.put("x", "elsewhere")
    hanging = [f"vault:h{number}" for number in range(MANY)]
    with running_keywright(stores={"vault": slow, "file": other}, store_timeout=60) as it:
        owner = furnish(it, "file:x", *hanging)
        with asking(it, [name.replace(":", "/") for name in hanging]) as asked:
            try:
                for _ in range(THREADS):
                    assert slow.asked.acquire(timeout=30)
                for _ in range(3):
                    assert owner.get(f"{VALUES}/shop/L").json()["value"] == "here"
                    found = owner.get(VALUES, params={"names": "shop/L,file/x"})
                    assert [value["value"] for value in found.json()["values"]] == ["here", "elsewhere"]
                    assert owner.get("/environments").status_code == 200  # the threads that are shared are free
                assert not any(future.done() for future in asked)
            finally:
                slow.go.set()
            assert {future.result().status_code for future in asked} == {424}  # it holds nothing of them


def test_what_a_store_cannot_take_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowStore()
    names = [f"h{number}" for number in range(THREADS + 2)]
    monkeypatch.setattr("service.keeper.references.Crew", lambda name: _small(name))
    with running_keywright(stores={"vault": slow}, store_timeout=60) as it:
        owner = furnish(it, *(f"vault:{name}" for name in names), "vault:more")
        with asking(it, [f"vault/{name}" for name in names]) as asked:
            try:
                refused = next(iter(wait(asked, 30, "FIRST_COMPLETED").done)).result()
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
                assert refused.json()["type"] == "urn:keywright:problem:store-busy"
                assert owner.get(f"{VALUES}/vault/more").status_code == 503
                assert owner.get(f"{VALUES}/shop/L").status_code == 200
            finally:
                slow.go.set()


def _small(name: str) -> object:
    from service.keeper.crews import Crew

    return Crew(name, THREADS, 1)


def test_clients_that_went_away_leave_nothing_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.wire.GONE_AFTER", 0)
    slow = SlowStore()
    names = [f"h{number}" for number in range(THREADS + 10)]
    with running_keywright(stores={"vault": slow}, store_timeout=60) as it:
        furnish(it, *(f"vault:{name}" for name in names))
        flights = it.service.keeper.references._flights
        with asking(it, [f"vault/{name}" for name in names], timeout=2) as asked:
            for _ in range(THREADS):
                assert slow.asked.acquire(timeout=30)
        assert all(isinstance(future.exception(), httpx2.TimeoutException) for future in asked)
        while len(flights) > THREADS:  # what was begun cannot be taken back
            threading.Event().wait(0.01)
        assert not any(flight.looks for flight in flights.values())
        slow.go.set()
        while flights:
            threading.Event().wait(0.01)
        assert slow.reads == THREADS
        assert len(names) < QUEUE


def test_a_vault_that_takes_connections_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("elsewhere")
    stop = threading.Event()
    with silent_port() as port:
        address = {"vault_addr": f"http://127.0.0.1:{port}", "vault_token": "not-a-token"}
        with running_keywright(**address, file_roots=(str(tmp_path),), store_timeout=1) as it:
            hanging = [f"vault:secret/h{number}" for number in range(MANY)]
            owner = furnish(it, f"file:{tmp_path}/x", *hanging)
            owner.put(f"{PLACE}/variables/file/x", json={"reference": f"file:{tmp_path}/x"}).raise_for_status()
            answers: list[tuple[int, str]] = []

            def ask(number: int) -> None:
                with it_client(it) as own:
                    while not stop.is_set():
                        answer = own.get(f"{it.url}/api/v1{VALUES}/h{number}")
                        answers.append((answer.status_code, answer.json()["type"].rpartition(":")[2]))

            with ThreadPoolExecutor(MANY) as pool:
                asked = [pool.submit(ask, number) for number in range(MANY)]
                try:
                    for _ in range(5):
                        assert owner.get(f"{VALUES}/shop/L").json()["value"] == "here"
                        assert owner.get(f"{VALUES}/file/x").json()["value"] == "elsewhere"
                    assert it.service.keeper.references._flights  # they hang still
                finally:
                    stop.set()
                for future in asked:
                    future.result()
            assert set(answers) <= {(504, "store-unreachable"), (503, "store-busy")}
            assert (504, "store-unreachable") in answers


def it_client(it: Keywright) -> httpx2.Client:
    """One more client of the owner's."""
    return httpx2.Client(headers={"Authorization": f"Bearer {it.owner}"}, timeout=90, trust_env=False)


def test_what_is_stale_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.keeper.references.FRESH", 0.0)
    store = FakeStore()
    store.put("x", "one")
    with running_keywright(stores={"vault": store}) as it:
        owner = furnish(it, "vault:x")
        chosen = owner.patch(PLACE, json={"stale_if_error": 600})
        assert (chosen.status_code, chosen.json()["stale_if_error"]) == (200, 600)
        fresh = owner.get(f"{VALUES}/vault/x").json()
        store.down = True
        stale = owner.get(f"{VALUES}/vault/x").json()
        assert (fresh["value"], fresh["stale"], stale["value"], stale["stale"]) == ("one", False, "one", True)
        assert stale["age"] >= fresh["age"]
        assert owner.patch(PLACE, json={"stale_if_error": 3601}).status_code == 422
        assert owner.patch(PLACE, json={"stale_if_error": 0}).json()["stale_if_error"] == 0
        assert owner.get(f"{VALUES}/vault/x").status_code == 504


def test_a_wait_ends_with_another_look_at_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.keeper.references.FRESH", 0.0)
    store = FakeStore()
    store.put("x", "one")
    with running_keywright(stores={"vault": store}) as it, ThreadPoolExecutor(1) as pool:
        owner, waiter = furnish(it, "vault:x"), it.client()
        known = {"If-None-Match": owner.get(f"{VALUES}/vault/x").headers["etag"]}
        reads = store.reads
        answer = pool.submit(waiter.get, f"{VALUES}/vault/x", params={"wait": 1}, headers=known)
        while store.reads == reads:  # it was evaluated once: now it waits
            threading.Event().wait(0.01)
        store.put("x", "two")
        assert (answer.result().status_code, answer.result().json()["value"]) == (200, "two")
