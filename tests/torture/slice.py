"""`python -m tests.torture.slice EVERY`: a few cases of the matrix, on servers that somebody else runs.

Reads a pickle of what `lend` made from standard input, says what was wrong, and answers by its exit status.
"""

import sys

from service.core.rotation import Strategy
from tests.torture.lending import borrowed
from tests.torture.matrix import Combination, Matrix
from tests.torture.site import site

COMBINATIONS: tuple[Combination, ...] = (
    ("pg18", Strategy.ALTERNATING, "sqlite", "turn"),
    ("pg18", Strategy.SINGLE, "postgresql", "turn"),
    ("mariadb", Strategy.OVERLAPPING, "postgresql", "turn"),
    ("mariadb", Strategy.SINGLE, "sqlite", "undo"),
)


def main() -> int:
    """The exit status: 1 if anything was wrong."""
    servers = borrowed(sys.stdin.buffer.read())
    ledgers = servers.pop("ledgers")
    with site(servers, ledgers, "killed", shards=1) as made:
        matrix = Matrix(made)
        matrix.run(COMBINATIONS, every=int(sys.argv[1]))
    print("\n".join([*matrix.table(), *matrix.wrong]))
    print(f"{matrix.kills} killed, {matrix.pauses} stopped")
    return 1 if matrix.wrong or not matrix.kills else 0


if __name__ == "__main__":
    sys.exit(main())
