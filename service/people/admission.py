"""Admission: which user of ours is it, of whom an identity provider spoke; and in which groups.

    known by provider and subject ─────────────► that user, whatever its address is by now
    not known, but somebody has the address ─┬─► that user, if the provider links, vouches for the address, and the
                                             │   user signs in by no other provider and is not kept for emergencies
                                             └─► otherwise nobody: an address alone opens nobody's account
    neither ─┬─► a new user, if the provider creates
             └─► nobody

A subject is for good; an address may be given to somebody else. So who was known by another subject is not let in by
the address. Groups that the provider tells are brought in line with it; memberships of other sources are not touched.
"""

from dataclasses import replace

from service.core.access import Caller
from service.core.event import Detail, Event, Outcome
from service.core.identity import Claimed, IdentityProvider, NotLetIn
from service.core.person import User, UserType
from service.keeper.door import Door
from service.ledger import groups, users
from service.ledger.ledger import Transaction

_NOBODY = "you have no account here, and {} makes none: ask an administrator of Keywright"
_TAKEN = (
    "an account with your e-mail address exists already, and {} was not allowed to open it: sign in as you did before, "
    "or ask an administrator of Keywright"
)


class Admission:
    """Decides within somebody's transaction, and notes there what it changes."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def admit(self, tx: Transaction, provider: IdentityProvider, claimed: Claimed, caller: Caller) -> User:
        """The user, as it is from now on. `caller` is who changes it, for the log. Raises NotLetIn."""
        if not provider.definition.entry.admits(claimed.email):
            raise NotLetIn(f"{provider.name} lets in no addresses of your domain", "e-mail domain")
        user = users.subject(tx, provider.id, claimed.subject) or self._met(tx, provider, claimed, caller)
        if not user.enabled:
            raise NotLetIn("your account is disabled: ask an administrator of Keywright", "user is disabled")
        user = self._brought_up(tx, claimed, user, caller)
        if claimed.groups is not None:
            self._join(tx, provider, claimed.groups, user, caller)
        return users.get(tx, user.id) or user

    def _met(self, tx: Transaction, provider: IdentityProvider, claimed: Claimed, caller: Caller) -> User:
        """Somebody who comes by this provider for the first time."""
        entry = provider.definition.entry
        found = users.named(tx, claimed.email)
        if found is None:
            if not entry.creates:
                raise NotLetIn(_NOBODY.format(provider.name), "not known")
            return self._made(tx, provider, claimed, caller)
        if found.subject or found.provider_id not in ("", provider.id):
            raise NotLetIn(_TAKEN.format(provider.name), "e-mail address of another person")
        if found.emergency or not claimed.email_verified or not (entry.links or found.provider_id):
            raise NotLetIn(_TAKEN.format(provider.name), "not linked")
        linked = replace(found, provider_id=provider.id, subject=claimed.subject)
        return self._changed(tx, linked, "user.link", caller, {"provider": provider.name})

    def _made(self, tx: Transaction, provider: IdentityProvider, claimed: Claimed, caller: Caller) -> User:
        made = User(
            self._door.new_id(),
            claimed.email,
            claimed.name,
            True,
            UserType.PROVISIONED,
            claimed.attributes,
            1,
            tx.now,
            provider.method,
            tx.now,
            provider_id=provider.id,
            subject=claimed.subject,
        )
        users.add(tx, made)
        _note(tx, caller, "user.add", made.id, {"provider": provider.name})
        return made

    def _brought_up(self, tx: Transaction, claimed: Claimed, user: User, caller: Caller) -> User:
        """With name, address and attributes as the provider keeps them, where it is the one who does."""
        told = dict(user.attributes) | dict(claimed.attributes)
        if user.type is not UserType.PROVISIONED:
            changed = replace(user, attributes=told)
        else:
            changed = replace(user, attributes=told, name=claimed.name or user.name)
            if claimed.email != user.email and users.named(tx, claimed.email) is None:
                changed = replace(changed, email=claimed.email)
        if changed == user:
            return user
        fields = [each for each in ("email", "name", "attributes") if getattr(changed, each) != getattr(user, each)]
        return self._changed(tx, changed, "user.change", caller, {"changed": " ".join(fields)})

    @staticmethod
    def _changed(tx: Transaction, user: User, action: str, caller: Caller, detail: dict[str, Detail]) -> User:
        changed = replace(user, revision=user.revision + 1, updated_at=tx.now)
        users.change(tx, changed)
        _note(tx, caller, action, changed.id, detail)
        return changed

    def _join(
        self, tx: Transaction, provider: IdentityProvider, there: tuple[str, ...], user: User, caller: Caller
    ) -> None:
        # What is mapped to a group that nobody made is left out: a provider makes no groups.
        found = [groups.named(tx, name) for name in sorted(provider.definition.entry.named(there))]
        wanted = {group.id for group in found if group is not None}
        held = {each.group_id for each in user.memberships if each.source == provider.source}
        for group_id in sorted(held - wanted):
            groups.part(tx, group_id, provider.source, user_id=user.id)
            _note(tx, caller, "group.part", group_id, {"member_id": user.id})
        for group_id in sorted(wanted - held):
            groups.join(tx, self._door.new_id(), group_id, provider.source, user_id=user.id)
            _note(tx, caller, "group.join", group_id, {"member_id": user.id})


def _note(tx: Transaction, caller: Caller, action: str, resource: str, detail: dict[str, Detail]) -> None:
    tx.events.append(Event(tx.now, caller, action, Outcome.ALLOWED, resource=resource, detail=detail))
