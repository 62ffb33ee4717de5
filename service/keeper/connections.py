"""Connections: registered, verified, listed, deleted. Passwords leave only through `credentials.py`.

Registering looks before it records: the given password must be accepted on every required endpoint and a
wrong one refused, and nothing in the target is ever changed by it. The looking happens outside of any
transaction; what was evaluated before it is evaluated again when the result is recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.core import names
from service.core.access import Caller, Level, require
from service.core.connection import (
    Accepted,
    Access,
    Account,
    Database,
    Endpoint,
    Engine,
    NotPermitted,
    Rejected,
    Target,
    TlsMode,
    Unreachable,
)
from service.core.environment import Environment
from service.core.errors import Absent, ChangeUnreachable, Conflict, Invalid, KeywrightError
from service.core.password import profile
from service.core.reference import Reference, allowed, select
from service.core.rotation import Credential, CredentialState, RotationPolicy
from service.core.schedule import Calendar
from service.core.sealed import credential_context
from service.keeper import definitions
from service.keeper.credentials import connection_found
from service.keeper.definitions import KeptIn
from service.keeper.door import Deed, Door
from service.keeper.environments import check_revision
from service.keeper.keys import Keyrings
from service.keeper.references import References
from service.keeper.registration import Login, Registration, password_field
from service.keeper.walls import Walls, of_connection, of_environment
from service.ledger import connections, rotations
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

    @property
    def health(self) -> tuple[str, list[str]]:
        """`well`, `warned` or `failing`, and the sentences that say why."""
        trouble, findings = self.stored.health.get("rotation"), list(self.stored.health.get("registered", ()))
        if trouble:
            return "failing", [trouble, *findings]
        return ("warned" if findings else "well"), findings


class Connections:
    """Operations on connections. `databases` has one implementation per engine."""

    def __init__(
        self,
        door: Door,
        walls: Walls,
        keyrings: Keyrings,
        references: References,
        databases: Mapping[Engine, Database],
        calendar: Calendar,
    ) -> None:
        self._door = door
        self._walls = walls
        self._keyrings = keyrings
        self._references = references
        self._databases = databases
        self._calendar = calendar

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
            return [_shown(tx, row) for row in seen[:limit]]

        return self._door.fetch(caller, Deed("connection.list", environment, folder), evaluate)

    def get(self, caller: Caller, environment: str, name: str) -> Shown:
        """The definition, the health, the next due time. Raises Absent."""
        names.path(name)

        def evaluate(tx: Transaction) -> Shown:
            wall = self._walls.enter(tx, caller, environment)
            return _shown(tx, connection_found(tx, wall, caller, name, Level.USE))

        return self._door.fetch(caller, Deed("connection.get", environment, name), evaluate)

    def put(
        self, caller: Caller, environment: str, name: str, wanted: Registration, *, if_match: int | None
    ) -> tuple[Shown, bool]:
        """Register a connection, or change it; True beside it if it is new. The target is only looked at.

        Raises Invalid (a rejected password too), Absent, Forbidden, Conflict, Outdated, ChangeUnreachable,
        the store errors.
        """
        names.path(name)
        deed = Deed("connection.put", environment, name)
        account = self._door.poll(
            caller, deed, lambda tx: self._before(tx, caller, environment, name, wanted, if_match)
        )
        try:
            verified, findings = self._looked_at(wanted, account)
        except KeywrightError as error:
            self._door.refuse(caller, deed, error)
            raise

        def act(tx: Transaction) -> tuple[Shown, bool]:
            self._before(tx, caller, environment, name, wanted, if_match)
            return self._recorded(tx, caller, environment, name, wanted, verified, findings)

        return self._door.change(caller, deed, act)

    def delete(self, caller: Caller, environment: str, name: str, *, if_match: int | None) -> None:
        """Forget a connection and its passwords; the target keeps its logins as they are.

        Raises Absent, Forbidden, Outdated, Conflict.
        """
        names.path(name)

        def act(tx: Transaction) -> None:
            wall = self._walls.enter(tx, caller, environment)
            stored = connection_found(tx, wall, caller, name, Level.OWN)
            check_revision(if_match, stored.revision)
            if others := connections.administered(tx, stored.id):
                raise Conflict(f"connection {name} administers {', '.join(others[:5])}; change or delete those first")
            if rotation := rotations.open_one(tx, stored.id):
                raise Conflict(
                    f"connection {name} is in a rotation ({rotation.id}, {rotation.stage.value}); let it end first"
                )
            connections.remove(tx, stored.id)

        self._door.change(caller, Deed("connection.delete", environment, name), act)

    def _before(
        self, tx: Transaction, caller: Caller, environment: str, name: str, wanted: Registration, if_match: int | None
    ) -> Account | None:
        """Everything that can be refused without asking the target; the account to verify, if there is one."""
        wall = self._walls.enter(tx, caller, environment)
        require(caller, Level.EDIT, of_connection(wall, name), f"connection {name}")
        stored = connections.find(tx, wall.id, name)
        check_revision(if_match, stored.revision if stored else 0)
        if wanted.administered_by is not None:
            self._administration(tx, wall, caller, name, wanted)
        elif wanted.policy:
            raise Invalid(
                "administered_by is needed for a rotation: who is to change the password?", field="administered_by"
            )
        if wanted.policy and wanted.policy.schedule:
            self._calendar.check(wanted.policy.schedule, wanted.policy.drain_minimum, tx.now)
        if wanted.kept_in:
            # What is named here is going to be overwritten: reading rights on the location are not enough.
            require(caller, Level.OWN, of_environment(wall), f"kept_in of connection {name}")
        if wanted.kept_in and not allowed(wanted.kept_in.location, wall.stores):
            raise Invalid(
                f"kept_in.reference: environment {wall.name} has no rule under `stores` that covers this location",
                field="kept_in.reference",
            )
        if stored and stored.definition["engine"] != wanted.target.engine.value:
            raise Conflict(
                f"connection {name} is {stored.definition['engine']}; delete it first to make it another engine"
            )
        if stored and wanted.login and rotations.open_one(tx, stored.id):
            raise Conflict(f"connection {name} is in a rotation; its login cannot be replaced meanwhile")
        if wanted.login:
            return Account(wanted.login.username, wanted.login.password) if wanted.login.password else None
        live = self._live(tx, stored) if stored else None
        if live is None and wanted.policy is None and wanted.kept_in is None:
            raise Invalid("login is needed: the user name and password that applications use now", field="login")
        return live

    def _administration(
        self, tx: Transaction, wall: Environment, caller: Caller, name: str, wanted: Registration
    ) -> StoredConnection:
        assert wanted.administered_by is not None  # noqa: S101 - the caller looked
        stored = connections.find(tx, wall.id, wanted.administered_by)
        # Who names it lets Keywright act with its password: so it must be one that the caller could fetch.
        if stored is None or caller.level(of_connection(wall, wanted.administered_by)) is None:
            raise Invalid(
                f"administered_by: connection {wanted.administered_by} does not exist", field="administered_by"
            )
        if wanted.administered_by == name:
            raise Invalid("administered_by: a connection cannot administer itself", field="administered_by")
        if stored.definition["engine"] != wanted.target.engine.value:
            raise Invalid(
                f"administered_by: {wanted.administered_by} is {stored.definition['engine']}", field="administered_by"
            )
        if wanted.login and wanted.login.username in connections.usernames(tx, stored.id):
            raise Invalid("login.username is the administration login itself", field="login.username")
        return stored

    def _live(self, tx: Transaction, stored: StoredConnection) -> Account | None:
        for held in connections.standing(tx, stored.id):
            if held.state is CredentialState.LIVE and held.sealed is not None:
                ring = self._keyrings.opener(tx, stored.environment_id, held.sealed)
                context = credential_context(stored.environment_id, held.login_id, held.id)
                return Account(held.username, ring.unseal(held.sealed, context))
        return None

    def _looked_at(self, wanted: Registration, account: Account | None) -> tuple[Account | None, list[str]]:
        """The account as verified on the target, and what its health must say."""
        findings = []
        if wanted.target.tls.mode is TlsMode.DISABLE:
            findings.append("TLS is off: whoever can listen on the way to the database sees what is sent")
        elif wanted.target.tls.mode is TlsMode.REQUIRE:
            findings.append("TLS does not verify the server: somebody on the way could pose as the database")
        if account is None and wanted.kept_in:
            account = self._kept(wanted.kept_in, wanted.login)
        if account is None:
            return None, findings
        for endpoint in wanted.target.endpoints:
            finding = self._probed(wanted.target, endpoint, account, password_field(wanted))
            if finding:
                findings.append(finding)
        return account, findings

    def _probed(self, target: Target, endpoint: Endpoint, account: Account, field: str) -> str | None:
        database = self._databases[target.engine]
        match database.probe(Access(target, account), endpoint):
            case Accepted():
                pass
            case Rejected(reason):
                if endpoint.required:
                    raise Invalid(
                        f"{field}: {endpoint} rejected this password for {account.username}: {reason}", field=field
                    )
                return f"{endpoint} (optional) rejects the password: {reason}"
            case NotPermitted(reason):
                if endpoint.required:
                    raise Invalid(
                        f"login.username: {endpoint} does not let {account.username} in: {reason}",
                        field="login.username",
                    )
                return f"{endpoint} (optional) does not let the login in: {reason}"
            case Unreachable(reason):
                if endpoint.required:
                    raise ChangeUnreachable(
                        f"{endpoint} cannot be reached, so the login could not be verified: {reason}"
                    )
                return f"{endpoint} (optional) cannot be reached: {reason}"
        wrong = Account(account.username, profile().generate(self._door.randomness))
        if isinstance(database.probe(Access(target, wrong), endpoint), Accepted):
            return f"{endpoint} lets {account.username} in with any password: the server trusts everybody"
        return None

    def _kept(self, home: KeptIn, login: Login | None) -> Account:
        user = home.username()
        wanted: set[Reference] = {home.password()} | ({user} if user else set())
        readings = self._references.read(wanted)
        if user:
            username = select(readings[user].reading, user).reveal()
        elif login:
            username = login.username
        else:
            raise Invalid("login.username is needed: kept_in has no username_key", field="login.username")
        return Account(username, select(readings[home.password()].reading, home.password()))

    def _recorded(
        self,
        tx: Transaction,
        caller: Caller,
        environment: str,
        name: str,
        wanted: Registration,
        verified: Account | None,
        findings: list[str],
    ) -> tuple[Shown, bool]:
        wall = self._walls.enter(tx, caller, environment)
        former = connections.find(tx, wall.id, name)
        admin = self._administration(tx, wall, caller, name, wanted) if wanted.administered_by else None
        definition = wanted.definition()
        if former and definition["login"] is None:
            definition["login"] = former.definition.get("login")
        policy = definitions.policy_data(wanted.policy)
        due = former.next_due_at if former and former.policy == policy else self._first_due(tx, wanted.policy)
        stored = StoredConnection(
            former.id if former else self._door.new_id(),
            wall.id,
            name,
            definition,
            admin.id if admin else None,
            policy,
            {"registered": findings, "rotation": former.health.get("rotation") if former else None},
            former.generation if former else 0,
            (former.revision if former else 0) + 1,
            due,
            tx.now,
            wall.name,
        )
        if former:
            connections.replace(tx, stored)
        else:
            connections.add(tx, stored)
        if verified and (wanted.login or former is None):
            stored = self._import(tx, stored, verified, sealed_here=wanted.kept_in is None)
        return _shown(tx, stored), former is None

    def _first_due(self, tx: Transaction, policy: RotationPolicy | None) -> Any:
        if policy is None or policy.schedule is None:
            return None
        return self._calendar.next_due(policy.schedule, tx.now, self._door.randomness)

    def _import(
        self, tx: Transaction, stored: StoredConnection, account: Account, *, sealed_here: bool
    ) -> StoredConnection:
        """The verified account becomes the live credential; the one before it is kept, but no longer offered."""
        for held in connections.standing(tx, stored.id):
            connections.mark(tx, held.id, CredentialState.ABANDONED)
        login_id = connections.login(tx, stored.id, account.username, self._door.new_id())
        credential_id = self._door.new_id()
        sealed = None
        if sealed_here:
            context = credential_context(stored.environment_id, login_id, credential_id)
            ring = self._keyrings.sealer(tx, stored.environment_id)
            sealed = ring.seal(account.password, context, self._door.randomness)
        connections.add_credential(
            tx,
            Credential(
                credential_id, stored.id, login_id, account.username, CredentialState.LIVE, sealed, tx.now, None, tx.now
            ),
        )
        published = replace(stored, generation=stored.generation + 1)
        connections.replace(tx, published)
        return published


def _shown(tx: Transaction, stored: StoredConnection) -> Shown:
    target = definitions.target(stored.definition)
    administration = connections.get(tx, stored.administered_by) if stored.administered_by else None
    if stored.administered_by and administration is None:
        raise Absent("the administration connection is gone")
    return Shown(
        stored,
        target,
        definitions.policy(stored.policy, target.engine),
        administration.name if administration else None,
        tuple(connections.usernames(tx, stored.id)),
    )
