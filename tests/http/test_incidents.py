"""Incidents on the wire: a folder rotated to the end, one that is unreachable among it."""

from typing import Any

from service.core.connection import Engine
from tests.http.conftest import CONNECTION
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import running_keywright, wait_until

NAMES = [f"shop/{number}" for number in range(5)]
PLACE = "/environments/production"
LEAK = {"folder": "shop", "reason": "a leaked backup", "emergency": True, "per_minute": 6000}


def test_an_emergency_turns_every_password_of_a_folder() -> None:
    fake = FakeDatabase()
    fake.administration()
    with running_keywright(databases={Engine.POSTGRESQL: fake}, clock=True, tick=0.1) as it:
        client = it.client()
        client.post("/environments", json={"name": "production"}).raise_for_status()

        def put(name: str, username: str, password: str, **more: Any) -> None:
            fake.create(username, password)
            body = CONNECTION | {"login": {"username": username, "password": password}} | more
            client.put(f"{PLACE}/connections/{name}", json=body).raise_for_status()

        put("shop/admin", "admin", "admin-password")
        rotation = {"strategy": "single", "drain_minimum": "1h"}
        for name in NAMES:
            put(name, name.replace("/", "_"), "first-password", administered_by="shop/admin", rotation=rotation)
        told = client.post(f"{PLACE}/incidents", json=LEAK | {"dry_run": True, "per_minute": 60})
        assert (told.status_code, told.json()["connections"], told.json()["lasts"]) == (200, NAMES, 4.0)
        assert [it["connection"] for it in told.json()["skipped"]] == ["shop/admin"]
        assert client.get(f"{PLACE}/incidents").json()["items"] == []
        assert client.post(f"{PLACE}/incidents", json=LEAK | {"reason": ""}).json()["field"] == "reason"

        key = {"Idempotency-Key": "once"}
        begun = [client.post(f"{PLACE}/incidents", json=LEAK, headers=key) for _ in range(2)]
        assert [answer.status_code for answer in begun] == [202, 202]
        assert begun[0].json() == begun[1].json()
        incident = begun[0].json()["id"]
        wait_until(lambda: client.get(f"/incidents/{incident}").json()["state"] == "ended", "it did not end")
        ended = client.get(f"/incidents/{incident}").json()
        assert (ended["total"], ended["waiting"], ended["stages"]) == (6, 0, {"retired": 5})
        assert ended["troubles"] == []
        for name in NAMES:
            assert not fake.valid(name.replace("/", "_"), "first-password")
            now = client.get(f"{PLACE}/credentials/{name}").json()
            assert fake.valid(now["username"], now["password"])

        fake.unreachable.add(fake.everywhere)
        second = client.post(f"{PLACE}/incidents", json=LEAK).json()["id"]
        wait_until(lambda: len(client.get(f"/incidents/{second}").json()["troubles"]) == 5, "no trouble was told")
        (trouble, *_) = client.get(f"/incidents/{second}").json()["troubles"]
        assert "does not answer" in trouble["reason"]
        assert client.post(f"/incidents/{second}/cancel").json()["state"] == "cancelled"
        assert client.post(f"/incidents/{second}/cancel").status_code == 409
        assert client.post(f"/incidents/{second}/resume").json()["state"] == "running"
        fake.unreachable.clear()
