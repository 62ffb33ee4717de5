"""Connections: registered, verified, listed, deleted. Passwords leave only through `credentials.py`.

Registering looks before it records: the given password must be accepted on every required endpoint and a
wrong one refused, and nothing in the target is ever changed by it. The looking happens outside of any
transaction; what was evaluated before it is evaluated again when the result is recorded.
"""

from dataclasses import dataclass
from datetime import datetime

from service.core import names
from service.core.access import Caller, Level, require
from service.core.connection import Account, Target
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, EscrowError, Invalid, KeywrightError
from service.core.reference import allowed
from service.core.rotation import Credential, CredentialState, Rotation, RotationPolicy, Stage, Strategy
from service.core.schedule import Calendar
from service.core.sealed import credential_context
from service.keeper import definitions
from service.keeper.administration import check_administration
from service.keeper.budget import Budget
from service.keeper.continuity import refuse_meanwhile
from service.keeper.credentials import connection_found
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.escrows import Escrows
from service.keeper.health import told
from service.keeper.keys import Keyrings
from service.keeper.recording import Recording
from service.keeper.references import References
from service.keeper.registration import Registration
from service.keeper.verification import Verification
from service.keeper.walls import Walls, of_connection, of_environment, of_policy
from service.ledger import connections, findings, restorations, rotations, wrappings
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Shown:
    """A connection as it is shown: never a password."""

    stored: StoredConnection
    target: Target
    policy: RotationPolicy | None
    administered_by: str | None
    logins: tuple[str, ...]
    held: str = ""
    """Why it may not rotate now; empty if it may."""
    unsafe: tuple[str, ...] = ()
    """What is wrong with the second way in to a connection that administers itself."""
    published_at: datetime | None = None
    """When its live credential became that; None where none is live."""

    @property
    def health(self) -> tuple[str, list[str]]:
        """`well`, `warned` or `failing`, and the sentences that say why."""
        return told(self.stored.health, self.unsafe, [self.held] if self.held else [])


@dataclass(frozen=True)
class _Before:
    """What a connection is before it is put. `standing` tells whether it moved meanwhile."""

    wall: Environment
    stored: StoredConnection | None
    live: Account | None
    standing: tuple[int, str] | None

    @property
    def live_id(self) -> str:
        """The id of the credential that the target should accept; empty if there is none."""
        return self.standing[1] if self.standing else ""


