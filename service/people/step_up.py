"""Stepping up: a second factor shown in a session that is open. What needed it is then asked for once more.

A session that a browser keeps goes on under another id and text: who got hold of the old ones has gained nothing. One
that a command line sends as a token goes on as it is, since several commands may be using it.
"""

from dataclasses import dataclass, field
from typing import Any

from service.core.access import Caller
from service.core.errors import Forbidden, KeywrightError, Unauthenticated
from service.core.event import Outcome
from service.core.person import User
from service.core.secret import Secret
from service.core.token import Token
from service.keeper.delays import Delays
from service.keeper.door import Deed, Door
from service.keeper.factors import Factors
from service.keeper.sessions import Sessions
from service.ledger import factors, tokens
from service.ledger.ledger import Transaction
from service.people.showing import WRONG, For, Showing, Shown


@dataclass(frozen=True)
class Fresh:
    """A session in which a second factor was shown just now; and its text, if it got another one."""

    token: Token
    text: Secret | None = field(default=None, repr=False)


class Freshening:
    """Notes in a session that a second factor was shown."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def freshened(self, tx: Transaction, caller: Caller, *, anew: bool) -> Fresh:
        """Just now; under another text if it is to be `anew`."""
        if anew:
            return Fresh(*self._sessions.replaced(tx, caller.id, factor_at=tx.now))
        factors.freshen(tx, caller.id)
        token = tokens.find(tx, caller.id)
        if token is None or token.session is None:
            raise Unauthenticated("the session was ended meanwhile: sign in again")
        return Fresh(token)


class StepUp:
    """See above."""

    def __init__(self, door: Door, delays: Delays, held: Factors, showing: Showing, freshening: Freshening) -> None:
        self._door = door
        self._delays = delays
        self._held = held
        self._showing = showing
        self._freshening = freshening

    def challenge(self, caller: Caller) -> dict[str, Any]:
        """What the browser is to ask an authenticator for. Raises Forbidden, Conflict."""
        self._showing.require_passkeys()

        def evaluate(tx: Transaction) -> dict[str, Any]:
            return self._showing.challenge(tx, _for(caller), self._whose(tx, caller))

        return self._door.poll(caller, Deed("factor.show", resource=caller.actor), evaluate)

    def shows(self, caller: Caller, shown: Shown, *, anew: bool) -> Fresh:
        """It is shown: now. Raises Forbidden, also for what is wrong; Often, Invalid."""
        deed = Deed("factor.show", resource=caller.actor)
        try:
            # Whoever sits at an open session guesses no quicker than at the door.
            self._delays.begin(_account(caller), caller.address)
        except KeywrightError as refusal:
            self._door.refuse(caller, deed, refusal)
            raise

        def act(tx: Transaction) -> Fresh | None:
            user = self._whose(tx, caller)
            kind = self._showing.proven(tx, user, shown, _for(caller))
            if not kind:
                deed.outcome = Outcome.REFUSED
                return None
            deed.detail["factor"] = kind
            self._delays.right(tx, _account(caller), caller.address)
            return self._freshening.freshened(tx, caller, anew=anew)

        fresh = self._door.change(caller, deed, act)
        if fresh is None:
            raise Forbidden(WRONG)
        return fresh

    def _whose(self, tx: Transaction, caller: Caller) -> User:
        user = self._held.own(tx, caller)
        if not (caller.user and caller.user.session):
            raise Forbidden("a token of your own shows no second factor: sign in for what needs one")
        if not user.factors:
            raise Forbidden("you have no second factor: add one first (POST /api/v1/factors/totp)")
        return user


def _account(caller: Caller) -> str:
    return f"own:{caller.actor}"


def _for(caller: Caller) -> For:
    return For("step-up", caller.id)
