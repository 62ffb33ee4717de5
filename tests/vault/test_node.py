"""node-vault, from npm, on OpenBao and on Keywright: what an application in Node.js gets of each call."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.node import installed, node
from tests.vault.differences import entries, judge
from tests.vault.pair import Pair, Side
from tests.vault.shapes import differing

SCRIPT = Path(__file__).with_name("node") / "stranger.js"
PATIENCE = 100


def ran(side: Side) -> dict[str, Any]:
    """What came of each step."""
    around = {"PATH": os.defpath, "VAULT_ADDR": side.address, "VAULT_TOKEN": side.token}
    around["NODE_PATH"] = str(installed(SCRIPT.parent))
    done = subprocess.run(
        [node(), SCRIPT],
        env=around,
        input=json.dumps(dict(side.words)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    came: dict[str, Any] = json.loads(done.stdout)
    return came


@pytest.mark.timeout(600)  # the first time, Node.js and its packages are downloaded
def test_an_application_in_node(pair: Pair) -> None:
    one, other = map(ran, pair.sides)
    assert one.keys() == other.keys()
    wrong = [text for step in one for text in judge(step, differing(one[step], other[step]), entries())]
    assert not wrong, "\n".join(wrong)
    assert other["node read what was updated"]["value"]["data"]["data"] == {
        "username": "shop",
        "password": "second",
        "port": "5432",
    }
    assert other["node read what came back"]["value"]["data"]["metadata"]["version"] == 3
    assert other["node use what was revoked"]["status"] == 403
