"""Signing in with a passkey, and nothing else: the authenticator looks who it is (user verification is required), so
that having it and knowing its PIN, or being its finger, are two proofs in one.

    challenge, for any passkey ──► the authenticator chooses one ──► whose it is ──► the session, `factor_at` now

It is a way in that is kept here, like a password: where those are switched off, so is this one, but for emergencies.
"""

from typing import Any

from service.core.errors import Unauthenticated
from service.core.event import Outcome
from service.core.person import User
from service.keeper.door import Deed, Door
from service.keeper.recorder import Recorder
from service.keeper.sessions import Sessions, Way
from service.ledger import factors, settings, users
from service.ledger.ledger import Transaction
from service.people.arrival import Place, SignedIn, unknown
from service.people.passkeys import Answer, challenge_in, credential_in
from service.people.showing import WRONG, For, Passkey, Showing

METHOD = "passkey"
_FOR = For("alone")
_UNKNOWN = "this passkey is not known here, or is of no use for signing in: sign in another way"


class PasskeySignIn:
    """See above."""

    def __init__(self, door: Door, recorder: Recorder, sessions: Sessions, showing: Showing) -> None:
        self._door = door
        self._recorder = recorder
        self._sessions = sessions
        self._showing = showing

    def begins(self) -> dict[str, Any]:
        """What the browser is to ask an authenticator for. Raises Conflict where passkeys are of no use."""
        self._showing.require_passkeys()
        return self._door.look(lambda tx: self._showing.challenge(tx, _FOR, None))

    def ends(self, answer: Answer, place: Place) -> SignedIn:
        """The session of whose passkey it is. Raises Unauthenticated, Often, Invalid."""
        challenge_in(answer)
        credential = credential_in(answer)
        known = self._door.look(lambda tx: _whose(tx, credential))
        if known is None:
            raise unknown(self._recorder, place, _UNKNOWN)
        deed = Deed("session.open", resource=known.id, detail={"method": METHOD})

        def act(tx: Transaction) -> SignedIn | None:
            user = _whose(tx, credential)
            if user is None:
                deed.outcome = Outcome.REFUSED
                return None
            if not self._showing.proves(tx, user, Passkey(answer), _FOR, deed):
                return None
            way = Way(METHOD, place.address, place.agent, factor_at=tx.now)
            token, text = self._sessions.opened(tx, user, way)
            deed.detail["session"] = token.id
            return SignedIn(user, token, text)

        opened = self._door.change(place.caller(known), deed, act)
        if opened is None:
            raise Unauthenticated(WRONG)
        return opened


def _whose(tx: Transaction, credential: str) -> User | None:
    """Who may sign in with it."""
    factor = factors.credential(tx, credential)
    user = users.get(tx, factor.user_id) if factor else None
    if user is None or not user.enabled:
        return None
    return user if user.emergency or settings.read(tx).local_sign_in else None
