"""Probing a connection after a restoration: what is to be tried, and what it showed. For the scheduler's workers.

Each result is one transaction with its event; the last one ends the restoration. Nothing is destroyed: a
password that is not accepted stays sealed where it was, as `abandoned`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from service.core.access import Caller
from service.core.connection import Access, Account, Target
from service.core.errors import Absent
from service.core.restoration import Finding, beside, expected, to_try
from service.core.rotation import Credential, CredentialState, Rotation, Stage
from service.keeper import definitions
from service.keeper.briefs import Briefs
from service.keeper.definitions import KeptIn
from service.keeper.door import Deed, Door
from service.keeper.walls import Walls
from service.ledger import connections, findings, restorations, rotations
from service.ledger.connections import StoredConnection
from service.ledger.findings import Found, Probing
from service.ledger.ledger import Transaction


@dataclass(frozen=True)
class Known:
    """A password that the ledger knows, opened."""

    credential_id: str
    account: Account


@dataclass(frozen=True)
class Subject:
    """What is to be known of a connection that is probed. Passwords in it are Secrets."""

    found: Found
    target: Target
    kept_in: KeptIn | None
    live_username: str | None
    adopted: str | None
    """The login that was imported."""
    expecting: tuple[Known, ...]
    beside: tuple[Known, ...]
    others: tuple[Known, ...]
    administration: Access | None
    """None too where a person must look at the administration connection, or it is the connection itself."""
    fence: int
    """The highest number that this ledger gave out."""


class Probes:
    """Operations of the worker. The caller is Keywright's own scheduler."""

    def __init__(self, door: Door, walls: Walls, briefs: Briefs) -> None:
        self._door = door
        self._walls = walls
        self._briefs = briefs

    def claim(self, holder: str, lease: timedelta, limit: int, server: str | None = None) -> list[Probing]:
        """Take what is to be probed and is not held: one on each database server, or one on that server."""
        with self._door.ledger.work() as tx:
            return findings.claim(tx, holder, lease, limit, self._walls.pinned, server)

    def subject(self, held: Probing) -> Subject:
        """What is to be known now. Raises ProbeLost, Absent, SealBroken, key errors."""

        def look(tx: Transaction) -> Subject:
            found = findings.get(tx, held)
            stored = _stored(tx, held)
            known = connections.secrets_of(tx, stored.id)
            rotation = rotations.open_one(tx, stored.id)
            live = next((c for c in known if c.state is CredentialState.LIVE), None)
            expecting = [c for c in expected(known, rotation) if c.sealed is not None]
            resting = beside(known, live, rotation) if live else []
            others = to_try(known, expecting, set(found.rejected))
            return Subject(
                found,
                definitions.target(stored.definition),
                definitions.kept_in(stored.definition.get("kept_in")),
                live.username if live else None,
                stored.definition.get("login") or (live.username if live else None),
                self._opened(tx, stored, expecting),
                self._opened(tx, stored, resting),
                self._opened(tx, stored, others),
                self._administration(tx, stored),
                connections.fence(tx, stored.id),
            )

        return self._door.look(look)

    def rejected(self, held: Probing, credential_id: str) -> None:
        """The target rejected this one: nobody tries it again in this restoration."""
        with self._door.ledger.work() as tx:
            found = findings.get(tx, held)
            findings.change(tx, held, rejected=[*found.rejected, credential_id])

    def later(self, held: Probing, delay: timedelta, sentence: str, *, failing: bool = True) -> None:
        """Try again after a while. `failing`: the target did not answer, which counts."""
        with self._door.ledger.work() as tx:
            attempts = findings.get(tx, held).attempts + failing
            values = {"wake_at": tx.now + delay, "lease_until": None, "attempts": attempts, "sentence": sentence}
            findings.change(tx, held, **values)

    def fine(self, caller: Caller, held: Probing, sentence: str) -> None:
        """The ledger is right about this connection."""
        self._record(caller, held, Finding.FINE, sentence)

    def adopted(self, caller: Caller, held: Probing, known: Known, sentence: str) -> None:
        """Another password that the ledger has is in force: it is the live one from now on, generation + 1."""

        def act(tx: Transaction, stored: StoredConnection) -> None:
            _abandon_open(tx, stored, sentence)
            for former in connections.standing(tx, stored.id):
                if former.state is CredentialState.LIVE:
                    connections.mark(tx, former.id, CredentialState.ABANDONED)
            state = CredentialState.LIVE
            connections.mark(tx, known.credential_id, state, valid_from=tx.now, good_until=None)
            connections.replace(tx, replace(stored, generation=stored.generation + 1))

        self._record(caller, held, Finding.ADOPTED, sentence, act, login=known.account.username)

    def adopted_from_store(self, caller: Caller, held: Probing, username: str, sentence: str) -> None:
        """The password's store names another login than the ledger: that one is live, and lives there."""

        def act(tx: Transaction, stored: StoredConnection) -> None:
            _abandon_open(tx, stored, sentence)
            for former in connections.standing(tx, stored.id):
                if former.state is CredentialState.LIVE:
                    connections.mark(tx, former.id, CredentialState.ABANDONED)
            login_id = connections.login(tx, stored.id, username, self._door.new_id())
            live = CredentialState.LIVE
            new = Credential(self._door.new_id(), stored.id, login_id, username, live, None, tx.now, None, tx.now)
            connections.add_credential(tx, new)
            connections.replace(tx, replace(stored, generation=stored.generation + 1))

        self._record(caller, held, Finding.ADOPTED, sentence, act, login=username)

    def stuck(
        self, caller: Caller, held: Probing, sentence: str, *, fence: int | None = None, known: bool = True
    ) -> None:
        """A person must look. `known`: the target answered, so whatever rotation was open is of another past."""

        def act(tx: Transaction, stored: StoredConnection) -> None:
            if known:
                _abandon_open(tx, stored, sentence)

        self._record(caller, held, Finding.STUCK, sentence, act, fence=fence)

    def take_over(self) -> None:
        """On an embedded ledger only one process works: whoever held a lease before this one started is dead."""
        if self._door.ledger.embedded:
            with self._door.ledger.work() as tx:
                findings.take_over(tx)

    def _record(
        self,
        caller: Caller,
        held: Probing,
        finding: Finding,
        sentence: str,
        act: Callable[[Transaction, StoredConnection], None] | None = None,
        *,
        login: str | None = None,
        fence: int | None = None,
    ) -> None:
        deed = Deed("restoration.connection")
        deeds = [deed]

        def change(tx: Transaction) -> None:
            stored = _stored(tx, held)
            deed.environment, deed.resource = stored.environment, stored.name
            deed.detail.update(restoration=held.restoration_id, finding=finding.value, sentence=sentence)
            if login is not None:
                deed.detail["login"] = login
            values = {"finding": finding.value, "sentence": sentence, "lease_until": None, "holder": None}
            findings.change(tx, held, **values, fence=fence)
            # A person who had to look before need not any more, or will be told the present state.
            _, seen = findings.settle(tx, stored.id, but=held.restoration_id)
            if seen:
                connections.raise_fence(tx, stored.id, seen)
            if act is not None:
                act(tx, stored)
            if not findings.pending(tx, held.restoration_id):
                restorations.close(tx, held.restoration_id)
                deeds.append(Deed("restoration.end", detail={"restoration": held.restoration_id}))

        self._door.change(caller, deeds, change)

    def _administration(self, tx: Transaction, stored: StoredConnection) -> Access | None:
        admin = connections.get(tx, stored.administered_by) if stored.administered_by else None
        if admin is None or admin.id == stored.id or findings.is_stuck(tx, admin.id):
            return None
        live = next((c for c in connections.standing(tx, admin.id) if c.state is CredentialState.LIVE), None)
        account = self._briefs.account(tx, admin, live)
        return Access(definitions.target(admin.definition), account) if account else None

    def _opened(self, tx: Transaction, stored: StoredConnection, held: Sequence[Credential]) -> tuple[Known, ...]:
        opened = [(it.id, self._briefs.account(tx, stored, it)) for it in held]
        return tuple(Known(credential_id, account) for credential_id, account in opened if account)


