"""`python -m tests.agent --rotations 100 --outage 60`: unchanged applications live through rotations and an outage.

The last line is for machines. The exit status is 1 if a request failed, a process ended, or the server was asked in a
tight loop while it was away.
"""

import argparse
import json
import sys

from tests.agent.shop import shop, turn
from tests.rigs.mariadb import running_mariadb
from tests.rigs.postgresql import new_binaries, running_postgresql


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.agent", description=__doc__)
    parser.add_argument("--rotations", type=int, default=100, help="of each credential, at least")
    parser.add_argument("--outage", type=float, default=60, help="seconds that the server is away in the middle")
    parser.add_argument("--drain", type=int, default=4, help="the drain minimum, in seconds")
    given = parser.parse_args()
    with (
        running_postgresql(new_binaries(), tls=False) as postgresql,
        running_mariadb(tls=False) as mariadb,
        shop(postgresql, mariadb, given.drain) as it,
    ):
        first = it.generations()
        turn(it, given.rotations, given.outage, lambda text: print(text, flush=True))
        turned = {name: now - first[name] for name, now in it.generations().items()}
        failures = it.failures()
        wrong = bool(failures) or it.came > it.allowed or min(turned.values()) < given.rotations
        if wrong:
            print(it.logs())
        told = {
            "rotations": turned,
            "requests": {name: load.requests for name, load in it.loads.items()},
            "passwords": {name: len(load.answered) for name, load in it.loads.items()},
            "failed": sum(len(load.failures) for load in it.loads.values()),
            "failures": {name: some[:5] for name, some in failures.items()},
            "outage": given.outage,
            "asked_while_away": it.came,
            "asked_at_most": it.allowed,
        }
        print(json.dumps(told), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
