"""Retention: what is old goes from the event log, as far as nothing stands on it any more.

Pruned is only what

    is older than was asked for, and than an hour: processes remember the last event that they saw
    lies behind a checkpoint that was handed out: whoever kept it can show what the log had been; since that is found
    by the query index, the index has it too, and knows who fetched what last
    no open rotation counts holders by
    fits the chain: a log that was tampered with keeps what shows it

and nothing at all while the ledger's past is in doubt. That they are pruned is an event, on disk before they go.

They go in small pieces, each with its record: whoever fetches waits for a few milliseconds at most, and after an
interruption it is simply begun again.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.errors import Conflict, Forbidden
from service.core.event import Opened
from service.core.pruned import Pruned, signed
from service.keeper.door import Deed, Door
from service.keeper.indexer import Indexer
from service.keeper.keys import Keyrings
from service.keeper.past import Past
from service.keeper.walls import Walls
from service.ledger import log, pruned, pruning, questions, sweeping
from service.ledger.chain import Chain, Proof
from service.ledger.ledger import Transaction
from service.ledger.pruning import Piece
from service.ledger.questions import Question

YOUNGEST = timedelta(hours=1)
"""What is younger stays, whatever is asked for."""
BREATH = 0.01
"""Seconds between two pieces: others write meanwhile."""
PATIENCE = 5.0
"""Seconds that the index is given to come as far as the log is."""

Keeps = Callable[[list[dict[str, Any]]], None]
"""Is given what is about to be pruned, as it is shown, and returns when it is on disk elsewhere."""


@dataclass(frozen=True)
class Plan:
    """What would be pruned: events behind `pruned`, up to `upto`.

    `held_back` says why it is less than was asked for; empty if it is not.
    """

    before: datetime
    pruned: int
    upto: int
    checkpoint: int
    held_back: str
    stretch: int

    @property
    def events(self) -> int:
        """How many."""
        return self.upto - self.pruned


class Retention:
    """Prunes the event log."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, indexer: Indexer, past: Past) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._indexer = indexer
        self._past = past

    def plan(self, caller: Caller, before: datetime) -> Plan:
        """What would be pruned of what was recorded before that. Raises Forbidden."""

        self._door.poll(caller, Deed("event.prune"), lambda _: self._allowed(caller))
        return self._planned(before)

    def older_than(self, length: timedelta) -> datetime:
        """The moment so long before now, on the ledger's clock."""
        return self._door.ledger.now() - length

    def prune(self, caller: Caller, before: datetime, keep: Keeps | None = None) -> Iterator[int]:
        """Prune what was recorded before that, piece by piece; each time comes the last event that went.

        Raises Forbidden; Conflict while the ledger's past is in doubt, where the chain is broken, and if somebody else
        prunes at the same time.
        """
        deed = Deed("event.prune")
        self._door.poll(caller, deed, lambda _: self._allowed(caller))
        if self._past.look():
            raise Conflict(
                "the ledger's past may have been lost, and every rotation is held: nothing is pruned until that is over"
            )
        chain, signer = self._keyrings.chain(), self._keyrings.checkpoint_key()
        plan = self._planned(before)
        if plan.events:
            deed.detail |= {"before": plan.before.isoformat(), "from": plan.pruned + 1, "to": plan.upto}
            self._door.fetch(caller, deed, lambda _: None)
            for reached in self._pieces(chain, signer, plan.stretch, keep):
                yield reached
                time.sleep(BREATH)
        for _ in self._swept():
            yield plan.upto
            time.sleep(BREATH)

    def _pieces(self, chain: Chain, signer: Ed25519PrivateKey, stretch: int, keep: Keeps | None) -> Iterator[int]:
        while (piece := self._door.look(partial(pruning.read, chain=chain, stretch=stretch))) is not None:
            if isinstance(piece, Proof):
                raise Conflict(f"nothing more is pruned, since the chain is broken: {piece.finding}")
            if keep is not None:
                keep(_shown(piece))
            with self._door.ledger.work() as tx:
                record = Pruned(piece.installation, piece.seq, piece.hash, tx.now.isoformat())
                mine = pruning.remove(tx, piece, signed(signer, record))
            if not mine:
                raise Conflict("somebody else is pruning the event log at this moment; nothing was done twice")
            yield piece.seq

    def _swept(self) -> Iterator[None]:
        """Also what an earlier run left that was interrupted."""
        for look, sweep in sweeping.KINDS:
            found = self._door.look(look)
            while True:
                stale = found.stale
                while stale:
                    with self._door.ledger.work() as tx:
                        stale = sweep(tx, stale)
                    yield
                if found.after is None:
                    break
                found = self._door.look(partial(look, after=found.after))

    def _planned(self, before: datetime) -> Plan:
        self._indexer.reach(self._door.look(log.last), seconds=PATIENCE)
        return self._door.look(lambda tx: _planned(tx, before))

    def _allowed(self, caller: Caller) -> None:
        require(caller, Level.OWN, EVERYTHING, "the event log")
        if self._walls.pinned is not None:
            raise Forbidden("this instance serves some environments only, and the log is of all: prune it elsewhere")


def _planned(tx: Transaction, before: datetime) -> Plan:
    before = min(before, tx.now - YOUNGEST)
    checkpoint = _checkpoint(tx)
    record = pruned.record(tx)
    behind = record.seq if record else 0
    found = pruning.bounds(tx, before, checkpoint)
    upto = max(behind, pruning.reaches(tx, found.stretch))
    held_back = ""
    if found.stretch < min(found.age, found.end):
        if found.stretch == found.checkpoint:
            held_back = (
                f"the last checkpoint reaches to event {checkpoint}" if checkpoint else "no checkpoint was exported yet"
            ) + ": export one with `keywrightd events checkpoint`, and keep it elsewhere"
        else:
            held_back = "a rotation that has not ended counts who fetched by older events"
    return Plan(before, behind, upto, checkpoint, held_back, found.stretch)


def _checkpoint(tx: Transaction) -> int:
    """The event up to which the youngest checkpoint reaches that was handed out; 0 for none."""
    found = questions.ask(tx, Question(action="event.checkpoint", outcome="allowed", limit=1))
    return max((int(event["detail"].get("seq", 0)) for event in found), default=0)


def _shown(piece: Piece) -> list[dict[str, Any]]:
    return [
        {"id": str(first + place)} | opened.entry(place)
        for first, opened in ((row.first, Opened(log.stored(row))) for row in piece.rows)
        for place in range(len(opened.lines))
    ]
