"""The short form of `python -m tests.agent`: unchanged applications live through rotations and an outage."""

import pytest

from tests.agent.shop import shop, turn
from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer


@pytest.mark.timeout(400)
def test_no_request_fails(new_postgresql: PostgresServer, mariadb: MariaDBServer) -> None:
    with shop(new_postgresql, mariadb, drain=3) as it:
        turn(it, rotations=2, outage=3, say=print)
        assert it.failures() == {}, it.logs()
        assert {name: len(load.answered) >= 3 for name, load in it.loads.items()} == dict.fromkeys(it.loads, True)
        assert 0 < it.came <= it.allowed
        said = it.logs() + "".join(file.read_text() for file in it.folder.glob("*.status"))
    assert "password" not in said
