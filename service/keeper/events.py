"""The audit log: asked, and proven."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.checkpoint import Checkpoint, check, read, signed
from service.core.errors import Absent, Invalid
from service.core.event import Detail
from service.keeper.door import Deed, Door
from service.keeper.indexer import Indexer
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls
from service.ledger import log, past, questions
from service.ledger.ledger import Transaction
from service.ledger.log import Proof
from service.ledger.questions import Question

__all__ = ["Events", "Found", "Proof", "Question"]

_HASH = re.compile("[0-9a-fA-F]{64}")


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
        """Where the chain has come to, signed: to be kept outside of the ledger. Raises Forbidden, Absent."""
        key = self._keyrings.checkpoint_key()

        def evaluate(tx: Transaction) -> Checkpoint:
            require(caller, Level.OWN, EVERYTHING, "the event log")
            installation, end = past.beginning(tx), past.end(tx)
            if installation is None:
                raise Absent("nothing was recorded yet: there is no checkpoint")
            return signed(key, installation, end.seq, end.hash, tx.now)

        return self._door.fetch(caller, Deed("event.checkpoint"), evaluate)

    def verify_against(self, caller: Caller, text: str) -> Proof:
        """Follow the whole chain, which must pass through an exported checkpoint. Raises Invalid, Forbidden."""
        given = read(text)
        check(given, self._keyrings.checkpoint_key())
        return self.verify(caller, given.hash)

    def verify(self, caller: Caller, end: str | None = None) -> Proof:
        """Follow the whole chain; `end` is what an earlier proof ended in, noted elsewhere (64 hex digits).

        Without it a tail that was cut together with `head` cannot be found. Raises Forbidden, Invalid.
        """
        if end is not None and not _HASH.fullmatch(end):
            raise Invalid("end must be the 64 hex digits that an earlier verification ended in", field="end")
        key = self._keyrings.chain_key()
        noted = bytes.fromhex(end) if end is not None else None

        def evaluate(tx: Transaction) -> Proof:
            require(caller, Level.OWN, EVERYTHING, "the event log")
            return log.prove(tx, key, noted)

        return self._door.fetch(caller, Deed("event.verify"), evaluate)
