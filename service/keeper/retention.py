"""Retention: what is old goes from the event log, as far as nothing stands on it any more.

Pruned is only what

    is older than was asked for, and than an hour: processes remember the last event that they saw
    lies behind a checkpoint that was handed out: whoever kept it can show what the log had been; since that is found
    by the query index, the index has it too, and knows who fetched what last
    no open rotation counts holders by
    fits the chain: a log that was tampered with keeps what shows it

Anybody who can write to the ledger can write to the index: it only tells where to look. What decides, stamps, fetches
and the event of the checkpoint, is believed of batches that were chained with the key.

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

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.errors import Conflict, Forbidden
from service.core.event import Opened
from service.core.pruned import Pruned, signed
from service.keeper.door import Deed, Door
from service.keeper.indexer import Indexer
from service.keeper.keys import Keyrings
from service.keeper.past import Past
from service.keeper.walls import Walls
from service.ledger import log, postings, pruned, pruning, questions, sweeping
from service.ledger.chain import Chain, Proof
from service.ledger.ledger import Transaction
from service.ledger.postings import STRETCH
from service.ledger.pruning import Mistaken, Piece
from service.ledger.questions import Question

YOUNGEST = timedelta(hours=1)
"""What is younger stays, whatever is asked for."""
BREATH = 0.01
"""Seconds between two pieces: others write meanwhile."""
PATIENCE = 5.0
"""Seconds that the index is given to come as far as the log is."""

REBUILD = "`keywrightd events verify --index` compares it, and `keywrightd events reindex` builds it anew"


class Tampered(Conflict):
    """Somebody was at the log, or at its index: nothing goes until a person has looked."""


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

    @property
    def why(self) -> str:
        """Why nothing goes, or less than was asked for; empty if neither."""
        if self.events or self.held_back:
            return self.held_back
        return (
            f"events go by stretches of {1 << STRETCH}, the last of which stays, and no other one is as a whole from "
            f"before {self.before:%Y-%m-%d %H:%M:%S} UTC"
        )


class Retention:
    """Prunes the event log."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, indexer: Indexer, past: Past) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._indexer = indexer
        self._past = past

    def plan(self, caller: Caller, before: datetime) -> Plan:
        """What would be pruned of what was recorded before that, by the index. Raises Forbidden, Tampered."""
        self._door.poll(caller, Deed("event.prune"), lambda _: self._allowed(caller))
        return self._planned(before)

    def older_than(self, length: timedelta) -> datetime:
        """The moment so long before now, on the ledger's clock."""
        return self._door.ledger.now() - length

    def prune(self, caller: Caller, before: datetime, keep: Keeps | None = None) -> Iterator[int]:
        """Prune what was recorded before that, piece by piece; each time comes the last event that went.

        Raises Forbidden; Tampered, which is recorded, where chain or index are not as they should be; Conflict while
        the ledger's past is in doubt, and if somebody else prunes at the same time.
        """
        deed = Deed("event.prune")
        self._door.poll(caller, deed, lambda _: self._allowed(caller))
        if self._past.look():
            raise Conflict(
                "the ledger's past may have been lost, and every rotation is held: nothing is pruned until that is over"
            )
        try:
            plan = self._planned(before)
            if plan.events:
                deed.detail |= {"before": plan.before.isoformat(), "from": plan.pruned + 1, "to": plan.upto}
                self._door.fetch(caller, deed, lambda _: None)
                for reached in self._pieces(plan, keep):
                    yield reached
                    time.sleep(BREATH)
        except Tampered as refusal:
            self._door.refuse(caller, deed, refusal)
            raise
        for _ in self._swept():
            yield plan.upto
            time.sleep(BREATH)

    def _pieces(self, plan: Plan, keep: Keeps | None) -> Iterator[int]:
        chain, signer = self._keyrings.chain(), self._keyrings.checkpoint_key()
        read = partial(pruning.read, chain=chain, stretch=plan.stretch, before=plan.before)
        while (piece := self._door.look(read)) is not None:
            if isinstance(piece, Proof):
                raise Tampered(f"nothing more is pruned, since the chain is broken: {piece.finding}")
            if isinstance(piece, Mistaken):
                raise Tampered(
                    f"nothing more is pruned: by the log's index all up to event {plan.upto} could go, and event "
                    f"{piece.seq} {piece.why}. The index was changed: {REBUILD}"
                )
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
        chain = self._keyrings.chain()
        return self._door.look(lambda tx: _planned(tx, chain, before))

    def _allowed(self, caller: Caller) -> None:
        require(caller, Level.OWN, EVERYTHING, "the event log")
        if self._walls.pinned is not None:
            raise Forbidden("this instance serves some environments only, and the log is of all: prune it elsewhere")


def _planned(tx: Transaction, chain: Chain, before: datetime) -> Plan:
    before = min(before, tx.now - YOUNGEST)
    record = pruned.record(tx)
    behind = record.seq if record else 0
    if postings.reached(tx) > behind and not postings.times(tx):
        raise Tampered(f"nothing is pruned: the log's index has no times. It was changed: {REBUILD}")
    checkpoint = _checkpoint(tx, chain)
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


def _checkpoint(tx: Transaction, chain: Chain) -> int:
    """The event up to which the youngest checkpoint reaches that was handed out; 0 for none. Raises Tampered."""
    for event in questions.ask(tx, Question(action="event.checkpoint", outcome="allowed", limit=1)):
        if chain.stands(tx, int(event["id"])) is None:
            raise Tampered(
                f"nothing is pruned: event {event['id']} says that a checkpoint was exported, and does not fit the "
                "chain. Somebody changed the log: `keywrightd events verify` says where"
            )
        return int(event["detail"].get("seq", 0))
    return 0


def _shown(piece: Piece) -> list[dict[str, Any]]:
    return [
        {"id": str(first + place)} | opened.entry(place)
        for first, opened in ((row.first, Opened(log.stored(row))) for row in piece.rows)
        for place in range(len(opened.lines))
    ]
