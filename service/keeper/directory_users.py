"""Provisioned users, as the identity provider that keeps them may see and change them. See `directory.py`."""

from dataclasses import replace

from service.core.access import PEOPLE, Caller, Level, require
from service.core.directory import NOWHERE, Found, KeptUser, Profile, Sought, Taken, WantedUser
from service.core.errors import Absent, Forbidden, Outdated
from service.core.event import Detail
from service.core.person import BY_HAND, Attributes, User, UserType, attributes, email
from service.keeper.door import Deed, Door
from service.keeper.standing import an_owner_stays
from service.keeper.users import Users
from service.ledger import directory, settings, users
from service.ledger.ledger import Transaction

BY: dict[str, Detail] = {"by": "scim"}


def require_provider(caller: Caller, what: str) -> None:
    """Raises Absent, Forbidden; the latter for every person, who works on people by the doors that look at both."""
    require(caller, Level.OWN, PEOPLE, what)
    if caller.user is not None:
        raise Forbidden(
            "SCIM is spoken by identity providers, with a token or a machine of their own, and by no person"
        )


class DirectoryUsers:
    """Operations on provisioned users."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def find(self, caller: Caller, sought: Sought) -> Found[KeptUser]:
        """A page of them. Raises Absent, Forbidden."""

        def evaluate(tx: Transaction) -> Found[KeptUser]:
            require_provider(caller, "the list of users")
            return directory.sought_users(tx, sought)

        return self._door.fetch(caller, Deed("user.list", detail=dict(BY)), evaluate)

    def get(self, caller: Caller, user_id: str) -> KeptUser:
        """One of them. Raises Absent, Forbidden."""
        deed = Deed("user.get", resource=user_id, detail=dict(BY))
        return self._door.fetch(caller, deed, lambda tx: _found(tx, caller, user_id))

    def add(self, caller: Caller, wanted: WantedUser) -> KeptUser:
        """A new one; or, if the settings allow, one of the same address that somebody else made.

        Raises Invalid, Absent, Forbidden, Conflict.
        """
        deed = Deed("user.add", resource=self._door.new_id(), detail=BY | {"enabled": wanted.active})

        def act(tx: Transaction) -> KeptUser:
            require_provider(caller, "the list of users")
            address = email(wanted.email, "emails") if wanted.email else f"{deed.resource}@{NOWHERE}"
            deed.detail["email"] = address
            if directory.sought_users(tx, Sought("user_name", wanted.user_name)).total:
                raise Taken("a user of this userName exists already")
            there = users.named(tx, address)
            if there is not None and (there.emergency or not settings.read(tx).scim_adopts):
                raise Taken("a user of this address exists already, and was not made by SCIM")
            if there is not None:
                deed.action, deed.resource = "user.adopt", there.id
                return _change(tx, deed, there, Profile(wanted.user_name, {}), wanted)
            said = _attributes({}, wanted)
            made = User(
                deed.resource,
                address,
                wanted.name,
                wanted.active,
                UserType.PROVISIONED,
                said,
                1,
                tx.now,
                caller.name,
                tx.now,
                wanted.external_id,
            )
            users.add(tx, made)
            directory.write(tx, made.id, Profile(wanted.user_name, wanted.document, not wanted.active))
            return _kept(tx, made.id)

        return self._door.change(caller, deed, act)

    def change(self, caller: Caller, user_id: str, wanted: WantedUser, version: str | None = None) -> KeptUser:
        """It is as wanted from now on. Disabled, its sessions and tokens are over.

        Raises Invalid, Absent, Forbidden, Conflict, Outdated.
        """
        deed = Deed("user.change", resource=user_id, detail=dict(BY))

        def act(tx: Transaction) -> KeptUser:
            kept = _found(tx, caller, user_id)
            _check(version, kept)
            others = directory.sought_users(tx, Sought("user_name", wanted.user_name)).items
            if any(other.user.id != user_id for other in others):
                raise Taken("another user has this userName")
            return _change(tx, deed, kept.user, kept.profile, wanted)

        return self._door.change(caller, deed, act)

    def remove(self, caller: Caller, user_id: str, version: str | None = None) -> None:
        """It is gone with its sessions, tokens, memberships and grants. Raises Absent, Forbidden, Outdated."""

        def act(tx: Transaction) -> None:
            kept = _found(tx, caller, user_id)
            _check(version, kept)
            deed.detail["email"] = kept.user.email
            with an_owner_stays(tx):
                users.remove(tx, user_id)

        deed = Deed("user.remove", resource=user_id, detail=dict(BY))
        self._door.change(caller, deed, act)


def _found(tx: Transaction, caller: Caller, user_id: str) -> KeptUser:
    require_provider(caller, f"user {user_id[:64]}")
    kept = directory.user(tx, user_id)
    if kept is None:
        raise Absent(f"user {user_id[:64]} does not exist")
    return kept


def _kept(tx: Transaction, user_id: str) -> KeptUser:
    kept = directory.user(tx, user_id)
    assert kept is not None  # it was written just now  # noqa: S101
    return kept


def _check(version: str | None, kept: KeptUser) -> None:
    if version is not None and version != kept.version:
        raise Outdated("the user was changed meanwhile: read it again")


def _change(tx: Transaction, deed: Deed, user: User, profile: Profile, wanted: WantedUser) -> KeptUser:
    address = email(wanted.email, "emails") if wanted.email else user.email
    if address != user.email:
        _check_address(tx, user, address)
    enabled, ended = user.enabled, profile.ended and not user.enabled
    if user.enabled and not wanted.active:
        enabled, ended = False, True
    elif wanted.active and ended:  # what an administrator disabled, no provider enables
        enabled, ended = True, False
    changed = replace(
        user,
        email=address,
        name=wanted.name,
        enabled=enabled,
        type=UserType.PROVISIONED,
        attributes=_attributes(user.attributes, wanted),
        external_id=wanted.external_id,
        revision=user.revision + 1,
        updated_at=tx.now,
    )
    names = ("email", "name", "attributes", "external_id")
    deed.detail |= {"email": user.email, "enabled": enabled}
    deed.detail["changed"] = " ".join(name for name in names if getattr(changed, name) != getattr(user, name))
    if address != user.email:
        deed.detail["new_email"] = address
    if changed.enabled or not user.enabled:
        users.change(tx, changed)
    else:
        with an_owner_stays(tx):
            users.change(tx, changed)
        deed.detail["tokens_ended"] = Users.ended(tx, user.id)
    directory.write(tx, user.id, Profile(wanted.user_name, wanted.document, ended))
    return _kept(tx, user.id)


def _check_address(tx: Transaction, user: User, address: str) -> None:
    """Whoever has the address can sign in as the user: it carries no more than the provider gave.

    Raises Forbidden, Conflict.
    """
    if user.grants or any(member.source == BY_HAND for member in user.memberships):
        raise Forbidden(
            "this user holds more than its identity provider gave it (grants, or groups by hand): "
            "its address is changed by hand"
        )
    if users.named(tx, address) is not None:
        raise Taken("another user has this address")


def _attributes(former: Attributes, wanted: WantedUser) -> Attributes:
    """What others set stays."""
    kept = {name: value for name, value in former.items() if name not in wanted.attributes}
    return attributes(kept | {name: value for name, value in wanted.attributes.items() if value is not None})
