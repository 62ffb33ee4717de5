"""Briefs: everything that a worker needs to know before a step, read in one snapshot, passwords opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.administration import in_order
from service.core.connection import Access, Account, Target
from service.core.errors import Absent
from service.core.rotation import STANDING, Credential, CredentialState, Rotation, RotationPolicy, Stage
from service.core.sealed import credential_context
from service.keeper import definitions
from service.keeper.definitions import KeptIn
from service.keeper.door import Door
from service.keeper.keys import Keyrings
from service.ledger import checks, connections, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction
from service.ledger.rotations import Claim, LeaseLost


@dataclass(frozen=True)
class Standpoint:
    """What is to be known of a connection before it rotates. Passwords in it are Secrets."""

    target: Target
    policy: RotationPolicy
    administration: Access | None
    """The way in of the administration login: the likeliest of `ways`, until a look has shown which one works."""
    ways: tuple[Access, ...]
    """Several while the administration connection is itself in a rotation; the likeliest first."""
    administers_itself: bool
    live: Account | None
    live_username: str | None
    """Also where the live password lives in a store."""
    adopted: str | None
    """The login that was imported: what `alternating` makes the shared role."""
    kept_in: KeptIn | None


@dataclass(frozen=True)
class Brief(Standpoint):
    """Everything a worker needs to know about a rotation it holds."""

    rotation: Rotation
    now: datetime
    former: Account | None
    """The live credential when the rotation began; None if the connection never had one."""
    candidate: Account | None
    parking: Account | None
    resting: Account | None
    """`alternating`: what the login that gets the candidate rests on, from the rotation before."""
    promised_until: datetime | None
    """Until when a credential of an earlier rotation is still promised; nothing may be staged before."""
    unfenced: tuple[str, ...]
    """What of the fence had to be left out the last time, as the connection's health has it."""
    began: Mapping[Stage, datetime]
    """When each stage was reached for the first time."""


class Briefs:
    """Reads them. The caller is Keywright's own scheduler."""

    def __init__(self, door: Door, keyrings: Keyrings) -> None:
        self._door = door
        self._keyrings = keyrings

    def brief(self, caller: Caller, held: Claim) -> Brief:
        """What is to be known now. Raises LeaseLost, SealBroken, key errors, Absent."""
        require(caller, Level.OWN, EVERYTHING, "the rotation")

        def look(tx: Transaction) -> Brief:
            rotation = held_rotation(tx, held)
            stored = stored_of(tx, rotation)
            by_id = connections.concerned(tx, rotation)
            standing = [c for c in by_id.values() if c.state in STANDING]
            at = self._standpoint(tx, stored, standing)
            former = self.account(tx, stored, by_id.get(rotation.former_id or ""))
            if rotation.candidate_id is None:
                former = at.live  # later the live one may be the candidate itself, and must not be retired
            ending = [c.good_until for c in standing if c.state is CredentialState.DRAINING and c.good_until]
            return Brief(
                **vars(at),
                rotation=rotation,
                now=tx.now,
                former=former,
                candidate=self.account(tx, stored, by_id.get(rotation.candidate_id or "")),
                parking=self.account(tx, stored, by_id.get(rotation.parking_id or "")),
                resting=self._resting(tx, stored, by_id.get(rotation.candidate_id or "")),
                promised_until=max(ending, default=None),
                unfenced=tuple(stored.health.get("fence", ())),
                began=rotations.began(tx, rotation.id),
            )

        return self._door.look(look)

    def known(self, connection_id: str) -> dict[str, dict[str, str]]:
        """What the connection's login showed before, by endpoint, in the parts of `drift`."""
        return dict(self._door.look(lambda tx: checks.known(tx, connection_id)).get("identity", {}))

    def standpoint(self, tx: Transaction, stored: StoredConnection) -> Standpoint:
        """What is to be known of a connection. Raises Absent, SealBroken, key errors."""
        return self._standpoint(tx, stored, connections.standing(tx, stored.id))

    def _standpoint(self, tx: Transaction, stored: StoredConnection, standing: list[Credential]) -> Standpoint:
        target = definitions.target(stored.definition)
        policy = definitions.policy(stored.policy, target.engine)
        if policy is None:
            raise Absent(f"connection {stored.name} has no rotation policy any more")
        live = next((c for c in standing if c.state is CredentialState.LIVE), None)
        ways = self.ways(tx, stored)
        return Standpoint(
            target,
            policy,
            ways[0] if ways else None,
            ways,
            stored.administered_by == stored.id,
            self.account(tx, stored, live),
            live.username if live else None,
            stored.definition.get("login") or (live.username if live else None),
            definitions.kept_in(stored.definition.get("kept_in")),
        )

    def former(self, tx: Transaction, rotation: Rotation) -> Access | None:
        """The way in that applications had before the rotation; None if its password is not sealed here."""
        stored = stored_of(tx, rotation)
        account = self.account(tx, stored, connections.credential(tx, rotation.former_id or ""))
        return Access(definitions.target(stored.definition), account) if account else None

    def ways(self, tx: Transaction, stored: StoredConnection) -> tuple[Access, ...]:
        """How the administration login of a connection may get in now, the likeliest first. Raises SealBroken."""
        admin = connections.get(tx, stored.administered_by) if stored.administered_by else None
        if admin is None:
            return ()
        held = in_order(connections.standing(tx, admin.id), rotations.open_one(tx, admin.id))
        accounts = [self.account(tx, admin, credential) for credential in held]
        target = definitions.target(admin.definition)
        return tuple(Access(target, account) for account in accounts if account)

    def _resting(self, tx: Transaction, stored: StoredConnection, candidate: Credential | None) -> Account | None:
        held = connections.remembered(tx, candidate.login_id) if candidate else ()
        return self.account(tx, stored, next((c for c in held if c.state is CredentialState.RESTING), None))

    def account(self, tx: Transaction, stored: StoredConnection, of: Credential | None) -> Account | None:
        """A credential of a connection, opened; None for one that is not sealed here. Raises SealBroken."""
        if of is None or of.sealed is None:
            return None
        ring = self._keyrings.opener(tx, stored.environment_id, of.sealed)
        return Account(
            of.username, ring.unseal(of.sealed, credential_context(stored.environment_id, of.login_id, of.id))
        )


def held_rotation(tx: Transaction, held: Claim) -> Rotation:
    rotation = rotations.find(tx, held.rotation_id)
    if rotation is None or rotation.fence != held.fence:
        raise LeaseLost("the rotation was taken over by another worker")
    return rotation


def stored_of(tx: Transaction, rotation: Rotation) -> StoredConnection:
    stored = connections.get(tx, rotation.connection_id)
    if stored is None:
        raise Absent(f"connection {rotation.connection} is gone")
    return stored
