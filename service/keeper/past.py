"""The ledger's past: noticing that some of it was lost.

A ledger cannot tell by itself that it is an older copy of itself. What tells it:

    the witness   a file beside the ledger, and each process's own memory, of the last event that was seen: the
                  ledger must hold exactly that point of the chain
    the home      a ledger in PostgreSQL notes its cluster, database and timeline; other ones show that it was
                  brought back elsewhere, or failed over
    the fence     a target that was shown a higher fencing number than this ledger ever gave out (`probes.py`)
    a person      `keywrightd restored`

It is looked at before a process rotates, and before each time that it looks for work.
"""

import threading
from datetime import datetime, timedelta

from service.core.errors import Unavailable
from service.core.restoration import COVERS, Home, Point, Replication, Witness, replication
from service.keeper.door import Door
from service.keeper.restorations import Restorations
from service.keeper.tokens import SYSTEM
from service.ledger import past, restorations
from service.ledger.ledger import Transaction

NOTED_EVERY = timedelta(seconds=3)
"""The witness is written at most this often. Less than `COVERS`, which is counted from what it tells."""
REPLICATION_EVERY = timedelta(seconds=60)
_NOWHERE = Home("", 0, 0)
"""The home of an embedded ledger: only whether it had a witness is of interest there."""


class Past:
    """Looks. One for each process."""

    def __init__(self, door: Door, restorations: Restorations, witness: Witness) -> None:
        self._door = door
        self._restorations = restorations
        self._witness = witness
        self._looking = threading.Lock()
        self._beginning: bytes | None = None
        self._point: Point | None = None
        self._noted: Point | None = None
        self._looked_at: datetime | None = None
        self.replication = Replication.NONE
        self.trouble = ""
        """Why the witness could not be written the last time; empty if it could."""

    def beginning(self) -> bytes | None:
        """What this ledger is told from another by, whoever serves it and for good; None where nothing was recorded.

        The keyed hash of its first batch of events: it tells nothing of them. Raises Unavailable.
        """
        if self._beginning is None:
            self._beginning = self._door.look(past.beginning)
        return self._beginning

    def look(self) -> bool:
        """Notice what was lost, and remember how far the ledger has come. True while every rotation is held.

        Raises Unavailable, Unrecorded.
        """
        with self._looking:
            return self._look()

    def close(self) -> None:
        """Note how far the ledger has come, at the end of a process. Raises Unavailable, Unrecorded."""
        with self._looking:
            self._look(at_once=True)

    def _look(self, *, at_once: bool = False) -> bool:
        ledger, held, lost = self._door.look(self._first_look)
        if ledger is None:
            return held  # nothing was ever recorded in it
        if lost:
            self._restorations.notice(SYSTEM, lambda tx: self._lost(tx, ledger, settle=True))
            self._point = None  # whatever was seen before, it is of another past
        point, held = self._door.look(lambda tx: (past.end(tx), restorations.open_one(tx) is not None))
        self._remember(ledger, point, at_once=at_once or bool(lost))
        return held

    def _first_look(self, tx: Transaction) -> tuple[bytes | None, bool, str]:
        ledger = past.beginning(tx)
        if not self._door.ledger.embedded and (
            self._looked_at is None or tx.now - self._looked_at >= REPLICATION_EVERY
        ):
            self._looked_at = tx.now
            self.replication = replication(*past.standbys(tx))
        lost = self._lost(tx, ledger) if ledger else ""
        return ledger, restorations.open_one(tx) is not None, lost

    def _lost(self, tx: Transaction, ledger: bytes, *, settle: bool = False) -> str:
        """Why the ledger's past may have been lost; empty if nothing shows it. `settle` notes its present home."""
        embedded = self._door.ledger.embedded
        before, witnessed = past.home_before(tx)
        now = _NOWHERE if embedded else past.home_now(tx)
        known = self._point or self._witness.seen(ledger)
        why = now.moved_from(before) if before else ""
        if settle and now != before:
            past.settle_in(tx, now, witnessed=witnessed)
        held = past.holds(tx, known) if known else past.Held.YES
        if known and held is not past.Held.YES and not _covered(tx, known):
            seen = f"event {known.seq} as it was seen at {known.at:%Y-%m-%d %H:%M:%S} UTC"
            why = (
                f"the ledger ends at event {past.end(tx).seq} and does not hold {seen}: it is an older copy, or a "
                "fail-over lost its newest events"
                if held is past.Held.NO
                else f"{seen} was pruned from the ledger since: whether it is still the same one cannot be told"
            )
        if embedded and known is None and witnessed:
            why = "the witness that stood beside the ledger is missing: the ledger was brought here without it"
        return why

    def _remember(self, ledger: bytes, point: Point, *, at_once: bool) -> None:
        moved = self._noted is None or self._noted.seq != point.seq or self._noted.hash != point.hash
        first = self._noted is None
        self._point = point
        if not moved or not (at_once or self._noted is None or point.at - self._noted.at >= NOTED_EVERY):
            return
        self._noted = point
        try:
            self._witness.note(ledger, point)
            self.trouble = ""
        except Unavailable as error:
            # The ledger may be in PostgreSQL, and this process may own no folder that it can write to.
            self.trouble = error.message
        if first:
            self._note_home(witnessed=not self.trouble)

    def _note_home(self, *, witnessed: bool) -> None:
        """Where the ledger lives, noted once."""
        embedded = self._door.ledger.embedded
        if self._door.look(past.home_before)[0] is None:
            with self._door.ledger.work() as tx:
                past.settle_in(tx, _NOWHERE if embedded else past.home_now(tx), witnessed=embedded and witnessed)


def _covered(tx: Transaction, known: Point) -> bool:
    """Did a restoration begin since that point was seen? Others noticed the same loss, and every login was probed."""
    latest = restorations.listed(tx, "", 1)
    return bool(latest) and latest[0].began_at >= known.at + COVERS
