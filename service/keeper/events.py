"""The audit log: asked, and proven."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.checkpoint import Checkpoint, check, read, signed
from service.core.errors import Absent, Conflict, Invalid
from service.core.event import Detail
from service.keeper.door import Deed, Door
from service.keeper.indexer import Indexer
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls
from service.ledger import exports, log, past, postings, pruned, questions
from service.ledger.agreement import Agreement, Key
from service.ledger.chain import Chain, Following, Proof, so_far
from service.ledger.ledger import Transaction
from service.ledger.questions import Question

__all__ = ["Agreement", "Events", "Following", "Found", "Proof", "Question"]

_HASH = re.compile("[0-9a-fA-F]{64}")
_BREATH = 0.002
"""Seconds between two pages of the chain: fetches are answered in the same process."""

_TICK = 1.0
"""Seconds between two words on how far the index is."""

Tells = Callable[[int, int], None]
"""Is told which event was reached, and which is the last one."""


def _nobody(reached: int, end: int) -> None:
    """Nobody wants to know."""


PATIENCE = 5.0
"""Seconds that a question waits for the index to come as far as the log was when it was asked."""


@dataclass(frozen=True)
class Found:
    """What answers a question. `lag`: so many of the youngest events it does not take into account yet."""

    events: list[dict[str, Any]]
    lag: int


class Events:
    """Operations on the event log."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, indexer: Indexer) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._indexer = indexer

    def ask(self, caller: Caller, question: Question) -> list[dict[str, Any]]:
        """As `answer`, where it does not matter whether the index lagged."""
        return self.answer(caller, question).events

    def answer(self, caller: Caller, question: Question) -> Found:
        """The events that fit, the youngest first: of everything recorded before the question. Raises Forbidden."""
        asked: dict[str, Detail] = {
            k: str(v) for k, v in vars(question).items() if v and k not in ("actor", "limit", "before")
        }
        if question.actor:
            asked["actor"] = True  # it may be a person's name, which must not enter the chain
        deed = Deed("event.list", question.environment, detail=asked)
        self._door.poll(caller, deed, lambda _: require(caller, Level.OWN, EVERYTHING, "the event log"))
        end = self._door.look(log.last)
        if question.before is not None:
            end = min(end, question.before - 1)
        lag = self._indexer.reach(end, seconds=PATIENCE)
        # A pinned instance tells what happened in the environments that it serves, and to the installation.
        told = None if self._walls.pinned is None else self._walls.pinned | {""}
        found: list[dict[str, Any]] = []
        # A snapshot for each page: what is in the log stays, and a long search holds up nobody.
        search = self._door.look(lambda tx: questions.begun(tx, question, told))
        while search is not None:
            search = self._door.look(partial(questions.went_on, search=search, found=found))
        return self._door.fetch(caller, deed, lambda _: Found(found, lag))

    def checkpoint(self, caller: Caller) -> Checkpoint:
        """Where the chain has come to, signed: to be kept outside of the ledger. Raises Forbidden, Absent.

        Its event says how far it reaches: what lies behind that may be pruned later.
        """
        key = self._keyrings.checkpoint_key()
        deed = Deed("event.checkpoint")

        def evaluate(tx: Transaction) -> Checkpoint:
            require(caller, Level.OWN, EVERYTHING, "the event log")
            installation, end = past.beginning(tx), past.end(tx)
            if installation is None:
                raise Absent("nothing was recorded yet: there is no checkpoint")
            deed.detail["seq"] = end.seq
            return signed(key, installation, end.seq, end.hash, tx.now)

        return self._door.fetch(caller, deed, evaluate)

    def verify_against(self, caller: Caller, text: str, tell: Tells = _nobody, *, index: bool = False) -> Proof:
        """Follow the whole chain, which must pass through an exported checkpoint.

        Raises Invalid, Forbidden, and Conflict where that was pruned.
        """
        given = read(text)
        check(given, self._keyrings.checkpoint_key())
        record = self._door.look(pruned.record)
        if record and given.seq < record.seq:
            raise Conflict(
                f"the checkpoint is of event {given.seq}, and the log was pruned up to event {record.seq} since: "
                "only a later one can be found in it"
            )
        return self.verify(caller, given.hash, tell, index=index)

    def verify(self, caller: Caller, end: str | None = None, tell: Tells = _nobody, *, index: bool = False) -> Proof:
        """Follow the whole chain; `end` is what an earlier proof ended in, noted elsewhere (64 hex digits).

        Without it a tail that was cut together with `head` cannot be found. `tell` is told meanwhile how far it is, and
        what the last event is. `index`: hold the query index against the log too. Raises Forbidden, Invalid.
        """
        if end is not None and not _HASH.fullmatch(end):
            raise Invalid("end must be the 64 hex digits that an earlier verification ended in", field="end")
        proof, _ = self._verified(
            caller, bytes.fromhex(end) if end is not None else None, None, None, tell, index=index
        )
        return proof

    def verify_on(
        self, caller: Caller, following: Following | None, seconds: float | None, *, index: bool = False
    ) -> tuple[Proof, Following | None]:
        """As `verify`, for so many seconds (None: to the end): what was found, and where to go on, if it does.

        Of the index each piece tells what it found by itself. `index` is for the beginning: a way goes on as it began.

        Raises Forbidden.
        """
        return self._verified(caller, None, following, seconds, _nobody, index=index)

    def _verified(
        self,
        caller: Caller,
        noted: bytes | None,
        following: Following | None,
        seconds: float | None,
        tell: Tells,
        *,
        index: bool,
    ) -> tuple[Proof, Following | None]:
        deed = Deed("event.verify", detail={"from": following.seq + 1} if following else {})
        self._door.poll(caller, deed, lambda _: require(caller, Level.OWN, EVERYTHING, "the event log"))
        chain = self._keyrings.chain()
        until = None if seconds is None else time.monotonic() + seconds
        if following is None:
            begun = self._door.look(lambda tx: chain.begun(tx, noted))
            if isinstance(begun, Proof):
                return self._door.fetch(caller, deed, lambda _: (begun, None))
            following = begun
            if index:
                self._indexer.reach(following.end, seconds=PATIENCE)
                following.agreement = Agreement()
        on = following
        while (found := self._door.look(partial(chain.went_on, following=on))) is None:
            tell(on.seq, on.end)
            if until is not None and time.monotonic() >= until:
                return self._door.fetch(caller, deed, lambda _: (so_far(on), on))
            time.sleep(_BREATH)
        if on.agreement is not None and found.broken_at is None:
            found = replace(found, index=self._fetches(chain, on.agreement))
        return self._door.fetch(caller, deed, lambda _: (found, None))

    def _fetches(self, chain: Chain, agreement: Agreement) -> str:
        after: Key | None = ("", "", "")
        while after is not None:
            after = self._door.look(partial(agreement.fetched, stands=chain.stands, after=after))
        return agreement.finding

    def reindex(self, caller: Caller, tell: Tells = _nobody) -> int:
        """Build the query index anew; how many events are in it. Raises Forbidden.

        Meanwhile questions find what is in it already, and say how much that lacks.
        """
        allowed = partial(require, caller, Level.OWN, EVERYTHING, "the event log")
        self._door.fetch(caller, Deed("event.reindex"), lambda _: allowed())
        with self._door.ledger.work() as tx:  # `head` is not held meanwhile: others record
            behind = postings.drop(tx)
        end = self._door.look(log.last)
        lacks, before = end - behind, -1
        while lacks and lacks != before:  # what is missing in the log itself never comes
            lacks, before = self._indexer.reach(end, seconds=_TICK), lacks
            tell(end - behind - lacks, end - behind)
        return end - behind - lacks

    def export(
        self, caller: Caller, since: datetime | None, until: datetime | None, tell: Tells = _nobody
    ) -> Iterator[dict[str, Any]]:
        """Every event of a time, the oldest first, as it is shown. Raises Forbidden.

        What is recorded while they are read is not among them.
        """
        asked: dict[str, Detail] = {k: str(v) for k, v in (("since", since), ("until", until)) if v}
        deed = Deed("event.export", detail=asked)
        self._door.poll(caller, deed, lambda _: require(caller, Level.OWN, EVERYTHING, "the event log"))
        self._indexer.reach(self._door.look(log.last), seconds=PATIENCE)
        told = None if self._walls.pinned is None else self._walls.pinned | {""}
        passage = self._door.fetch(caller, deed, lambda tx: exports.begun(tx, since, until, told))
        while True:
            found = self._door.look(partial(exports.went_on, passage=passage))
            if found is None:
                return
            yield from found
            tell(passage.seq, passage.end)