def _stored(tx: Transaction, held: Probing) -> StoredConnection:
    stored = connections.get(tx, held.connection_id)
    if stored is None:
        raise Absent("the connection is gone")
    return stored


def _abandon_open(tx: Transaction, stored: StoredConnection, sentence: str) -> None:
    """The open rotation is of a past that the target does not share: it ends, from whatever stage."""
    rotation = rotations.open_one(tx, stored.id)
    if rotation is None:
        return
    reason = f"the ledger's past was lost: {sentence}"
    for unused in (rotation.candidate_id, rotation.parking_id):
        held = connections.credential(tx, unused) if unused else None
        if held and held.state is CredentialState.CANDIDATE:
            connections.mark(tx, held.id, CredentialState.ABANDONED)
    _end_promise(tx, rotation)
    closing = rotations.closing(Stage.ABANDONED, rotation.id, tx.now)
    rotations.seize(tx, rotation, stage=Stage.ABANDONED.value, reason=reason, **closing)
    rotations.tell(tx, rotation.id, Stage.ABANDONED, reason)


def _end_promise(tx: Transaction, rotation: Rotation) -> None:
    """A former credential that drained without an end yet must not be offered for ever."""
    former = connections.credential(tx, rotation.former_id) if rotation.former_id else None
    if former and former.state is CredentialState.DRAINING and former.good_until is None:
        connections.mark(tx, former.id, former.state, good_until=tx.now)