class Connections:
    """Operations on connections."""

    def __init__(
        self,
        door: Door,
        walls: Walls,
        keyrings: Keyrings,
        references: References,
        budget: Budget,
        calendar: Calendar,
        escrows: Escrows,
        key: bytes,
    ) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._verification = Verification(budget, references, door.randomness, key)
        self._recording = Recording(door, keyrings, calendar)
        self._calendar = calendar
        self._escrows = escrows

    def listed(self, caller: Caller, environment: str, folder: str, after: str, limit: int) -> list[Shown]:
        """Those of a folder, at any depth, that the caller may use."""
        if folder:
            names.path(folder, "folder")

        def evaluate(tx: Transaction) -> list[Shown]:
            wall = self._walls.enter(tx, caller, environment)
            seen: list[StoredConnection] = []
            position = after
            while len(seen) < limit:
                page = connections.listed(tx, wall.id, folder, position, limit)
                seen += [row for row in page if caller.level(of_connection(wall, row.name))]
                if len(page) < limit:
                    break
                position = page[-1].name
            return [self._shown(tx, row) for row in seen[:limit]]

        return self._door.fetch(caller, Deed("connection.list", environment, folder), evaluate)

    def get(self, caller: Caller, environment: str, name: str) -> Shown:
        """The definition, the health, the next due time. Raises Absent."""
        names.path(name)

        def evaluate(tx: Transaction) -> Shown:
            wall = self._walls.enter(tx, caller, environment)
            return self._shown(tx, connection_found(tx, wall, caller, name, Level.USE))

        return self._door.fetch(caller, Deed("connection.get", environment, name), evaluate)

    def put(
        self,
        caller: Caller,
        environment: str,
        name: str,
        wanted: Registration,
        *,
        if_match: int | None,
        only_policy: bool = False,
    ) -> tuple[Shown, bool]:
        """Register a connection, or change it; True beside it if it is new. The target is only looked at.

        With `only_policy` all but the rotation policy is what it was, and the grant is one on that.
        Raises Invalid (a rejected password too), Absent, Forbidden, Conflict, Outdated, ChangeUnreachable,
        the store errors.
        """
        names.path(name)
        deed = Deed("policy.put" if only_policy else "connection.put", environment, name)

        def look(tx: Transaction) -> _Before:
            found = self._before(tx, caller, environment, name, wanted, if_match, only_policy)
            deed.detail["changed"] = " ".join(_changed(found.stored, wanted))
            # Before the look: it logs in where this caller says, with the password that is kept here.
            self._door.guard.foresee(tx, caller, deed, _told(wanted))
            return found

        before = self._door.poll(caller, deed, look)
        try:
            verified = self._verification.verify(wanted, before.live)
        except KeywrightError as error:
            self._door.refuse(caller, deed, error)
            raise

        def act(tx: Transaction) -> tuple[Shown, bool]:
            now = look(tx)
            if now.standing != before.standing:
                raise Conflict(f"connection {name} was rotated or changed while its login was verified; put it again")
            # Only now, when the login was seen to work: who merely guesses must not learn what others use.
            self._recording.require_alone(tx, now.wall, now.stored, wanted)
            deed.detail["changed"] = " ".join(_changed(now.stored, wanted))
            if now.stored:
                # Somebody looked, and the login was seen to work: what a restoration found is settled.
                settled, fence = findings.settle(tx, now.stored.id)
                connections.raise_fence(tx, now.stored.id, fence)
                deed.detail |= {"settled": True} if settled else {}
            stored = self._recording.record(tx, now.wall, now.stored, now.live_id, name, wanted, verified)
            deed.detail["generation"] = stored.generation
            return self._shown(tx, stored), now.stored is None

        shown, new = self._door.change(caller, deed, act)
        try:
            self._escrows.keep(shown.stored.id)
        except EscrowError as error:
            raise EscrowError(
                f"connection {name} is recorded (revision {shown.stored.revision}), but not kept in escrow: "
                f"{error.message}. It is tried again once in check_every; until then its login is not turned",
                place=error.place,
            ) from None
        return shown, new

    def delete(self, caller: Caller, environment: str, name: str, *, if_match: int | None) -> None:
        """Forget a connection and its passwords; the target keeps its logins as they are.

        Raises Absent, Forbidden, Outdated, Conflict.
        """
        names.path(name)

        def act(tx: Transaction) -> None:
            wall = self._walls.enter(tx, caller, environment)
            stored = connection_found(tx, wall, caller, name, Level.OWN)
            check_revision(if_match, stored.revision)
            if others := [other for other in connections.administered(tx, stored.id) if other != name]:
                raise Conflict(f"connection {name} administers {', '.join(others[:5])}; change or delete those first")
            if rotation := rotations.open_one(tx, stored.id):
                raise Conflict(
                    f"connection {name} is in a rotation ({rotation.id}, {rotation.stage.value}); let it end first"
                )
            connections.remove(tx, stored.id)
            wrappings.lost(tx, wall.id, stored.id)

        self._door.change(caller, Deed("connection.delete", environment, name), act)

    def _before(
        self,
        tx: Transaction,
        caller: Caller,
        environment: str,
        name: str,
        wanted: Registration,
        if_match: int | None,
        only_policy: bool,
    ) -> _Before:
        """Everything that can be refused without asking the target, and what the look begins with."""
        wall = self._walls.enter(tx, caller, environment)
        thing = of_policy(wall, name) if only_policy else of_connection(wall, name)
        require(caller, Level.EDIT, thing, f"connection {name}")
        stored = connections.find(tx, wall.id, name)
        check_revision(if_match, stored.revision if stored else 0)
        if wanted.administered_by is not None:
            check_administration(tx, wall, caller, name, wanted, stored)
        elif wanted.policy:
            raise Invalid(
                "administered_by is needed for a rotation: who is to change the password?", field="administered_by"
            )
        if wanted.policy and wanted.policy.schedule:
            self._calendar.check(wanted.policy.schedule, wanted.policy.drain_minimum, tx.now)
        if wanted.kept_in and not only_policy:
            # What is named here is going to be overwritten: reading rights on the location are not enough.
            require(caller, Level.OWN, of_environment(wall), f"kept_in of connection {name}")
        if wanted.kept_in and not allowed(wanted.kept_in.location, wall.stores):
            raise Invalid(
                f"kept_in.reference: environment {wall.name} has no rule under `stores` that covers this location",
                field="kept_in.reference",
            )
        open_one = rotations.open_one(tx, stored.id) if stored else None
        if stored:
            refuse_meanwhile(stored, wanted, open_one)
        held = self._held(tx, stored, open_one) if stored else None
        if held is None and wanted.administered_by == name and not (wanted.login and wanted.login.password):
            raise Invalid("login.password is needed: nobody else could give this login one", field="login.password")
        if held is None and not wanted.login and wanted.policy is None and wanted.kept_in is None:
            raise Invalid("login is needed: the user name and password that applications use now", field="login")
        live = self._opened(tx, wall, held) if held else None
        return _Before(wall, stored, live, (stored.generation, held.id if held else "") if stored else None)

    def _held(self, tx: Transaction, stored: StoredConnection, open_one: Rotation | None) -> Credential | None:
        """The credential that the target should accept now: under `single` the candidate, once it was applied."""
        standing = connections.standing(tx, stored.id)
        applied = (Stage.APPLIED, Stage.VERIFIED)
        if open_one and open_one.strategy is Strategy.SINGLE and open_one.reached in applied:
            return next((c for c in standing if c.id == open_one.candidate_id), None)
        return next((c for c in standing if c.state is CredentialState.LIVE), None)

    def _opened(self, tx: Transaction, wall: Environment, held: Credential) -> Account | None:
        if held.sealed is None:
            return None
        ring = self._keyrings.opener(tx, wall.id, held.sealed)
        return Account(held.username, ring.unseal(held.sealed, credential_context(wall.id, held.login_id, held.id)))

    def _shown(self, tx: Transaction, stored: StoredConnection) -> Shown:
        target = definitions.target(stored.definition)
        administration = connections.get(tx, stored.administered_by) if stored.administered_by else None
        if stored.administered_by and administration is None:
            raise Absent("the administration connection is gone")
        standing = connections.standing(tx, stored.id)
        return Shown(
            stored,
            target,
            definitions.policy(stored.policy, target.engine),
            administration.name if administration else None,
            tuple(connections.usernames(tx, stored.id)),
            restorations.held(tx, stored.id),
            self._escrows.findings(tx, stored),
            next((each.valid_from for each in standing if each.state is CredentialState.LIVE), None),
        )


def _told(wanted: Registration) -> dict[str, object]:
    """What a request would make of it, as a likeness has it."""
    told: dict[str, object] = {part: value for part, value in wanted.definition().items() if part != "login"}
    told |= {f"rotation.{key}": value for key, value in (definitions.policy_data(wanted.policy) or {}).items()}
    told["administered_by"] = wanted.administered_by
    if wanted.login:
        told |= {"username": wanted.login.username, "password": wanted.login.password}
    return told


def _changed(stored: StoredConnection | None, wanted: Registration) -> list[str]:
    """Which parts of a definition a request changes, for its event."""
    if stored is None:
        return ["new"]
    definition, policy = wanted.definition(), definitions.policy_data(wanted.policy) or {}
    parts = [key for key, value in definition.items() if key != "login" and stored.definition.get(key) != value]
    former = stored.policy or {}
    parts += [f"rotation.{key}" for key in sorted({*former, *policy}) if former.get(key) != policy.get(key)]
    return parts + (["login"] if wanted.login else [])
