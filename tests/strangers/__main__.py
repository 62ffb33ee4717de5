"""`python -m tests.strangers --rotations 100`: applications under `bao agent` live through so many rotations.

Two databases, PostgreSQL under `alternating` and MariaDB under `overlapping`; for each one application that reads a
template of the agent, and one that the agent starts. The last line is for machines. The exit status is 1 if a login
failed, if a rotation did not go all the way, or if an application did not follow.
"""

import argparse
import json
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.rigs.mariadb import running_mariadb
from tests.rigs.postgresql import new_binaries, running_postgresql
from tests.strangers.shops import Pace
from tests.strangers.trial import stand

SHOWN = 20


def say(text: str) -> None:
    """To whoever watches."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.strangers", description=__doc__)
    parser.add_argument("--rotations", type=int, default=100, help="of each of the two shops")
    given = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="keywright-strangers-") as name,
        running_postgresql(new_binaries(), tls=False) as postgresql,
        running_mariadb() as mariadb,
        stand(postgresql, mariadb, Pace(), Path(name)) as made,
    ):
        lived = made.lived(given.rotations, say)
    wrong = [f"{it.shop}, {it.way}: {text}" for it in lived for text in it.wrong]
    for text in wrong[:SHOWN]:
        print(f"wrong: {text}")
    applications = [asdict(it) | {"wrong": len(it.wrong)} for it in lived]
    print(json.dumps({"rotations": given.rotations, "wrong": len(wrong), "applications": applications}), flush=True)
    return 1 if wrong else 0


def _end(number: int, frame: Any) -> None:
    """As with Ctrl-C: whatever was begun is cleared away."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("stopped; what it had begun is cleared away")
        sys.exit(130)
