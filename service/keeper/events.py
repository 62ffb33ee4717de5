"""The audit log: asked, and proven."""

import re
from typing import Any

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.errors import Invalid
from service.core.event import Detail
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.keeper.walls import Walls
from service.ledger import log
from service.ledger.ledger import Transaction
from service.ledger.log import Proof, Question

__all__ = ["Events", "Proof", "Question"]

_HASH = re.compile("[0-9a-fA-F]{64}")


class Events:
    """Operations on the event log."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings

    def ask(self, caller: Caller, question: Question) -> list[dict[str, Any]]:
        """The events that fit, the youngest first: everything recorded before the question. Raises Forbidden."""
        asked: dict[str, Detail] = {
            k: str(v) for k, v in vars(question).items() if v and k not in ("actor", "limit", "before")
        }
        if question.actor:
            asked["actor"] = True  # it may be a person's name, which must not enter the chain
        deed = Deed("event.list", question.environment, detail=asked)
        self._door.poll(caller, deed, lambda _: require(caller, Level.OWN, EVERYTHING, "the event log"))
        self.catch_up()
        # A pinned instance tells what happened in the environments that it serves, and to the installation.
        told = None if self._walls.pinned is None else self._walls.pinned | {""}
        return self._door.fetch(caller, deed, lambda tx: log.ask(tx, question, told))

    def catch_up(self) -> None:
        """Bring the query index up to the end of the log."""
        more = self._door.look(log.lag) > 0
        while more:
            with self._door.ledger.work() as tx:
                more = log.catch_up(tx)

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
