"""`python -m tests.torture --seconds 120 --seed 1`: the crash matrix, the soak, the figures; see docs/torture.md.

The last line is for machines. The exit status is 1 if a bar was missed: nobody is ever locked out, nobody who was
promised fails to log in, every rotation ends, and the chains of events are whole.
"""

import argparse
import signal
import sys
from typing import Any

from tests.torture import figures
from tests.torture.beside import beside
from tests.torture.matrix import Matrix, say
from tests.torture.site import servers, site
from tests.torture.soak import soak

SHOWN = 40


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long the soak lasts")
    parser.add_argument("--seed", type=int, default=1, help="of what goes wrong in the soak")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th point of the matrix")
    parser.add_argument("--whole", action="store_true", help="cross every point of every flow with both ledgers")
    given = parser.parse_args()
    for ending in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _end)
    with servers() as (targets, ledgers), site(targets, ledgers) as made:
        matrix = Matrix(made, say, given.whole)
        with beside(targets, ledgers) as others:
            matrix.run(every=given.every)
            others.wait()
        with soak(targets, ledgers, given.seed) as soaked:
            soaked.run(given.seconds, say)
            wrong = [
                *matrix.wrong,
                *others.wrong,
                *soaked.tally.wrong,
                *(text for shop in soaked.shops for text in shop.failed),
            ]
            lockouts = sum(shop.lockouts for shop in soaked.shops)
            wrong += ["somebody was locked out"] if lockouts else []
            shown = figures.plaintext(matrix, soaked)
            print("\n".join(matrix.table()))
            print(f"soak: {dict(soaked.tally.faults)}; rotations: {dict(soaked.tally.stages)}")
            print(
                "\n".join(
                    [
                        *figures.rows(matrix),
                        *others.lines,
                        f"statement logs: {'; '.join(shown) or 'no password in them'}",
                    ]
                )
            )
            wrong += shown
            for text in wrong[:SHOWN]:
                print(f"wrong: {text}")
            print(figures.line(matrix, soaked), flush=True)
    return 1 if wrong else 0


def _end(number: int, frame: Any) -> None:
    """As with Ctrl-C: whatever was begun is cleared away. Once is enough."""
    for ending in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        say("stopped; what it had begun is cleared away")
        sys.exit(130)
