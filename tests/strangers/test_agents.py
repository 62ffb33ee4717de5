"""`bao agent` and applications that know nothing of Keywright, through ten rotations: no login fails."""

from pathlib import Path

import pytest

from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.strangers.shops import Pace
from tests.strangers.trial import stand

ROTATIONS = 10


@pytest.mark.timeout(600)  # a rotation takes as long as its drain minimum, whatever the machine
def test_applications_under_an_agent_never_fail(
    new_postgresql: PostgresServer, mariadb: MariaDBServer, tmp_path: Path
) -> None:
    with stand(new_postgresql, mariadb, Pace(), tmp_path) as made:
        lived = made.lived(ROTATIONS)
    assert [text for it in lived for text in it.wrong] == []
    assert {(it.strategy, it.way) for it in lived} == {
        (strategy, way) for strategy in ("alternating", "overlapping") for way in ("templates", "exec")
    }
