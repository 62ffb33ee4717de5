"""Signing in with an e-mail address and a password.

    given ──► a turn to hash ──► must it wait? (`keeper/delays.py`) ──► held against the hash ──► entering.py
                  │ none            │ yes, counted on                       │ wrong, unknown, disabled, without a
                  ▼                 ▼                                       ▼ password: one sentence, the same work
                 503               429                                     401

Whether there is such an account, nobody learns: neither by the words, nor by the work done, nor by the waits.
"""

from service.core.access import Caller
from service.core.errors import Forbidden, Often, Unauthenticated
from service.core.passphrase import normal
from service.core.person import User, email
from service.core.secret import Secret
from service.keeper.delays import Delays
from service.keeper.door import Door
from service.keeper.recorder import Recorder
from service.keeper.sessions import OPEN, PASSWORD, Way
from service.ledger import settings, users
from service.ledger.ledger import Transaction
from service.people.entering import Entered, Entering, Visitor
from service.people.hashing import Hashing
from service.people.strangers import refused

_WRONG = "the e-mail address or the password is wrong"
_OFF = "signing in with a password is switched off here: sign in by your identity provider"


class SigningIn:
    """See above."""

    def __init__(self, door: Door, recorder: Recorder, delays: Delays, hashing: Hashing, entering: Entering) -> None:
        self._door = door
        self._recorder = recorder
        self._delays = delays
        self._hashing = hashing
        self._entering = entering

    def sign_in(self, address: str, password: Secret, visitor: Visitor) -> Entered:
        """Who this is. Raises Unauthenticated, Often, Unavailable, Invalid; Forbidden where it is switched off."""
        account, shown = email(address), normal(password)
        with self._hashing.turn():
            self._begun(account, visitor)
            user, kept = self._door.look(lambda tx: _known(tx, account))
            right = self._hashing.right(kept, shown)
            newer = self._hashing.hashed(shown) if right and kept and self._hashing.dated(kept) else ""
        if user is None or not right or not user.enabled:
            reason = "unknown" if user is None else "wrong" if not right else "disabled"
            raise refused(self._recorder, visitor, OPEN, _WRONG, reason, user.id if user else "")
        who = user

        def act(tx: Transaction) -> Entered:
            now, still = _known(tx, account)
            if now is None or now.id != who.id or not now.enabled or still != kept:
                raise Unauthenticated(_WRONG)  # changed while the password was looked at
            if not (now.emergency or settings.read(tx).local_sign_in):
                raise Forbidden(_OFF)
            if newer:
                users.rehash(tx, now.id, newer)
            return self._entering.enter(tx, now, Way(PASSWORD, visitor.address, visitor.agent), visitor)

        try:
            return self._door.change(somebody(visitor), (), act, aside=True)
        except (Unauthenticated, Forbidden) as refusal:
            told = refused(self._recorder, visitor, OPEN, refusal.message, "changed or switched off", who.id)
            raise refusal if isinstance(refusal, Forbidden) else told from None

    def _begun(self, account: str, visitor: Visitor) -> None:
        try:
            self._delays.begin(account, visitor.address)
        except Often as often:
            refused(self._recorder, visitor, OPEN, often.message, "has to wait")
            raise


def somebody(visitor: Visitor) -> Caller:
    """Of whom nothing is known yet."""
    return Caller("stranger", "", "stranger", (), visitor.address, visitor.request_id)


def _known(tx: Transaction, account: str) -> tuple[User | None, str | None]:
    user = users.named(tx, account)
    return user, users.guarded(tx, user.id).hash if user else None
