"""Fetching credentials: the ordered set that a connection offers right now."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.core import names
from service.core.access import Caller, Level
from service.core.connection import Account, Standing, Target, url
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, Forbidden
from service.core.reference import Reference, allowed, select
from service.core.rotation import CredentialState, Offered, offer
from service.core.sealed import credential_context
from service.core.secret import Secret
from service.keeper import definitions
from service.keeper.definitions import DRAIN_MINIMUM, KeptIn
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.keeper.references import Held, Readings, References, require_read
from service.keeper.walls import Walls, of_connection
from service.ledger import connections, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Set:
    """What a connection offers, before anything outside is read. `plain` holds what was sealed here."""

    connection: StoredConnection
    target: Target
    kept_in: KeptIn | None
    offered: tuple[Offered, ...]
    plain: Mapping[str, Secret]
    drain_minimum: timedelta

    def references(self) -> set[Reference]:
        """What must be read from an outside store: the live credential, if it is kept there."""
        outside = any(entry.credential.id not in self.plain for entry in self.offered)
        if not outside or self.kept_in is None:
            return set()
        user = self.kept_in.username()
        return {self.kept_in.password()} | ({user} if user else set())


@dataclass(frozen=True)
class Entry:
    """One credential as it is answered."""

    state: Standing
    account: Account
    url: Secret
    valid_from: datetime | None
    good_until: datetime


@dataclass(frozen=True)
class Credential:
    """The answer to a credential fetch. `tag` changes whenever the set does."""

    connection: str
    target: Target
    generation: int
    rotates_at: datetime | None
    entries: tuple[Entry, ...]
    tag: str


class Credentials:
    """The fetch of credentials."""

    def __init__(self, door: Door, walls: Walls, keyrings: Keyrings, references: References) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._references = references

    def one(self, caller: Caller, environment: str, name: str) -> Credential:
        """The set of a connection. Raises Absent, Forbidden, Conflict (none yet), store errors, SealBroken."""
        names.path(name)
        deed = Deed("credential.fetch", environment, name)

        def evaluate(tx: Transaction, readings: Readings) -> Credential:
            wall = self._walls.enter(tx, caller, environment)
            planned = self.plan(tx, wall, caller, name)
            require_read(readings, planned.references())
            deed.detail["generation"] = planned.connection.generation
            return self._answer(planned, readings)

        return self._references.fetch(self._door, caller, deed, evaluate)

    def tag(self, caller: Caller, environment: str, name: str) -> str:
        """The tag alone, evaluated like a fetch but not recorded: what `If-None-Match` and waiting compare."""
        names.path(name)

        def evaluate(tx: Transaction) -> str:
            wall = self._walls.enter(tx, caller, environment)
            return _tag(self.plan(tx, wall, caller, name))

        return self._door.poll(caller, Deed("credential.fetch", environment, name), evaluate)

    def plan(self, tx: Transaction, wall: Environment, caller: Caller, name: str) -> Set:
        """What the connection offers, if the caller may use it."""
        stored = connection_found(tx, wall, caller, name, Level.USE)
        target = definitions.target(stored.definition)
        policy = definitions.policy(stored.policy, target.engine)
        drain = policy.drain_minimum if policy else DRAIN_MINIMUM
        offered = offer(connections.standing(tx, stored.id), rotations.open_one(tx, stored.id), drain, tx.now)
        if not offered:
            raise Conflict(
                f"connection {name} has no credential yet: its first rotation makes one "
                f"(POST /api/v1/environments/{wall.name}/rotations)"
            )
        home = definitions.kept_in(stored.definition.get("kept_in"))
        if home and not allowed(home.location, wall.stores):
            raise Forbidden(f"environment {wall.name} does not let its references read where {name} keeps its password")
        plain = {
            entry.credential.id: self._unsealed(tx, wall.id, entry)
            for entry in offered
            if entry.credential.sealed is not None
        }
        return Set(stored, target, home, offered, plain, drain)

    def accounts(self, planned: Set, readings: Readings) -> list[Account]:
        """The usernames and passwords, best first."""
        return [self._account(planned, entry, readings) for entry in planned.offered]

    def _answer(self, planned: Set, readings: Readings) -> Credential:
        entries = tuple(
            Entry(entry.standing, account, url(planned.target, account), entry.credential.valid_from, entry.good_until)
            for entry, account in zip(planned.offered, self.accounts(planned, readings), strict=True)
        )
        stored = planned.connection
        return Credential(stored.name, planned.target, stored.generation, stored.next_due_at, entries, _tag(planned))

    def _account(self, planned: Set, entry: Offered, readings: Readings) -> Account:
        held = entry.credential
        if held.id in planned.plain:
            return Account(held.username, planned.plain[held.id])
        if planned.kept_in is None or held.state is not CredentialState.LIVE:
            raise Conflict(f"connection {planned.connection.name}: a password is neither here nor in a store")
        user = planned.kept_in.username()
        name = _selected(readings, user).reveal() if user else held.username
        return Account(name, _selected(readings, planned.kept_in.password()))

    def _unsealed(self, tx: Transaction, environment_id: str, entry: Offered) -> Secret:
        held = entry.credential
        assert held.sealed is not None  # chosen so by `plan`  # noqa: S101
        ring = self._keyrings.opener(tx, environment_id, held.sealed)
        return ring.unseal(held.sealed, credential_context(environment_id, held.login_id, held.id))


def _selected(readings: Readings, reference: Reference) -> Secret:
    held: Held = readings[reference]
    return select(held.reading, reference)


def _tag(planned: Set) -> str:
    text = ";".join(
        [
            planned.connection.id,
            str(planned.connection.generation),
            str(planned.connection.revision),
            *(f"{e.standing.value}:{e.credential.id}" for e in planned.offered),
        ]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def connection_found(tx: Transaction, wall: Environment, caller: Caller, name: str, level: Level) -> StoredConnection:
    """The connection, if the caller may do this much with it. Raises Absent or Forbidden."""
    stored = connections.find(tx, wall.id, name)
    held = caller.level(of_connection(wall, name))
    if stored is None or held is None:
        raise Absent(f"connection {name} does not exist in {wall.name}")
    if held < level:
        raise Forbidden(f"connection {name}: this needs the grant '{level.word}', and the token has '{held.word}'")
    return stored
