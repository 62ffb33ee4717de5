"""Recording: a connection that was put, as the ledger has it from then on, and the login that came with it.

Everything was judged, and the target looked at, before (`connections.py`); this is what is made of it.
"""

from dataclasses import replace
from typing import Any

from service.core.connection import Account
from service.core.environment import Environment
from service.core.errors import Conflict
from service.core.rotation import GRACE, Credential, CredentialState, RotationPolicy, Strategy
from service.core.schedule import Calendar
from service.core.sealed import credential_context
from service.keeper import definitions
from service.keeper.administration import administrator_id
from service.keeper.continuity import logins_of, promised_until
from service.keeper.door import Door
from service.keeper.keys import Keyrings
from service.keeper.registration import Registration
from service.keeper.verification import Verified
from service.ledger import checks, connections
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction


class Recording:
    """Writes connections, inside of somebody's transaction."""

    def __init__(self, door: Door, keyrings: Keyrings, calendar: Calendar) -> None:
        self._door = door
        self._keyrings = keyrings
        self._calendar = calendar

    def require_alone(
        self, tx: Transaction, wall: Environment, stored: StoredConnection | None, wanted: Registration
    ) -> None:
        """Two connections that turn one login would each kill what the other promised."""
        definition = wanted.definition()
        if definition["login"] is None and stored:
            definition["login"] = stored.definition.get("login")
        mine = set(logins_of(definition, wanted.policy))
        if stored:
            mine |= set(connections.usernames(tx, stored.id))
        for other in connections.on_server(tx, definitions.server(wanted.target)):
            if stored and other.id == stored.id:
                continue
            policy = definitions.policy(other.policy, wanted.target.engine)
            theirs = {*logins_of(other.definition, policy), *connections.usernames(tx, other.id)}
            if (shared := mine & theirs) and (wanted.policy or policy):
                where = other.name if other.environment_id == wall.id else "one in another environment"
                raise Conflict(
                    f"the login {min(shared)} belongs to another connection to the same server ({where}), and one of "
                    "the two rotates: give each a login of its own, or use that connection"
                )

    def record(
        self,
        tx: Transaction,
        wall: Environment,
        former: StoredConnection | None,
        live_id: str,
        name: str,
        wanted: Registration,
        verified: Verified,
    ) -> StoredConnection:
        """As it was put. `live_id` is the credential that the target should have accepted; empty if there is none."""
        own_id = former.id if former else self._door.new_id()
        definition = wanted.definition()
        known = {former.definition.get("login"), *connections.usernames(tx, former.id)} if former else set()
        given = verified.given
        # A login that is known already changes nothing while the live credential works: putting the same
        # document again must not cut anybody's promise short.
        imports = given is not None and not (live_id and verified.live_works and given.username in known)
        if former and live_id and wanted.kept_in:
            imports = False
        if former and (definition["login"] is None or not imports or _of_pair(former, wanted)):
            definition["login"] = former.definition.get("login") or definition["login"]
        due = self._due(tx, former, wanted.policy)
        stored = StoredConnection(
            own_id,
            wall.id,
            name,
            definition,
            administrator_id(tx, wall, wanted, name, own_id),
            definitions.server(wanted.target),
            wanted.target.primary.host.lower(),
            wanted.policy.siblings if wanted.policy else None,
            int(wanted.policy.spacing.total_seconds()) if wanted.policy and wanted.policy.spacing else None,
            definitions.policy_data(wanted.policy),
            (former.health if former else {"rotation": None})
            | {"registered": list(verified.findings), "check": [], "away": [], "drift": []},
            former.generation if former else 0,
            (former.revision if former else 0) + 1,
            due,
            former.waits_since if former and former.next_due_at == due else None,
            promised_until(former, wanted, tx.latest),
            tx.now,
            wall.name,
        )
        if former:
            connections.replace(tx, stored)
        else:
            connections.add(tx, stored)
        anew = former is None or imports or former.definition != stored.definition
        # A login that is not the live one shows nothing of what that one is.
        shows = imports or given is None
        checks.accept(tx, stored.id, (verified.identity if shows else {}) if anew else None)
        if imports and given:
            stored = self._import(tx, stored, given, verified, sealed_here=wanted.kept_in is None)
        return stored

    def _due(self, tx: Transaction, former: StoredConnection | None, policy: RotationPolicy | None) -> Any:
        """The next due time: drawn anew only when the schedule itself is another."""
        if policy is None or policy.schedule is None:
            return None
        if former and former.policy and former.next_due_at:
            before = definitions.policy(former.policy, definitions.target(former.definition).engine)
            if before and before.schedule == policy.schedule:
                return former.next_due_at
        return self._calendar.next_due(policy.schedule, tx.now, self._door.randomness)

    def _import(
        self, tx: Transaction, stored: StoredConnection, account: Account, verified: Verified, *, sealed_here: bool
    ) -> StoredConnection:
        """The verified account becomes the live credential; the one before it drains if it still works."""
        policy = definitions.policy(stored.policy, definitions.target(stored.definition).engine)
        minimum = policy.drain_minimum if policy else definitions.DRAIN_MINIMUM
        until = max(tx.latest + minimum, stored.promised_until or tx.now) + GRACE
        for held in connections.standing(tx, stored.id):
            if held.state is CredentialState.LIVE and verified.live_works:
                connections.mark(tx, held.id, CredentialState.DRAINING, good_until=until)
            elif held.state is not CredentialState.DRAINING:
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


def _of_pair(former: StoredConnection, wanted: Registration) -> bool:
    """Is the login that is put one of the pair that the connection has? Then the role stays what it was."""
    adopted = former.definition.get("login")
    if wanted.policy is None or wanted.policy.strategy is not Strategy.ALTERNATING or not adopted or not wanted.login:
        return False
    return wanted.login.username in wanted.policy.pair(adopted)[1]
