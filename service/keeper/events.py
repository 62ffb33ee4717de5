"""The audit log: asked, and proven."""

from typing import Any

from service.core.access import EVERYTHING, Caller, Level, require
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.ledger import log
from service.ledger.ledger import Transaction
from service.ledger.log import Proof, Question

__all__ = ["Events", "Proof", "Question"]


class Events:
    """Operations on the event log."""

    def __init__(self, door: Door, keyrings: Keyrings) -> None:
        self._door = door
        self._keyrings = keyrings

    def ask(self, caller: Caller, question: Question) -> list[dict[str, Any]]:
        """The events that fit, the youngest first: everything recorded before the question. Raises Forbidden."""
        asked = {k: str(v) for k, v in vars(question).items() if v and k not in ("limit", "before")}
        deed = Deed("event.list", question.environment, detail=dict(asked))
        self._door.poll(caller, deed, lambda _: require(caller, Level.OWN, EVERYTHING, "the event log"))
        self.catch_up()
        return self._door.fetch(caller, deed, lambda tx: log.ask(tx, question))

    def catch_up(self) -> None:
        """Bring the query index up to the end of the log."""
        while self._door.look(log.lag):
            with self._door.ledger.work() as tx:
                log.catch_up(tx)

    def verify(self, caller: Caller) -> Proof:
        """Follow the whole chain. Raises Forbidden."""
        key = self._keyrings.chain_key()

        def evaluate(tx: Transaction) -> Proof:
            require(caller, Level.OWN, EVERYTHING, "the event log")
            return log.prove(tx, key)

        return self._door.fetch(caller, Deed("event.verify"), evaluate)
