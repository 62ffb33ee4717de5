"""The server goes away in the middle of load: applications keep working, ask it with patience, and catch up afterwards.

`python -m tests.applications --outage 60` is the same for a minute.
"""

import pytest

from tests.applications.endurance import outage, patient, site
from tests.rigs.keywright import running_keywright
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer

SECONDS = 4.0


@pytest.mark.timeout(240)
def test_applications_outlive_the_server(new_postgresql: PostgresServer, mariadb: MariaDBServer) -> None:
    servers = {"postgresql": new_postgresql, "mariadb": mariadb}
    with (
        running_keywright(clock=True, tick=0.1) as it,
        site(it.url, it.owner, it.client(), servers, "outage", patient(SECONDS)) as made,
    ):
        seen = outage(made, SECONDS, 2)
    assert seen.failed == []
    assert seen.requests > 20
    assert seen.caught_up
    # Each of four applications: its watcher and its cache, of which each asks again once it was cut off.
    assert 0 < seen.asked < 40
    assert seen.at_most <= 20
