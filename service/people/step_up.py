"""Stepping up: a second factor shown in a session that is open. What needed it is then asked for once more."""

from datetime import datetime
from typing import Any

from service.core.access import Caller
from service.core.errors import Forbidden
from service.core.person import User
from service.keeper.door import Deed, Door
from service.keeper.factors import Factors
from service.ledger import factors
from service.ledger.ledger import Transaction
from service.people.showing import WRONG, For, Showing, Shown

PURPOSE = "step-up"


class StepUp:
    """See above."""

    def __init__(self, door: Door, held: Factors, showing: Showing) -> None:
        self._door = door
        self._held = held
        self._showing = showing

    def challenge(self, caller: Caller) -> dict[str, Any]:
        """What the browser is to ask an authenticator for. Raises Forbidden, Conflict."""
        self._showing.require_passkeys()

        def evaluate(tx: Transaction) -> dict[str, Any]:
            return self._showing.challenge(tx, For(PURPOSE, caller.id), self._whose(tx, caller))

        return self._door.poll(caller, Deed("factor.show", resource=caller.actor), evaluate)

    def shows(self, caller: Caller, shown: Shown) -> datetime:
        """When it was shown: now. Raises Forbidden, also for what is wrong; Often, Invalid."""
        deed = Deed("factor.show", resource=caller.actor)

        def act(tx: Transaction) -> datetime | None:
            user = self._whose(tx, caller)
            if not self._showing.proves(tx, user, shown, For(PURPOSE, caller.id), deed):
                return None
            factors.freshen(tx, caller.id)
            return tx.now

        at = self._door.change(caller, deed, act)
        if at is None:
            raise Forbidden(WRONG)
        return at

    def _whose(self, tx: Transaction, caller: Caller) -> User:
        user = self._held.own(tx, caller)
        if not (caller.user and caller.user.session):
            raise Forbidden("a token of your own shows no second factor: sign in for what needs one")
        if not user.factors:
            raise Forbidden("you have no second factor: add one first (POST /api/v1/factors)")
        return user
