"""A database that offers no TLS did answer: whoever registers it is told that, and what to look at."""

import pytest

from tests.rigs.keywright import Keywright
from tests.rigs.postgresql import PostgresServer
from tests.scheduler.test_engines import definition


@pytest.mark.parametrize("mode", ["verify-full", "require"])
def test_a_database_without_tls_is_not_unreachable(
    keywright_service: Keywright, new_postgresql: PostgresServer, mode: str
) -> None:
    new_postgresql.login("no_tls", "app-password")
    body = definition(new_postgresql.access("no_tls", "app-password")) | {"tls": {"mode": mode}}
    owner = keywright_service.client()
    owner.post("/environments", json={"name": "production"}).raise_for_status()
    answer = owner.put("/environments/production/connections/shop", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == "tls"
    assert "offers no TLS, which the connection asks for: see `tls`" in answer.json()["detail"]
    assert owner.get("/environments/production/connections/shop").status_code == 404
