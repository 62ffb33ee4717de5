"""Sessions on the former credential, on a real PostgreSQL: the older ones are seen and ended, the younger go on."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx2
import psycopg
import pytest

from service.core.connection import Access
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.postgresql import PostgresServer

ENDING = {"drain_minimum": "1s", "drain_limit": "1s", "after_limit": "end"}
PLACE = "/environments/production"


@pytest.fixture(scope="module")
def it() -> Iterator[Keywright]:
    with running_keywright(clock=True, tick=0.1) as served:
        served.client().post("/environments", json={"name": "production"}).raise_for_status()
        yield served


def register(client: httpx2.Client, name: str, access: Access, login: dict[str, str], **more: Any) -> None:
    body = {
        "engine": "postgresql",
        "endpoints": [{"host": e.host, "port": e.port} for e in access.target.endpoints],
        "database": access.target.database,
        "tls": {"mode": access.target.tls.mode.value},
        "login": login,
    }
    client.put(f"{PLACE}/connections/{name}", json=body | more).raise_for_status()


def begin(client: httpx2.Client, server: PostgresServer, strategy: str, password: str | None) -> str:
    """A connection whose administration login may see and end sessions."""
    role, admin = f"drain_{strategy}", f"keywright_drain_{strategy}"
    server.login(role, password or "of-nobody")
    access = server.administration(admin, role)
    server.execute(f"GRANT pg_monitor, pg_signal_backend TO {admin}")
    register(client, f"admin/{strategy}", access, {"username": admin, "password": access.account.password.reveal()})
    login = {"username": role} | ({"password": password} if password else {})
    rotation = ENDING | {"strategy": strategy}
    register(client, f"shop/{strategy}", access, login, administered_by=f"admin/{strategy}", rotation=rotation)
    return f"shop/{strategy}"


def rotate(client: httpx2.Client, name: str, stage: str) -> dict[str, Any]:
    """A rotation that got to that stage."""
    asked = client.post(f"{PLACE}/rotations", json={"connection": name}).raise_for_status().json()
    return reach(client, asked["id"], stage)


def reach(client: httpx2.Client, rotation_id: str, stage: str) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        return dict(client.get(f"/rotations/{rotation_id}").json())

    wait_until(lambda: look()["stage"] == stage, lambda: f"it is {look()}")
    return look()


def session(client: httpx2.Client, server: PostgresServer, name: str) -> psycopg.Connection[Any]:
    """An application that fetches and connects."""
    got = client.get(f"{PLACE}/credentials/{name}").raise_for_status().json()
    return psycopg.connect(
        host=server.host,
        port=server.port,
        user=got["username"],
        password=got["password"],
        dbname="postgres",
        application_name="billing",
        autocommit=True,
    )


def lives(connection: psycopg.Connection[Any]) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return False
    return True


def test_sessions_of_the_former_login_are_ended(it: Keywright, new_postgresql: PostgresServer) -> None:
    """`alternating`: they are shown while it drains, with since when; and are gone when it is retired."""
    client = it.client()
    name = begin(client, new_postgresql, "alternating", None)
    rotate(client, name, "retired")
    with ExitStack() as stack:
        old = stack.enter_context(closing(session(client, new_postgresql, name)))
        drains = rotate(client, name, "draining")

        def shown() -> list[dict[str, Any]]:
            return client.get(f"/rotations/{drains['id']}").json()["drain"]["sessions"] or []

        # The first look may still see a login of Keywright's own, by which it has just proven that one.
        wait_until(lambda: [each["application"] for each in shown()] == ["billing"], "nobody looked")
        (seen,) = shown()
        assert (seen["username"], seen["application"], seen["address"]) == (old.info.user, "billing", "127.0.0.1")
        assert seen["since"]
        young = stack.enter_context(closing(session(client, new_postgresql, name)))
        assert lives(old)
        story = reach(client, drains["id"], "retired")
        assert "1 of 1 sessions" in " ".join(step["sentence"] for step in story["steps"])
        assert not lives(old)
        assert lives(young)


def test_under_single_sessions_older_than_the_change_are_ended(it: Keywright, new_postgresql: PostgresServer) -> None:
    """The server tells since when they are open; whoever logged in with the new password goes on."""
    client = it.client()
    name = begin(client, new_postgresql, "single", "first-password")
    with ExitStack() as stack:
        old = stack.enter_context(closing(session(client, new_postgresql, name)))
        drains = rotate(client, name, "draining")
        time.sleep(0.05)
        young = stack.enter_context(closing(session(client, new_postgresql, name)))
        reach(client, drains["id"], "retired")
        assert not lives(old)
        assert lives(young)
