"""`python -m tests.torture`: the crash matrix, the soak, the table; one line for machines at the end."""

import sys

from tests.torture.matrix import Matrix, say
from tests.torture.site import servers, site


def main() -> int:
    """The exit status: 1 if a bar was missed."""
    with servers() as (targets, ledgers), site(targets, ledgers) as made:
        matrix = Matrix(made, say)
        matrix.run()
        print("\n".join(matrix.table()))
        for line in matrix.wrong:
            print(f"wrong: {line}")
    return 1 if matrix.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
