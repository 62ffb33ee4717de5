"""Invitations: a text, good once, by which somebody chooses a password: for the first time, or because it was lost.

    made by an owner of people ──► handed over by whatever way ──► shown with a new password ──► signed in
       │   (or by `keywrightd owner`)                                (`people/new_passwords.py`)
       └─ over: another was made for the same user; it was disabled; it chose a password; `invite_days` have passed

Only the hash of the text is kept (`ledger/pendings.py`). It does not stand in for a second factor.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.core.access import PEOPLE, Caller, Grant, Kind, Level, Thing, require
from service.core.errors import Absent, Conflict, Forbidden
from service.core.person import User, UserType, email
from service.core.secret import Secret
from service.keeper.delays import Delays
from service.keeper.door import Deed, Door
from service.keeper.pendings import Pendings
from service.keeper.snapshot import person
from service.ledger import grants, groups, pendings, settings, users
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction

KIND = "invitation"
_EVERYTHING = Grant(Level.OWN, Kind.EVERYTHING)


@dataclass(frozen=True)
class Invitation:
    """What is handed over; shown only now."""

    user: User
    text: Secret
    expires_at: datetime
    new: bool = False
    """The account was made for it just now."""


class Invitations:
    """Operations on invitations."""

    def __init__(self, door: Door, waiting: Pendings, delays: Delays) -> None:
        self._door = door
        self._pendings = waiting
        self._delays = delays

    def add(self, caller: Caller, user_id: str) -> Invitation:
        """One for this user, in the place of what was open for it. Raises Absent, Forbidden, Conflict."""

        def act(tx: Transaction) -> Invitation:
            user = kept_by(tx, caller, user_id)
            deed.detail["email"] = user.email
            if not user.enabled:
                raise Conflict(f"user {user.email} is disabled: enable it first")
            self._delays.forget(tx, user.email)
            return self._made(tx, user)

        deed = Deed("invitation.add", resource=user_id)
        return self._door.change(caller, deed, act, aside=True)

    def owner(self, caller: Caller, address: str, *, drop_factors: bool = False) -> Invitation:
        """For who holds the ledger and its key: a user who owns everything, made, or let in again.

        It may sign in with its password where that is switched off for others. Raises Invalid.
        """
        found = email(address)
        new_id = self._door.new_id()

        def act(tx: Transaction) -> Invitation:
            former = users.named(tx, found)
            user = former or User(new_id, found, "", True, UserType.LOCAL, {}, 1, tx.now, caller.name, tx.now)
            revision = user.revision + 1 if former else 1
            user = replace(user, enabled=True, emergency=True, revision=revision, updated_at=tx.now)
            if former:
                users.change(tx, user)
            else:
                users.add(tx, user)
            if _EVERYTHING not in user.grants:
                grants.add(tx, self._door.new_id(), Holder(user.id, user.email, Holding.USER), _EVERYTHING)
            if drop_factors:
                deed.detail["factors"] = users.drop_factors(tx, user.id)
            deed.detail["email"] = found
            deed.resource = user.id
            self._delays.forget(tx, found)
            return replace(self._made(tx, user), new=former is None)

        deed = Deed("user.owner")
        return self._door.change(caller, deed, act)

    def _made(self, tx: Transaction, user: User) -> Invitation:
        pendings.end(tx, user.id)
        lasts = timedelta(days=settings.read(tx).invite_days)
        text = self._pendings.put(tx, KIND, {"user": user.id}, lasts, user_id=user.id)
        return Invitation(user, Secret(text), tx.now + lasts)


def kept_by(tx: Transaction, caller: Caller, user_id: str) -> User:
    """A user whom the caller may lay hands on: nobody takes over who holds more. Raises Absent, Forbidden."""
    require(caller, Level.OWN, PEOPLE, f"user {user_id[:64]}")
    user = users.get(tx, user_id)
    if user is None:
        raise Absent(f"user {user_id[:64]} does not exist")
    if caller.kind != "system":
        held = person(user, {group.id: group for group in groups.read(tx)}).grants
        for grant in held:
            if caller.level(Thing(grant.kind, grant.environment_id, grant.path)) != Level.OWN:
                raise Forbidden(f"user {user.email} holds more than you own: this is for somebody who owns all of it")
    return user
