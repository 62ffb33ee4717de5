"""Promise 4 with real processes: a slice of the matrix that `make torture` runs whole (docs/torture.md)."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.mariadb import MariaDBServer
from tests.rigs.postgresql import PostgresServer
from tests.torture.lending import lend

EVERY = 15
"""Of the points of a rotation, each so many-th."""


@pytest.mark.timeout(300)
def test_a_process_killed_anywhere_is_followed_by_one_that_ends_the_rotation(
    new_postgresql: PostgresServer, mariadb: MariaDBServer, ledger_server: PostgresServer
) -> None:
    """Nobody who was promised fails, nothing in the target is unknown to the ledger, the chain is whole."""
    servers = lend(pg18=new_postgresql, mariadb=mariadb, ledgers=ledger_server)
    command = [sys.executable, "-m", "tests.torture.slice", str(EVERY)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, input=servers, capture_output=True, cwd=root, timeout=280, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
