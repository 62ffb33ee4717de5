"""Where the demo's errors go: a file, kept only if something failed."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service import log
from service.settings import Settings

_TAIL = 20_000


class Logbook:
    """The log of one demo. `keep` it when something failed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = False

    @property
    def written(self) -> bool:
        """Was anything logged?"""
        return self.path.stat().st_size > 0

    def keep(self, *more: Path) -> None:
        """Do not delete it; add the end of other logs to it."""
        self.kept = True
        for other in more:
            if other.exists():
                with self.path.open("a", encoding="utf-8") as book:
                    book.write(f"\n{other.name}:\n{other.read_text(errors='replace')[-_TAIL:]}")


@contextmanager
def logbook(settings: Settings) -> Iterator[Logbook]:
    """Everything that is logged goes there meanwhile."""
    descriptor, path = tempfile.mkstemp(prefix="keywright-demo-", suffix=".log")
    book = Logbook(Path(path))
    with open(descriptor, "w", encoding="utf-8") as stream:
        try:
            log.configure(settings, stream)
            yield book
        finally:
            # What still logs afterwards (a thread on its way out) has nowhere to write to, and nothing to say.
            log.detach()
            if not book.kept:
                book.path.unlink(missing_ok=True)
