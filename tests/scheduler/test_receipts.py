"""What a receipt says is not proven, on a real MariaDB: host rows that nobody here can log in as."""

from typing import Any

import pytest

from service.core.connection import Rejected
from service.ways_out import Databases
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.mariadb import MariaDBServer
from tests.scheduler.test_engines import definition

PLACE = "/environments/production"


def _retired(it: Keywright, name: str) -> dict[str, Any]:
    """The first rotation of that connection that has ended, with its story."""
    query = {"connection": name, "stage": "retired"}

    def found() -> list[dict[str, Any]]:
        return list(it.client().get(f"{PLACE}/rotations", params=query).json()["items"])

    wait_until(lambda: bool(found()), f"{name} was not turned")
    return dict(it.client().get(f"/rotations/{found()[0]['id']}").json())


@pytest.mark.parametrize("strategy", ["overlapping", "single"])
def test_rows_that_cannot_be_proven_are_named(mariadb: MariaDBServer, strategy: str) -> None:
    """They are changed like the one that is proven; story and event name them, and nothing else."""
    user, rotation = f"rows_{strategy}", {"strategy": strategy, "drain_minimum": "1s", "drain_limit": "1s"}
    mariadb.login(user, "first-password")
    mariadb.login(user, "first-password", "10.%")
    admin, login = mariadb.administration(f"admin_of_{user}"), mariadb.access(user, "first-password")
    with running_keywright(clock=True, tick=0.1) as it:
        client = it.client()
        client.post("/environments", json={"name": "production"}).raise_for_status()
        ordinary = definition(login, administered_by="admin", rotation=rotation)
        for name, body in (("admin", definition(admin)), ("shop", ordinary)):
            client.put(f"{PLACE}/connections/{name}", json=body).raise_for_status()
        client.post(f"{PLACE}/rotations", json={"connection": "shop", "emergency": True}).raise_for_status()
        story = _retired(it, "shop")
        assert story["steps"][-1]["sentence"].endswith(f"; not provable: '{user}'@'10.%'")
        (event,) = client.get("/events", params={"action": "rotation.retired"}).json()["items"]
        assert event["detail"]["proven"] is True
        assert event["detail"]["not_provable"] == f"'{user}'@'10.%'"
    assert isinstance(Databases()[login.target.engine].probe(login, mariadb.endpoint), Rejected)
    here, there = (
        str(mariadb.execute("SELECT authentication_string FROM mysql.user WHERE User = %s AND Host = %s", user, host))
        for host in ("%", "10.%")
    )
    assert here == there
    for host in ("%", "10.%"):
        mariadb.execute("DROP USER %s@%s", user, host)
