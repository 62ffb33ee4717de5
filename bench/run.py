"""One run of the suite: where its files are, how long each point takes, and what must be undone at its end."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import child

OUT = Path(__file__).parent / "out"
"""Results, and what is kept from run to run; ignored by git."""


@dataclass(frozen=True)
class Pace:
    """Seconds of every point, and how many times each is measured, by turns with what it is compared to."""

    seconds: float
    rounds: int
    events: int
    """In the log that is asked for events."""
    variables: int
    waiters: int


FULL = Pace(seconds=4, rounds=3, events=5_000_000, variables=100_000, waiters=5_000)
QUICK = Pace(seconds=2, rounds=1, events=200_000, variables=10_000, waiters=1_000)


class Run:
    """What every section is given."""

    def __init__(self, folder: Path, pace: Pace) -> None:
        self.folder = folder
        self.pace = pace
        self.log = folder / "log"

    def new_folder(self, name: str) -> Path:
        """A folder of one's own within the run's."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def clear(self) -> None:
        """Remove everything that was made so far: a long log is gigabytes."""
        for each in self.folder.iterdir():
            if each.is_dir():
                shutil.rmtree(each, ignore_errors=True)
            else:
                each.unlink()

    def tell(self, text: str) -> None:
        """Progress, on standard error."""
        print(f"bench: {text} …", file=sys.stderr, flush=True)


@contextmanager
def running(pace: Pace) -> Iterator[Run]:
    """A run whose processes are ended and whose folder is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="keywright-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(child.end_all)
        folder.chmod(0o711)  # where PostgreSQL runs as nobody, it must be able to pass
        yield Run(folder, pace)
