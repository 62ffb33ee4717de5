"""Restore and fail-over with real servers: a copy brought back under another oid, and a promoted standby."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from service.core.connection import Access, Account, Engine, Rejected
from service.core.secret import Secret
from service.ways_out import Databases
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql
from tests.rigs.standby import standby_of
from tests.scheduler.test_engines import definition

PLACE = "/environments/production"


@pytest.fixture
def ledger(new_postgresql: PostgresServer) -> Iterator[str]:
    """The URL of a database for a ledger; its owner is no superuser."""
    new_postgresql.login("ledger", "ledger-password")
    names = ("restored", "yesterday")
    for name in names:
        new_postgresql.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    new_postgresql.execute("CREATE DATABASE restored OWNER ledger")
    yield f"postgresql://ledger:ledger-password@{new_postgresql.host}:{new_postgresql.port}/restored"
    for name in names:
        new_postgresql.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def rotate(client: httpx2.Client) -> None:
    """Once, to its end, without announcing."""
    asked = client.post(f"{PLACE}/rotations", json={"connection": "shop/db", "emergency": True})
    assert asked.status_code == 202, asked.text
    story: dict[str, Any] = {}

    def retired() -> bool:
        story.update(client.get(f"/rotations/{asked.json()['id']}").json())
        return bool(story["ended_at"])

    wait_until(retired, lambda: f"it did not end: {story}")
    assert story["stage"] == "retired", story


def latest(client: httpx2.Client) -> dict[str, Any]:
    """The latest restoration, with its findings by connection."""
    items = client.get("/restorations").raise_for_status().json()["items"]
    if not items:
        return {"ended_at": None, "findings": {}}
    found = client.get(f"/restorations/{items[0]['id']}/findings").raise_for_status().json()["items"]
    return items[0] | {"findings": {f["connection"]: f for f in found}}


def password(client: httpx2.Client) -> str:
    """What applications get first."""
    return str(client.get(f"{PLACE}/credentials/shop/db").raise_for_status().json()["password"])


def test_yesterdays_copy_of_a_ledger_in_postgresql(ledger: str, new_postgresql: PostgresServer) -> None:
    """Two rotations later: nothing retired passes for living, the target is left alone, a person settles it."""
    server = new_postgresql
    server.login("restored_shop", "first-password")
    admin, login = server.administration("restored_admin", "restored_shop"), server.access("restored_shop", "x")
    first = Access(login.target, Account("restored_shop", Secret("first-password")))
    body = definition(first, administered_by="admin", rotation={"strategy": "single", "drain_minimum": "1s"})
    with running_keywright(ledger_url=ledger, clock=True, tick=0.1) as it:
        owner, data = it.owner, it.data
        with it.client() as client:
            client.post("/environments", json={"name": "production"}).raise_for_status()
            client.put(f"{PLACE}/connections/admin", json=definition(admin)).raise_for_status()
            client.put(f"{PLACE}/connections/shop/db", json=body).raise_for_status()
            rotate(client)
        it.stop()
        # A copy is refused while anybody is connected, and a session may take a moment to be gone.
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'restored'")
        gone = "SELECT 1 FROM pg_stat_activity WHERE datname = 'restored'"
        wait_until(lambda: not server.execute(gone), "somebody is connected to the ledger")
        server.execute("CREATE DATABASE yesterday TEMPLATE restored OWNER ledger")
        with running_keywright(ledger_url=ledger, data=data, owner=owner, clock=True, tick=0.1) as now:
            rotate(now.client())
            rotate(now.client())
            newest = password(now.client())
        server.execute("DROP DATABASE restored WITH (FORCE)")
        server.execute("ALTER DATABASE yesterday RENAME TO restored")
        stored = "SELECT rolname, rolpassword, rolcanlogin FROM pg_authid WHERE rolname LIKE 'restored%' ORDER BY 1"
        before = server.execute(stored)
        # A folder of its own: no witness is there, and the database alone shows it.
        with running_keywright(
            ledger_url=ledger, key=f"file:{data / 'master.key'}", owner=owner, clock=True, tick=0.1
        ) as again:
            _looked_at(again, newest, login)
            assert server.execute(stored) == before
            server.login("restored_shop", "set-by-a-dba")
            body["login"]["password"] = "set-by-a-dba"
            client = again.client()
            client.put(f"{PLACE}/connections/shop/db", json=body).raise_for_status()
            assert latest(client)["findings"]["shop/db"]["finding"] == "settled"
            assert "put again, with a login that works" in latest(client)["findings"]["shop/db"]["sentence"]
            assert password(client) == "set-by-a-dba"
            rotate(client)
            assert client.get(f"{PLACE}/connections/shop/db").json()["health"]["state"] != "failing"


def _looked_at(it: Keywright, newest: str, login: Access) -> None:
    client = it.client()
    wait_until(lambda: bool(latest(client)["ended_at"]), lambda: f"the restoration did not end: {latest(client)}")
    told = latest(client)
    assert "another PostgreSQL database" in told["reason"]
    assert told["counts"] == {"pending": 0, "fine": 1, "adopted": 0, "stuck": 1, "settled": 0}
    assert told["findings"]["admin"]["finding"] == "fine"
    assert "put the connection again" in told["findings"]["shop/db"]["sentence"]
    offered = password(client)
    assert offered != newest
    works = Databases()[Engine.POSTGRESQL].probe(
        Access(login.target, Account("restored_shop", Secret(offered))), login.target.primary
    )
    assert isinstance(works, Rejected)
    health = client.get(f"{PLACE}/connections/shop/db").json()["health"]
    assert health["state"] == "failing"
    refused = client.post(f"{PLACE}/rotations", json={"connection": "shop/db"})
    assert refused.status_code == 409
    assert "is held" in refused.json()["detail"]
    metrics = httpx2.get(f"{it.url}/metrics", trust_env=False).text
    assert "keywright_connections_held 1.0" in metrics
    assert "keywright_held 0.0" in metrics
    ready = httpx2.get(f"{it.url}/readyz", trust_env=False).json()
    assert (ready["ready"], ready["held"], ready["connections_held"]) == (True, False, 1)
    assert "or at those that administer them: 1;" in ready["warnings"][0]


def test_a_fail_over_to_an_asynchronous_standby_under_a_living_process() -> None:
    """Readiness says beforehand that it may lose events; afterwards the process notices by itself."""
    fake = FakeDatabase()
    with running_postgresql(new_binaries(), tls=False) as primary, standby_of(primary) as standby:
        primary.login("ledger", "ledger-password")
        primary.execute("CREATE DATABASE ledger OWNER ledger")
        hosts = f"host=127.0.0.1:{primary.port}&host=127.0.0.1:{standby.port}&target_session_attrs=read-write"
        url = f"postgresql://ledger:ledger-password@/ledger?{hosts}"
        engines = {Engine.POSTGRESQL: fake, Engine.MARIADB: FakeDatabase(Engine.MARIADB)}
        with running_keywright(ledger_url=url, clock=True, tick=0.1, databases=engines) as it:
            client = it.client()
            client.post("/environments", json={"name": "production"}).raise_for_status()
            admin = definition(fake.administration())
            fake.create("shop", "first-password")
            rotation = {"strategy": "single", "drain_minimum": "1s"}
            body = definition(fake.access("shop", "first-password"), administered_by="admin", rotation=rotation)
            client.put(f"{PLACE}/connections/admin", json=admin).raise_for_status()
            client.put(f"{PLACE}/connections/shop/db", json=body).raise_for_status()
            ready = httpx2.get(f"{it.url}/readyz", trust_env=False)
            assert ready.status_code == 200
            assert ready.json()["replication"] == "asynchronous"
            assert "may lose the newest events" in ready.json()["warnings"][0]
            wait_until(standby.caught_up, "the standby did not catch up")
            standby.cut_off()
            rotate(client)
            newest = password(client)
            primary.stop()
            standby.promote()

            def noticed() -> bool:
                answer = client.get("/restorations")
                return answer.status_code == 200 and bool(latest(client)["ended_at"])

            wait_until(noticed, "the fail-over was not noticed")
            told = latest(client)
            assert "does not hold event" in told["reason"]
            assert told["findings"]["shop/db"]["finding"] == "stuck"
            assert fake.valid("shop", newest)
            assert client.get("/events/verify").json()["whole"]
