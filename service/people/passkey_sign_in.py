"""Signing in with a passkey, and nothing else: the authenticator looks who it is (user verification is required), so
that having it and knowing its PIN, or being its finger, are two proofs in one.

    challenge, for any passkey ──► the authenticator chooses one ──► whose it is ──► entering.py, `factor_at` now

It is a way in that is kept here, like a password: where those are switched off, so is this one, but for emergencies.
"""

from typing import Any

from service.core.access import Caller
from service.core.errors import Unauthenticated
from service.core.event import Event, Outcome
from service.core.person import User
from service.keeper.delays import Delays
from service.keeper.door import Door
from service.keeper.recorder import Recorder
from service.keeper.sessions import OPEN, Way
from service.ledger import factors, settings, users
from service.ledger.ledger import Transaction
from service.people.entering import Entered, Entering, Visitor
from service.people.passkeys import Answer, challenge_in, credential_in
from service.people.showing import WRONG, For, Passkey, Showing
from service.people.strangers import refused

METHOD = "passkey"
_FOR = For("alone")
_UNKNOWN = "this passkey is not known here, or is of no use for signing in: sign in another way"


class PasskeySignIn:
    """See above."""

    def __init__(self, door: Door, recorder: Recorder, delays: Delays, showing: Showing, entering: Entering) -> None:
        self._door = door
        self._recorder = recorder
        self._delays = delays
        self._showing = showing
        self._entering = entering

    def begins(self) -> dict[str, Any]:
        """What the browser is to ask an authenticator for. Raises Conflict where passkeys are of no use."""
        self._showing.require_passkeys()
        return self._door.look(lambda tx: self._showing.challenge(tx, _FOR, None))

    def ends(self, answer: Answer, visitor: Visitor) -> Entered:
        """Whose passkey it is, let in. Raises Unauthenticated, Often, Invalid."""
        challenge_in(answer)
        credential = credential_in(answer)
        known = self._door.look(lambda tx: _whose(tx, credential))
        if known is None:
            raise refused(self._recorder, visitor, OPEN, _UNKNOWN, "unknown passkey")
        caller = Caller(known.id, known.email, "person", (), visitor.address, visitor.request_id)
        self._delays.begin(known.email, visitor.address)

        def act(tx: Transaction) -> Entered | None:
            user = _whose(tx, credential)
            if user is None or not self._showing.proven(tx, user, Passkey(answer), _FOR):
                told = {"method": METHOD}
                tx.events.append(Event(tx.now, caller, OPEN, Outcome.REFUSED, resource=known.id, detail=told))
                return None
            way = Way(METHOD, visitor.address, visitor.agent, factor_at=tx.now)
            self._delays.right(tx, user.email, visitor.address)
            return self._entering.enter(tx, user, way, visitor)

        entered = self._door.change(caller, (), act)
        if entered is None:
            raise Unauthenticated(WRONG)
        return entered


def _whose(tx: Transaction, credential: str) -> User | None:
    """Who may sign in with it."""
    factor = factors.credential(tx, credential)
    user = users.get(tx, factor.user_id) if factor else None
    if user is None or not user.enabled:
        return None
    return user if user.emergency or settings.read(tx).local_sign_in else None
