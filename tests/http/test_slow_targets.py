"""Somebody's silent database must not hold up everybody."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2

from service.core.connection import Access, Endpoint, Engine, Probe
from tests.http.conftest import CONNECTION, PASSWORD
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import running_keywright

MANY = 60
"""More than the server has threads."""


def test_looks_at_silent_databases_leave_room_for_others() -> None:
    """While they are looked at, or wait for their turn, other requests are answered."""
    database, answers = FakeDatabase(), threading.Event()
    database.create("app", PASSWORD)
    probe = database.probe

    def silent(access: Access, endpoint: Endpoint) -> Probe:
        answers.wait(60)
        return probe(access, endpoint)

    database.probe = silent  # type: ignore[method-assign]
    with running_keywright(databases={Engine.POSTGRESQL: database}) as it, ThreadPoolExecutor(MANY) as pool:
        client = it.client()
        client.post("/environments", json={"name": "production"}).raise_for_status()
        body = CONNECTION | {"login": {"username": "app", "password": PASSWORD}}

        def put(number: int) -> int:
            with httpx2.Client(headers=client.headers, timeout=90, trust_env=False) as own:
                place = f"{it.url}/api/v1/environments/production/connections/slow/{number}"
                return own.put(place, json=body).status_code

        asked = [pool.submit(put, number) for number in range(MANY)]
        try:
            for _ in range(5):
                assert client.get("/me").status_code == 200
                assert httpx2.get(f"{it.url}/readyz", timeout=60, trust_env=False).status_code == 200
            assert not any(future.done() for future in asked)
        finally:
            answers.set()
        assert {future.result() for future in asked} == {201}
