"""Fetching credentials: the ordered set that a connection offers right now."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from service.core import names
from service.core.access import Caller, Level
from service.core.connection import Account, Standing, Target, url
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, Forbidden
from service.core.reference import allowed
from service.core.rotation import CredentialState, Offered, offer
from service.core.schedule import Schedule
from service.core.sealed import credential_context
from service.core.secret import Secret
from service.keeper.asked import Asked, Known, Told, Who, nothing
from service.keeper.definitions import DRAIN_MINIMUM, KeptIn
from service.keeper.freshness import require_fresh_in
from service.keeper.guard import reveal
from service.keeper.keys import Keyrings
from service.keeper.recorder import Recorder
from service.keeper.references import Readings, References, Sought
from service.keeper.snapshot import Key, View
from service.keeper.walls import Walls, of_connection
from service.ledger import connections
from service.ledger.changes import Kind as Changed
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction

C = TypeVar("C")


@dataclass(frozen=True)
class Set:
    """What a connection offers, before anything outside is read. `plain` holds what was sealed here."""

    wall: Environment
    connection: StoredConnection
    target: Target
    kept_in: KeptIn | None
    offered: tuple[Offered, ...]
    plain: Mapping[str, Secret]
    schedule: Schedule | None
    at: datetime
    """When that was."""

    def sought(self) -> set[Sought]:
        """What must be read from an outside store: the live credential, if it is kept there."""
        if self.kept_in is None:
            return set()
        user, password = self.kept_in.username(), self.kept_in.password()
        outside = [entry.credential.id for entry in self.offered if entry.credential.id not in self.plain]
        return {Sought(part, each) for each in outside for part in (user, password) if part}


@dataclass(frozen=True)
class Opened:
    """A username and password. `age` is how many seconds ago it was read of an outside store; see `Read`."""

    account: Account
    age: float = 0.0
    stale: bool = False


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
    """The answer to a credential fetch. `tag` changes whenever the set does; `age` is that of its oldest part."""

    connection: str
    target: Target
    generation: int
    rotates_at: datetime | None
    schedule: Schedule | None
    at: datetime
    """When that was so."""
    entries: tuple[Entry, ...]
    tag: str
    age: float
    stale: bool


class Credentials:
    """The fetch of credentials."""

    def __init__(self, recorder: Recorder, walls: Walls, keyrings: Keyrings, references: References) -> None:
        self._recorder = recorder
        self._walls = walls
        self._keyrings = keyrings
        self._references = references

    def one(self, caller: Caller, environment: str, name: str) -> Credential:
        """The set of a connection. Raises Absent, Forbidden, Conflict (none yet), store errors, SealBroken."""
        told: Told[Credential] = self._recorder.fetch(self.asked(lambda _: caller, environment, name))
        return told.news

    def asked(self, who: Who, environment: str, name: str, known: Known = nothing) -> Asked:
        """The same, to be recorded with others; comes to a `Told[Credential]`. Raises Invalid."""
        names.path(name)
        readings = self._references.readings()

        def evaluate(view: View, asked: Asked) -> Told[Credential]:
            caller = asked.caller = who(view)
            wall = self._walls.judge(view.snapshot.environment(environment), caller, environment)
            planned = self.plan(view, wall, caller, name)
            require_fresh_in(view, caller, "showing a credential")
            right = reveal(wall, caller, view.now, asked.action, name, (of_connection(wall, name),))
            tag = _tag(planned)
            if known(tag):
                asked.told = False
                return Told(None, tag, frozenset({*common_keys(wall, caller), key_of(planned.connection)}))
            readings.require(planned.sought())
            asked.detail |= {"generation": planned.connection.generation} | right
            answer = self._answer(planned, readings)
            if answer.stale:
                asked.detail["stale"] = round(answer.age)
            return Told(answer, tag)

        return Asked(evaluate, "credential.fetch", environment, name, renew=readings.renew)

    def plan(self, view: View, wall: Environment, caller: Caller, name: str) -> Set:
        """What the connection offers, if the caller may use it."""
        found = judged(view.snapshot.offered(wall.id, name), wall, caller, name, Level.USE)
        stored, policy, home = found.connection, found.policy, found.kept_in
        drain = policy.drain_minimum if policy else DRAIN_MINIMUM
        offered = offer(found.credentials, found.rotation, drain, view.now)
        if not offered:
            raise Conflict(
                f"connection {name} has no credential yet: its first rotation makes one "
                f"(POST /api/v1/environments/{wall.name}/rotations)"
            )
        if home and not allowed(home.location, wall.stores):
            raise Forbidden(f"environment {wall.name} does not let its references read where {name} keeps its password")
        plain = {
            entry.credential.id: self._unsealed(wall.id, entry)
            for entry in offered
            if entry.credential.sealed is not None
        }
        return Set(wall, stored, found.target, home, offered, plain, policy.schedule if policy else None, view.now)

    def accounts(self, planned: Set, readings: Readings) -> list[Opened]:
        """The usernames and passwords, best first."""
        return [self._opened(planned, entry, readings) for entry in planned.offered]

    def _answer(self, planned: Set, readings: Readings) -> Credential:
        opened = self.accounts(planned, readings)
        entries = tuple(
            Entry(
                entry.standing,
                it.account,
                url(planned.target, it.account),
                entry.credential.valid_from,
                entry.good_until,
            )
            for entry, it in zip(planned.offered, opened, strict=True)
        )
        stored, age = planned.connection, max(it.age for it in opened)
        return Credential(
            stored.name,
            planned.target,
            stored.generation,
            stored.next_due_at,
            planned.schedule,
            planned.at,
            entries,
            _tag(planned),
            age,
            any(it.stale for it in opened),
        )

    def _opened(self, planned: Set, entry: Offered, readings: Readings) -> Opened:
        held = entry.credential
        if held.id in planned.plain:
            return Opened(Account(held.username, planned.plain[held.id]))
        if planned.kept_in is None or held.state is not CredentialState.LIVE:
            raise Conflict(f"connection {planned.connection.name}: a password is neither here nor in a store")
        user = planned.kept_in.username()
        name = readings.read(Sought(user, held.id), planned.wall).value.reveal() if user else held.username
        password = readings.read(Sought(planned.kept_in.password(), held.id), planned.wall)
        return Opened(Account(name, password.value), password.age, password.stale)

    def _unsealed(self, environment_id: str, entry: Offered) -> Secret:
        held = entry.credential
        assert held.sealed is not None  # chosen so by `plan`  # noqa: S101
        ring = self._keyrings.kept(environment_id, held.sealed)
        return ring.unseal(held.sealed, credential_context(environment_id, held.login_id, held.id))


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


def key_of(stored: StoredConnection) -> Key:
    """What is waited for where an answer depends on a connection."""
    return Changed.CONNECTION.value, stored.id


def common_keys(wall: Environment, caller: Caller) -> tuple[Key, Key]:
    """What every answer depends on."""
    who = (Changed.USER.value, caller.user.id) if caller.user else (Changed.TOKEN.value, caller.id)
    return (Changed.ENVIRONMENT.value, wall.id), who


def connection_found(tx: Transaction, wall: Environment, caller: Caller, name: str, level: Level) -> StoredConnection:
    """The connection, if the caller may do this much with it. Raises Absent or Forbidden."""
    return judged(connections.find(tx, wall.id, name), wall, caller, name, level)


def judged(stored: C | None, wall: Environment, caller: Caller, name: str, level: Level) -> C:
    """What was found under this name, if the caller may do this much with it. Raises Absent or Forbidden."""
    held = caller.level(of_connection(wall, name))
    if stored is None or held is None:
        raise Absent(f"connection {name} does not exist in {wall.name}")
    if held < level:
        raise Forbidden(f"connection {name}: this needs the grant '{level.word}', and the token has '{held.word}'")
    return stored
