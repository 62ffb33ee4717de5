"""`python -m tests.applications --rotations 100 --outage 60`: applications with one changed line, and what they saw.

Every strategy on real servers, each turned so often while an application with a pool asks from several threads; then
the server goes away for so many seconds in the middle of load. One line for each is for machines. The exit status is 1
if a request failed, a rotation got stuck, or the server was asked in a tight loop while it was away.
"""

import argparse
import sys
from contextlib import ExitStack

from tests.applications.endurance import outage, patient, quick, rotations, site
from tests.rigs.keywright import running_keywrightd
from tests.rigs.mariadb import MariaDBServer, running_mariadb
from tests.rigs.postgresql import PostgresServer, new_binaries, running_postgresql

AT_MOST = 20
"""Questions in one second of an outage, of four applications: what was cut off is asked once more, then it rests."""


def say(text: str) -> None:
    """On standard error: standard output is for the results."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.applications", description=__doc__)
    parser.add_argument("--rotations", type=int, default=100, help="of each connection; 0: none")
    parser.add_argument("--outage", type=float, default=60, help="seconds that the server is away; 0: none")
    parser.add_argument("--threads", type=int, default=8, help="of each application")
    given = parser.parse_args()
    with ExitStack() as stack:
        servers: dict[str, PostgresServer | MariaDBServer] = {
            "postgresql": stack.enter_context(running_postgresql(new_binaries(), tls=False)),
            "mariadb": stack.enter_context(running_mariadb()),
        }
        it = stack.enter_context(
            running_keywrightd(KEYWRIGHT_TICK="0.1", KEYWRIGHT_WORKERS="4", KEYWRIGHT_REFUSED_RATE="0")
        )
        client = stack.enter_context(it.client())
        wrong = []
        if given.rotations:
            with site(it.url, it.owner, client, servers, "turned", quick()) as turned:
                for result in rotations(turned, given.rotations, given.threads, say, 60 + given.rotations * 30):
                    print(result.line(), flush=True)
                    wrong += result.wrong
        if given.outage:
            with site(it.url, it.owner, client, servers, "kept", patient(given.outage)) as kept:
                seen = outage(kept, given.outage, given.threads)
                print(seen.line(), flush=True)
                wrong += seen.failed[:5]
                wrong += [] if seen.caught_up else ["a new generation was not seen after the outage"]
                wrong += [] if seen.at_most <= AT_MOST else ["the server was asked in a tight loop"]
        for text in wrong:
            say(f"wrong: {text}")
        return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
