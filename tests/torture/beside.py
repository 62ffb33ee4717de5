"""`python -m tests.torture.beside`: what is tried beside the matrix, in a process of its own, on servers that are lent.

Reads a pickle of what `lend` made from standard input; its last line is what was found, in JSON.
"""

import json
import logging
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from tests.rigs.postgresql import PostgresServer
from tests.torture.lateness import lateness
from tests.torture.lending import borrowed, lend
from tests.torture.site import FAST, TargetServer
from tests.torture.twins import twins

ROOT = Path(__file__).parents[2]
PATIENCE = 300.0


class Beside:
    """What was found: lines to show, and what was wrong."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.lines: list[str] = []
        self.wrong: list[str] = []

    def wait(self) -> None:
        """Until it has ended."""
        said, log = self._process.communicate(timeout=PATIENCE)
        if self._process.returncode:
            self.wrong.append(f"what is tried beside the matrix failed: {log.decode(errors='replace')[-500:]}")
        else:
            self.lines, self.wrong = json.loads(said.splitlines()[-1])


@contextmanager
def beside(targets: dict[str, TargetServer], ledgers: PostgresServer) -> Iterator[Beside]:
    """Begun; it is gone afterwards."""
    command = [sys.executable, "-m", "tests.torture.beside"]
    pipe = subprocess.PIPE
    with tempfile.TemporaryDirectory(prefix="keywright-torture-", dir=FAST) as folder:
        process = subprocess.Popen([*command, folder], stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT)
        assert process.stdin
        process.stdin.write(lend(pg18=targets["pg18"], mariadb=targets["mariadb"], ledgers=ledgers))
        process.stdin.close()
        process.stdin = None
        try:
            yield Beside(process)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def main() -> None:
    """First the asks, then the half minute."""
    servers, folder = borrowed(sys.stdin.buffer.read()), Path(sys.argv[1])
    quiet = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asked = twins(servers["ledgers"], folder)
    late = lateness(servers["pg18"], servers["mariadb"], folder / "lateness")
    print(json.dumps([[str(late), str(asked)], [*late.wrong, *asked.wrong]]))


if __name__ == "__main__":
    main()
