"""Users: the accounts of people, as those who keep them work on them. How somebody signs in is not known here.

    *use* on people   see users and groups
    *own* on people   add, change, disable, remove; but nobody who holds more than the caller owns
    oneself           may always be seen

Events name users by their ids: what names a person can be erased, and an event's body cannot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from service.core.access import EVERYTHING, PEOPLE, Caller, Grants, Kind, Level, Thing, require
from service.core.errors import Absent, Conflict
from service.core.event import Detail, fit
from service.core.person import User, UserType, attributes, email, shown_name
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.freshness import require_fresh
from service.keeper.granting import Granting, ShownGrant
from service.keeper.standing import an_owner_stays, require_over, standing
from service.keeper.walls import Walls
from service.ledger import environments, pendings, users
from service.ledger.grants import Holder, Holding
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class ShownUser:
    """A user, its own grants with environments by name, and the names of all groups that it is in."""

    user: User
    grants: tuple[ShownGrant, ...]
    groups: tuple[str, ...]


@dataclass(frozen=True)
class ChangedUser:
    """What is to be otherwise; None stays as it is."""

    email: str | None = None
    name: str | None = None
    attributes: Mapping[str, object] | None = None
    enabled: bool | None = None
    emergency: bool | None = None

    @property
    def only_name(self) -> bool:
        """Is it about nothing that anything but a rule depends on?"""
        return self == ChangedUser(name=self.name)


@dataclass(frozen=True)
class Landing:
    """Where a person is taken after signing in."""

    environment: str
    folder: str


class Users:
    """Operations on users."""

    def __init__(self, door: Door, walls: Walls, granting: Granting) -> None:
        self._door = door
        self._walls = walls
        self._granting = granting

    def listed(self, caller: Caller, after: str, limit: int, address: str = "") -> list[ShownUser]:
        """All of them, or the one with this address, by address. Raises Absent, Invalid."""
        only = email(address) if address else ""

        def evaluate(tx: Transaction) -> list[ShownUser]:
            require(caller, Level.USE, PEOPLE, "the list of users")
            one = users.named(tx, only) if only else None
            found = [one] if one and one.email > after else [] if only else users.every(tx, after, limit)
            return [self._shown(tx, user) for user in found]

        return self._door.fetch(caller, Deed("user.list"), evaluate)

    def get(self, caller: Caller, user_id: str) -> ShownUser:
        """One of them; oneself, always. Raises Absent."""

        def evaluate(tx: Transaction) -> ShownUser:
            if caller.user is None or caller.user.id != user_id:
                require(caller, Level.USE, PEOPLE, f"user {fit(user_id)[:64]}")
            return self._shown(tx, _there(users.get(tx, user_id), user_id))

        return self._door.fetch(caller, Deed("user.get", resource=user_id), evaluate)

    def add(
        self,
        caller: Caller,
        address: str,
        name: str = "",
        given: Mapping[str, object] | None = None,
        *,
        emergency: bool = False,
    ) -> ShownUser:
        """A new one, who holds nothing and cannot sign in yet. Raises Invalid, Absent, Forbidden, Conflict."""
        found = email(address)
        shown_name(name)
        kept = attributes(given or {})
        user_id = self._door.new_id()

        def act(tx: Transaction) -> ShownUser:
            require(caller, Level.OWN, PEOPLE, f"user {found}")
            if emergency:
                require(caller, Level.OWN, EVERYTHING, "a user for emergencies")
            self._unused(tx, found)
            made = User(user_id, found, name, True, UserType.LOCAL, kept, 1, tx.now, caller.name, tx.now)
            users.add(tx, replace(made, emergency=emergency))
            return self._found(tx, user_id)

        detail: dict[str, Detail] = {"emergency": emergency}
        return self._door.change(caller, Deed("user.add", resource=user_id, detail=detail), act)

    def change(self, caller: Caller, user_id: str, wanted: ChangedUser, if_match: int | None = None) -> ShownUser:
        """Change what is given. Disabled, its sessions and tokens are gone; its memberships and grants stay.

        Raises Invalid, Absent, Forbidden, Conflict, Outdated.
        """
        address = None if wanted.email is None else email(wanted.email)
        shown_name(wanted.name or "")
        kept = None if wanted.attributes is None else attributes(wanted.attributes)

        def act(tx: Transaction) -> ShownUser:
            former = self._mine(tx, caller, user_id, harmless=wanted.only_name)
            if not wanted.only_name:
                require_fresh(tx, caller, "changing an account")
            check_revision(if_match, former.revision)
            if wanted.emergency is not None and wanted.emergency != former.emergency:
                require(caller, Level.OWN, EVERYTHING, "a user for emergencies")
            if address is not None and address != former.email:
                self._unused(tx, address)
                deed.detail["email"] = "changed"
            if wanted.enabled is False and caller.user is not None and caller.user.id == user_id:
                raise Conflict("nobody disables their own account: somebody else has to")
            changed = replace(
                former,
                email=former.email if address is None else address,
                name=former.name if wanted.name is None else wanted.name,
                attributes=former.attributes if kept is None else kept,
                enabled=former.enabled if wanted.enabled is None else wanted.enabled,
                emergency=former.emergency if wanted.emergency is None else wanted.emergency,
                revision=former.revision + 1,
                updated_at=tx.now,
            )
            with an_owner_stays(tx):
                users.change(tx, changed)
            if former.enabled and not changed.enabled:
                deed.detail["tokens_ended"] = self.ended(tx, user_id)
            return self._found(tx, user_id)

        given = {"enabled": wanted.enabled, "emergency": wanted.emergency}
        told: dict[str, Detail] = {name: value for name, value in given.items() if value is not None}
        if wanted.attributes is not None:
            told["attributes"] = " ".join(sorted(wanted.attributes))
        deed = Deed("user.change", resource=user_id, detail=told)
        return self._door.change(caller, deed, act)

    def remove(self, caller: Caller, user_id: str, if_match: int | None = None) -> None:
        """It is gone, with its grants, memberships, sessions and tokens.

        Raises Absent, Forbidden, Conflict, Outdated.
        """

        def act(tx: Transaction) -> None:
            former = self._mine(tx, caller, user_id)
            require_fresh(tx, caller, "removing an account")
            check_revision(if_match, former.revision)
            if caller.user is not None and caller.user.id == user_id:
                raise Conflict("nobody removes their own account: somebody else has to")
            with an_owner_stays(tx):
                users.remove(tx, user_id)

        deed = Deed("user.remove", resource=user_id)
        self._door.change(caller, deed, act)

    def landing(self, caller: Caller) -> Landing | None:
        """Where a group of the caller's takes members who may not edit there; None for those who may, everywhere.

        Of several groups, the first by name decides. What the caller cannot see is no place to be taken to.
        """

        def evaluate(tx: Transaction) -> Landing | None:
            found = users.get(tx, caller.user.id) if caller.user else None
            for group in standing(tx, found).groups if found else ():
                place = environments.get(tx, group.landing_environment_id) if group.landing_environment_id else None
                if place is None or not self._walls.serves(place.name):
                    continue
                kind = Kind.FOLDER if group.landing_folder else Kind.ENVIRONMENT
                level = caller.level(Thing(kind, place.id, group.landing_folder))
                if level is not None and level < Level.EDIT:
                    return Landing(place.name, group.landing_folder)
            return None

        return self._door.look(evaluate) if caller.user else None

    # -- for whoever else works on users, within a transaction

    def mine(self, tx: Transaction, caller: Caller, user_id: str) -> User:
        """The user, if the caller may take it over: reset its password, take its factors away.

        Raises Absent, Forbidden.
        """
        return self._mine(tx, caller, user_id)

    @staticmethod
    def ended(tx: Transaction, user_id: str) -> int:
        """Its sessions, tokens, and what waits for it, are of no use from now on. How many sessions and tokens."""
        pendings.end(tx, user_id)
        return users.end_tokens(tx, user_id)

    def _mine(self, tx: Transaction, caller: Caller, user_id: str, *, harmless: bool = False) -> User:
        require(caller, Level.OWN, PEOPLE, f"user {fit(user_id)[:64]}")
        user = _there(users.get(tx, user_id), user_id)
        held = standing(tx, user).grants
        if harmless:  # but rules may ask for a name: what somebody holds by one may come into force by it
            held = Grants(grant for grant in held if grant.rule)
        require_over(caller, held, f"user {user.email}")
        self._granting.require_within(tx, caller, f"user {user.email}", held)
        return user

    @staticmethod
    def _unused(tx: Transaction, address: str) -> None:
        if users.named(tx, address):
            raise Conflict(f"a user {address} exists already")

    def _found(self, tx: Transaction, user_id: str) -> ShownUser:
        return self._shown(tx, _there(users.get(tx, user_id), user_id))

    def _shown(self, tx: Transaction, user: User) -> ShownUser:
        held = self._granting.shown(tx, Holder(user.id, user.email, Holding.USER))
        return ShownUser(user, tuple(held), tuple(group.name for group in standing(tx, user).groups))


def _there(found: User | None, user_id: str) -> User:
    if found is None:
        raise Absent(f"user {fit(user_id)[:64]} does not exist")
    return found
