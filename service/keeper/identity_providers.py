"""Identity providers as administrators configure them, and as sign-ins use them.

    changed definition      sessions that it opened end; so do memberships of groups that are not mapped any more
    switched off            sessions end, nobody signs in by it
    removed                 the memberships that it told end, too; its users stay

Whoever decides who may vouch for people can come in as any of them. So *own* on the settings lets make a provider that
brings in nobody but new users without any group, and switch one off; what reaches further (groups that are mapped,
accounts that are linked, a provider by which somebody signs in already) is for owners of everything.
"""

from dataclasses import replace
from datetime import datetime

from service.core import names
from service.core.access import EVERYTHING, SETTINGS, Caller, Level, require
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import Detail
from service.core.identity import EVERY, Definition, IdentityProvider
from service.core.keyring import SYSTEM
from service.core.openid import Examiner, OpenId
from service.core.saml import Saml, SamlMetadata, certified
from service.core.sealed import provider_context
from service.core.secret import Secret
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.freshness import require_fresh
from service.keeper.keys import Keyrings
from service.keeper.standing import an_owner_stays
from service.keeper.walls import Walls
from service.ledger import identity_providers
from service.ledger.ledger import Transaction

MOST = 50
LONGEST_SECRET = 20_000


class IdentityProviders:
    """Operations on them."""

    def __init__(
        self, door: Door, walls: Walls, keyrings: Keyrings, examiner: Examiner, metadata: SamlMetadata
    ) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._examiner = examiner
        self._metadata = metadata

    def listed(self, caller: Caller, after: str, limit: int) -> list[IdentityProvider]:
        """By name. Raises Absent."""

        def evaluate(tx: Transaction) -> list[IdentityProvider]:
            require(caller, Level.USE, SETTINGS, "the list of identity providers")
            return identity_providers.every(tx, after, limit)

        return self._door.fetch(caller, Deed("identity_provider.list"), evaluate)

    def get(self, caller: Caller, name: str) -> IdentityProvider:
        """One; never its secret. Raises Absent."""
        names.segment(name)
        deed = Deed("identity_provider.get", resource=name)
        return self._door.fetch(caller, deed, lambda tx: _found(tx, caller, Level.USE, name))

    def add(
        self, caller: Caller, name: str, definition: Definition, secret: Secret, *, enabled: bool = True
    ) -> IdentityProvider:
        """A new one; an empty secret is none. Raises Invalid, Absent, Forbidden, Conflict."""
        names.segment(name)
        _check(secret)

        def act(tx: Transaction) -> IdentityProvider:
            require(caller, Level.OWN, SETTINGS, f"identity provider {name}")
            _reaches(caller, definition)
            self._walls.require_whole(caller, "identity providers")
            require_fresh(tx, caller, "making an identity provider")
            if identity_providers.named(tx, name):
                raise Conflict(f"an identity provider named {name} exists already")
            if len(identity_providers.every(tx, "", MOST)) >= MOST:
                raise Conflict(f"{MOST} identity providers are the most")
            kept, has = _keyed(definition, secret, tx.now), bool(secret.reveal())
            made = IdentityProvider(self._door.new_id(), name, kept, enabled, has, 1, tx.now, caller.name, tx.now)
            identity_providers.add(tx, made, self._sealed(tx, made.id, secret))
            return made

        deed = Deed("identity_provider.add", resource=name, detail=_told(definition))
        return self._door.change(caller, deed, act)

    def change(
        self,
        caller: Caller,
        name: str,
        *,
        definition: Definition | None = None,
        secret: Secret | None = None,
        enabled: bool | None = None,
        if_match: int | None = None,
    ) -> IdentityProvider:
        """What is given becomes so. Switched off, or defined anew, the sessions that it opened end now.

        Raises Invalid, Absent, Forbidden, Conflict, Outdated.
        """
        names.segment(name)
        if secret is not None:
            _check(secret)

        def act(tx: Transaction) -> IdentityProvider:
            it = _found(tx, caller, Level.OWN, name)
            check_revision(if_match, it.revision)
            require_fresh(tx, caller, "changing an identity provider")
            if definition is not None and definition.kind != it.definition.kind:
                raise Conflict(f"{name} is of the kind {it.definition.kind}: make another one for {definition.kind}")
            wanted = definition or it.definition
            if isinstance(wanted, Saml) and isinstance(it.definition, Saml):
                wanted = replace(wanted, certificate=it.definition.certificate)
            changed = replace(
                it,
                definition=wanted if secret is None else _keyed(wanted, secret, tx.now),
                enabled=it.enabled if enabled is None else enabled,
                has_secret=it.has_secret if secret is None else bool(secret.reveal()),
                revision=it.revision + 1,
                updated_at=tx.now,
            )
            if definition is not None or secret is not None or changed.enabled:
                _reaches(caller, changed.definition)
                self._walls.require_whole(caller, "identity providers")
                if identity_providers.used(tx, it.id):
                    _everything(caller, f"{name}, by which people sign in")
            with an_owner_stays(tx):
                identity_providers.change(tx, changed)
                mapped = changed.definition.entry.groups
                if mapped != it.definition.entry.groups and EVERY not in mapped:
                    # Nobody stays where it is not taken any more, also who does not sign in again so soon.
                    deed.detail["memberships_ended"] = identity_providers.forget(tx, it, but=set(mapped.values()))
            if secret is not None:
                identity_providers.set_secret(tx, it.id, self._sealed(tx, it.id, secret))
            if not changed.enabled or changed.definition != it.definition:
                deed.detail["sessions_ended"] = identity_providers.end_sessions(tx, it.id)
            deed.detail.update(_told(changed.definition))
            return changed

        given = {"definition": definition, "secret": secret, "enabled": enabled}
        changes = " ".join(what for what, value in given.items() if value is not None)
        detail: dict[str, Detail] = {"changed": changes} | ({} if enabled is None else {"enabled": enabled})
        deed = Deed("identity_provider.change", resource=name, detail=detail)
        return self._door.change(caller, deed, act)

    def remove(self, caller: Caller, name: str, *, if_match: int | None = None) -> None:
        """Nobody comes in by it any more; the sessions that it opened end now, its users stay.

        Raises Absent, Forbidden, Conflict, Outdated.
        """
        names.segment(name)

        def act(tx: Transaction) -> None:
            it = _found(tx, caller, Level.OWN, name)
            check_revision(if_match, it.revision)
            if identity_providers.used(tx, it.id):
                _everything(caller, f"{name}, by which people sign in")
            require_fresh(tx, caller, "deleting an identity provider")
            deed.detail["sessions_ended"] = identity_providers.end_sessions(tx, it.id)
            with an_owner_stays(tx):
                identity_providers.remove(tx, it)

        deed = Deed("identity_provider.remove", resource=name)
        self._door.change(caller, deed, act)

    def examined(self, caller: Caller, name: str) -> tuple[str, ...]:
        """Ask it now, and what is wrong, each a sentence; nothing: it may work.

        Raises Absent, Forbidden, Invalid; Unavailable where nobody answers.
        """
        names.segment(name)
        deed = Deed("identity_provider.check", resource=name)
        it = self._door.fetch(caller, deed, lambda tx: _found(tx, caller, Level.OWN, name))
        if not isinstance(it.definition, OpenId):
            raise Invalid(f"{name} is of the kind {it.definition.kind}, which cannot be asked", field="name")
        return self._examiner.examined(it.definition)

    def told(self, caller: Caller, xml: str) -> dict[str, object]:
        """What a SAML provider's metadata say, for a definition of it. Raises Absent, Forbidden, Invalid."""

        def evaluate(_: Transaction) -> dict[str, object]:
            require(caller, Level.OWN, SETTINGS, "identity providers")
            return self._metadata.told(xml)

        return self._door.fetch(caller, Deed("identity_provider.metadata"), evaluate)

    # -- for whoever lets people in

    def offered(self) -> list[IdentityProvider]:
        """Those that people may sign in by."""
        return [it for it in self._door.look(lambda tx: identity_providers.every(tx, "", MOST)) if it.enabled]

    def usable(self, tx: Transaction, name: str) -> IdentityProvider:
        """The one of this name, if people may sign in by it. Raises Absent."""
        it = identity_providers.named(tx, name[: names.LONGEST])
        if it is None or not it.enabled:
            raise Absent("there is no such identity provider: go back to the sign-in page")
        return it

    def secret(self, tx: Transaction, provider_id: str) -> Secret:
        """What we prove to it who we are with; empty where there is none."""
        sealed = identity_providers.sealed(tx, provider_id)
        if sealed is None:
            return Secret("")
        return self._keyrings.opener(tx, SYSTEM, sealed).unseal(sealed, provider_context(SYSTEM, provider_id))

    def _sealed(self, tx: Transaction, provider_id: str, secret: Secret) -> bytes | None:
        if not secret.reveal():
            return None
        context = provider_context(SYSTEM, provider_id)
        return self._keyrings.sealer(tx, SYSTEM).seal(secret, context, self._door.randomness)


