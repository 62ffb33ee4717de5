"""New passwords: how one is chosen, and for whom.

    signed in, by the old one     the other sessions end, and this one goes on under a new id
    by an invitation              the text that an owner of people made (`keeper/invitations.py`)
    by what waits as `password`   the old one was right but has ended (`entering.py`)
    set by an owner of people     it has to be changed at the next sign-in; the user's sessions end

Whatever waited for the user is over then: open invitations, half sign-ins. Tokens of its own stay.
"""

from datetime import datetime, timedelta

from service.core.access import Caller
from service.core.errors import Conflict, Forbidden, Unauthenticated
from service.core.event import Detail, Event, Outcome
from service.core.passphrase import normal
from service.core.person import Settings, User
from service.core.secret import Secret
from service.core.token import Token
from service.keeper import invitations
from service.keeper.delays import Delays
from service.keeper.door import Deed, Door
from service.keeper.invitations import kept_by
from service.keeper.pendings import Pendings
from service.keeper.recorder import Recorder
from service.keeper.sessions import PASSWORD, Sessions, Way, from_data
from service.ledger import pendings, settings, users
from service.ledger.ledger import Transaction
from service.people.entering import Entered, Entering, Visitor
from service.people.hashing import Hashing
from service.people.signing_in import somebody
from service.people.strangers import refused
from service.people.strength import Strength

CHANGE = "password.change"
_OVER = "this text is unknown, was used, or is over: ask for another invitation, or sign in again"
_KINDS = (invitations.KIND, PASSWORD)


class NewPasswords:
    """See above."""

    def __init__(
        self,
        door: Door,
        recorder: Recorder,
        waiting: Pendings,
        delays: Delays,
        sessions: Sessions,
        hashing: Hashing,
        strength: Strength,
        entering: Entering,
    ) -> None:
        self._door = door
        self._recorder = recorder
        self._pendings = waiting
        self._delays = delays
        self._sessions = sessions
        self._hashing = hashing
        self._strength = strength
        self._entering = entering

    def change(self, caller: Caller, old: Secret, new: Secret) -> tuple[Token, Secret]:
        """The caller's own. Its session goes on, under a new text. Raises Forbidden, Invalid, Conflict, Often."""
        who = caller.user
        if who is None or not who.session:
            refusal = Forbidden("a password is changed by who is signed in: a token cannot")
            self._door.refuse(caller, Deed(CHANGE), refusal)
            raise refusal
        user, kept = self._door.look(lambda tx: _with_hash(tx, who.id))
        chosen = self._chosen(new, user, "new")
        deed = Deed(CHANGE, resource=who.id)
        with self._hashing.turn():
            # Whoever sits at an open session guesses no quicker than at the door.
            self._delays.begin(f"own:{who.id}", caller.address)
            right = self._hashing.right(kept, normal(old, "old"))
            hashed = self._hashing.hashed(chosen) if right else ""
        if not right:
            refusal = Forbidden("the old password is wrong")
            self._door.refuse(caller, deed, refusal)
            raise refusal
        if normal(old, "old").reveal() == chosen.reveal():
            raise Conflict("the new password is the old one: choose another")

        def act(tx: Transaction) -> tuple[Token, Secret]:
            _, still = _with_hash(tx, who.id)
            if still != kept:
                raise Conflict("the password was changed meanwhile")
            self._delays.right(tx, f"own:{who.id}", caller.address)
            self._set(tx, who.id, hashed)
            deed.detail["ended"] = users.end_tokens(tx, who.id, but=caller.id, sessions_only=True)
            return self._sessions.replaced(tx, caller.id)

        return self._door.change(caller, deed, act)

    def choose(self, text: Secret, new: Secret, visitor: Visitor) -> Entered:
        """By an invitation, or by what waits after a password that has ended: the new one, and signed in.

        Raises Unauthenticated, Invalid, Forbidden, Often, Unavailable.
        """
        known = self._door.look(lambda tx: self._waiting(tx, text))
        if known is None:
            raise refused(self._recorder, visitor, CHANGE, _OVER, "unknown text")
        chosen = self._chosen(new, known[0], "password")
        with self._hashing.turn():
            former = self._door.look(lambda tx: users.guarded(tx, known[0].id)).hash
            if known[1] is not None and self._hashing.right(former, chosen):
                raise Conflict("the new password is the one that has ended: choose another")
            hashed = self._hashing.hashed(chosen)

        def act(tx: Transaction) -> Entered:
            found = self._waiting(tx, text)
            if found is None:
                raise Unauthenticated(_OVER)
            user, way = found
            if not (user.emergency or settings.read(tx).local_sign_in):
                raise Forbidden("signing in with a password is switched off here")
            self._set(tx, user.id, hashed)
            ended = users.end_tokens(tx, user.id, sessions_only=True)
            by = Caller(user.id, user.email, "person", (), visitor.address, visitor.request_id)
            detail: dict[str, Detail] = {"by": PASSWORD if way else invitations.KIND, "ended": ended}
            tx.events.append(Event(tx.now, by, CHANGE, Outcome.ALLOWED, resource=user.id, detail=detail))
            now = users.get(tx, user.id)
            assert now is not None  # it was there a moment ago, in this transaction  # noqa: S101
            return self._entering.enter(tx, now, way or Way(PASSWORD, visitor.address, visitor.agent), visitor)

        try:
            return self._door.change(somebody(visitor), (), act)
        except Unauthenticated as refusal:
            raise refused(self._recorder, visitor, CHANGE, refusal.message, "unknown text") from None

    def set_for(self, caller: Caller, user_id: str, new: Secret) -> User:
        """Somebody else's: it must be changed at the next sign-in. Raises Absent, Forbidden, Invalid."""
        user = self._door.poll(caller, Deed("password.set", resource=user_id), lambda tx: kept_by(tx, caller, user_id))
        chosen = self._chosen(new, user, "password")
        with self._hashing.turn():
            hashed = self._hashing.hashed(chosen)

        def act(tx: Transaction) -> User:
            found = kept_by(tx, caller, user_id)
            deed.detail["email"] = found.email
            self._set(tx, found.id, hashed, must_change=True)
            deed.detail["ended"] = users.end_tokens(tx, found.id, sessions_only=True)
            self._delays.forget(tx, found.email)
            return found

        deed = Deed("password.set", resource=user_id)
        return self._door.change(caller, deed, act)

    def _chosen(self, new: Secret, user: User, field: str) -> Secret:
        return self._strength.require(new, user, self._door.look(settings.read), field)

    def _set(self, tx: Transaction, user_id: str, hashed: str, *, must_change: bool = False) -> None:
        users.set_password(tx, user_id, hashed, _ends(settings.read(tx), tx.now), must_change=must_change)
        pendings.end(tx, user_id)

    def _waiting(self, tx: Transaction, text: Secret) -> tuple[User, Way | None] | None:
        """For whom this text is, and the way in that waits for the new password; None for an invitation."""
        for kind in _KINDS:
            data = self._pendings.peek(tx, kind, text.reveal())
            user = users.get(tx, str(data["user"])) if data else None
            if data is not None and user is not None and user.enabled:
                return user, from_data(data) if kind == PASSWORD else None
        return None


def _ends(kept: Settings, now: datetime) -> datetime | None:
    return now + timedelta(days=kept.password_days) if kept.password_days else None


def _with_hash(tx: Transaction, user_id: str) -> tuple[User, str | None]:
    user = users.get(tx, user_id)
    if user is None:
        raise Unauthenticated("the account was removed meanwhile")
    return user, users.guarded(tx, user_id).hash
