"""The indexer: builds the log's query index behind it, in a thread of its own.

A page of batches at a time: read and taken apart on a snapshot, then written in transactions of a few milliseconds,
and others have their turn before the next one. Of several processes one is enough: who finds that another one has
written stands by. Whoever asks does not depend on it: a question brings the index as far as it needs by itself.
"""

import threading
import time
from enum import Enum

import structlog

from service.core.errors import KeywrightError
from service.ledger import postings
from service.ledger.ledger import Ledger

log = structlog.get_logger("indexer")

EVERY = 0.5
"""Seconds between two looks at the log: what came meanwhile is written together."""
STANDS_BY = 5.0
"""Seconds after which a process looks again whether another one still builds the index."""
BREATH = 0.005
"""Seconds between two pages."""
_SHORT = 0.02


class Turn(Enum):
    """What one turn came to."""

    NOTHING = "nothing"  # the index has all that is there
    MORE = "more"  # a page was written, and there is more
    DONE = "done"  # the last page was written
    ANOTHER = "another"  # somebody else builds it
    LOCKED = "locked"  # somebody else is at it, or prunes it, this very moment


class Indexer:
    """Builds the index for one process."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._working = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._reached: int | None = None

    def start(self) -> None:
        """Begin. A daemon: it may be interrupted at any point, and the next one goes on there."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the page that is under way."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(5)
            self._thread = None

    def turn(self, *, patient: bool = False) -> Turn:
        """Index one page. A `patient` one leaves it to another process, if one is at work. Raises Unavailable."""
        with self._working:
            with self._ledger.read() as tx:
                reached = postings.reached(tx)
                if patient and self._reached is not None and reached != self._reached:
                    self._reached = reached
                    return Turn.ANOTHER
                page = postings.read(tx)
            self._reached = reached
            if page.seq == page.behind:
                return Turn.NOTHING
            for part in postings.parts(page):
                with self._ledger.work() as tx:
                    if not postings.write(tx, page, part):
                        return Turn.LOCKED
            with self._ledger.work() as tx:
                if not postings.finish(tx, page):
                    return Turn.LOCKED
            self._reached = page.seq
            return Turn.MORE if page.full else Turn.DONE

    def reach(self, seq: int, *, seconds: float, pages: int | None = None) -> int:
        """Bring the index up to that event, within so many seconds and pages; how many events it lacks of that."""
        until = time.monotonic() + seconds
        while True:
            with self._ledger.read() as tx:
                lacks = max(0, seq - postings.reached(tx))
            if not lacks or time.monotonic() >= until or pages == 0:
                return lacks
            turned = self.turn()
            if turned is Turn.NOTHING:
                return lacks  # what is missing is missing in the log itself
            if turned is Turn.LOCKED:
                time.sleep(_SHORT)
            pages = None if pages is None else pages - 1

    def _run(self) -> None:
        wait = EVERY
        while not self._stopped.wait(wait):
            wait = EVERY
            try:
                turned = self.turn(patient=True)
            except KeywrightError as error:
                log.warning("the log's index was not built further", reason=error.message)
            except Exception:
                # Whoever asks would index by itself, but it must not stay so.
                log.exception("the log's index could not be built further")
                wait = STANDS_BY
            else:
                wait = {Turn.MORE: BREATH, Turn.ANOTHER: STANDS_BY}.get(turned, EVERY)