def _found(tx: Transaction, caller: Caller, level: Level, name: str) -> IdentityProvider:
    require(caller, level, SETTINGS, f"identity provider {name}")
    it = identity_providers.named(tx, name)
    if it is None:
        raise Absent(f"identity provider {name} does not exist")
    return it


def _reaches(caller: Caller, definition: Definition) -> None:
    if definition.entry.groups or definition.entry.links:
        _everything(caller, "an identity provider that puts people into groups or links accounts")


def _everything(caller: Caller, what: str) -> None:
    if caller.level(EVERYTHING) is not Level.OWN:
        raise Forbidden(f"{what}: this needs the grant 'own' on everything, since it can let in anybody")


def _check(secret: Secret) -> None:
    if len(secret.reveal()) > LONGEST_SECRET:
        raise Invalid(f"secret: {LONGEST_SECRET:,} characters are the most", field="secret")


def _keyed(definition: Definition, secret: Secret, now: datetime) -> Definition:
    """With the certificate of our key, where the secret is one. Raises Invalid."""
    if not isinstance(definition, Saml):
        return definition
    return replace(definition, certificate=certified(secret, now) if secret.reveal() else "")


def _told(definition: Definition) -> dict[str, Detail]:
    """For events: who it is, and as whom we come."""
    kept = definition.kept()
    told: dict[str, Detail] = {"kind": definition.kind}
    return told | {name: str(kept[name])[:200] for name in ("issuer", "client_id", "entity_id") if name in kept}
