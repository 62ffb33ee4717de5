"""The durable steps of a rotation, as the rotator takes them: each is one transaction with its event.

Every step is conditional on the fencing number of the worker's claim. A step changes the ledger only; what
has to happen in the target happened before it, and is looked at again if the step was never recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from service.core.access import EVERYTHING, Caller, Level, require
from service.core.connection import Access, Account, Target
from service.core.errors import Absent, Conflict
from service.core.rotation import (
    GRACE,
    Credential,
    CredentialState,
    Rotation,
    RotationPolicy,
    Stage,
    Strategy,
    require_move,
)
from service.core.sealed import credential_context
from service.core.secret import Secret
from service.keeper import definitions
from service.keeper.definitions import KeptIn
from service.keeper.door import Deed, Door
from service.keeper.keys import Keyrings
from service.keeper.references import References
from service.ledger import connections, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction
from service.ledger.rotations import Claim, LeaseLost


@dataclass(frozen=True)
class Standpoint:
    """What is to be known of a connection before it rotates. Passwords in it are Secrets."""

    target: Target
    policy: RotationPolicy
    administration: Access | None
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
    promised_until: datetime | None
    """Until when a credential of an earlier rotation is still promised; nothing may be staged before."""


class Steps:
    """Operations of the rotator. The caller is Keywright's own scheduler."""

    def __init__(self, door: Door, keyrings: Keyrings, references: References) -> None:
        self._door = door
        self._keyrings = keyrings
        self.references = references

    def brief(self, caller: Caller, held: Claim) -> Brief:
        """What is to be known now. Raises LeaseLost, SealBroken, key errors, Absent."""
        require(caller, Level.OWN, EVERYTHING, "the rotation")

        def look(tx: Transaction) -> Brief:
            rotation = _held(tx, held)
            stored = _stored(tx, rotation)
            at = self.standpoint(tx, stored)
            former = self._account_of(tx, stored, rotation.former_id) if rotation.former_id else at.live
            standing = connections.standing(tx, stored.id)
            ending = [c.good_until for c in standing if c.state is CredentialState.DRAINING and c.good_until]
            return Brief(
                **vars(at),
                rotation=rotation,
                now=tx.now,
                former=former,
                candidate=self._account_of(tx, stored, rotation.candidate_id),
                parking=self._account_of(tx, stored, rotation.parking_id),
                promised_until=max(ending, default=None),
            )

        return self._door.look(look)

    def standpoint(self, tx: Transaction, stored: StoredConnection) -> Standpoint:
        """What is to be known of a connection. Raises Absent, SealBroken, key errors."""
        target = definitions.target(stored.definition)
        policy = definitions.policy(stored.policy, target.engine)
        if policy is None:
            raise Absent(f"connection {stored.name} has no rotation policy any more")
        live = next((c for c in connections.standing(tx, stored.id) if c.state is CredentialState.LIVE), None)
        return Standpoint(
            target,
            policy,
            self._administration(tx, stored),
            self._account(tx, stored, live),
            live.username if live else None,
            stored.definition.get("login") or (live.username if live else None),
            definitions.kept_in(stored.definition.get("kept_in")),
        )

    def stage(
        self, caller: Caller, held: Claim, username: str, candidate: Secret, former: Account | None, sentence: str
    ) -> None:
        """Seal the candidate, before the target hears of it; and a copy of a former that lives in a store."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = _stored(tx, rotation)
            live = next((c for c in connections.standing(tx, stored.id) if c.state is CredentialState.LIVE), None)
            if live and live.sealed is None and former:
                connections.mark(tx, live.id, live.state, sealed=self._sealed(tx, stored, live, former.password))
            new = self._candidate(tx, stored, username, candidate)
            return {"candidate_id": new.id, "former_id": live.id if live else None, "not_before": None}

        self._move(caller, held, Stage.STAGED, sentence, act)

    def restage(self, caller: Caller, held: Claim, candidate: Secret, sentence: str) -> None:
        """Another candidate in place of one that the target refused and that was never in force there."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = _stored(tx, rotation)
            refused = connections.credential(tx, rotation.candidate_id or "")
            if refused is None:
                raise Conflict("there is no candidate to replace")
            connections.mark(tx, refused.id, CredentialState.ABANDONED)
            new = self._candidate(tx, stored, refused.username, candidate)
            # What was announced is not what will be: the announcement begins again.
            return {"candidate_id": new.id, "not_before": None, "attempts": rotation.attempts + 1}

        self._stay(caller, held, "rotation.restage", sentence, act)

    def announce(self, caller: Caller, held: Claim, sentence: str) -> None:
        """From now on applications are offered [live, next]."""
        self._move(caller, held, Stage.ANNOUNCED, sentence, lambda _tx, _rotation: {"not_before": None})

    def count(self, caller: Caller, held: Claim, lasts: timedelta) -> None:
        """The announcement is committed: its time is counted from now, and covers every promise given before."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            promised = _stored(tx, rotation).promised_until
            until = max(tx.now + lasts, promised + GRACE) if promised else tx.now + lasts
            return {"not_before": until, "wake_at": until}

        self._stay(
            caller,
            held,
            "rotation.count",
            "",
            act,
        )

    def applied(self, caller: Caller, held: Claim, sentence: str) -> None:
        """The target took the candidate."""
        self._move(caller, held, Stage.APPLIED, sentence, lambda _tx, _rotation: {})

    def verified(self, caller: Caller, held: Claim, sentence: str) -> None:
        """A real login with the candidate worked wherever it must."""
        self._move(caller, held, Stage.VERIFIED, sentence, lambda _tx, _rotation: {})

    def publish(self, caller: Caller, held: Claim, sentence: str) -> None:
        """Move the pointer: the candidate is live, the former one drains, generation + 1."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = _stored(tx, rotation)
            generation = stored.generation + 1
            # Under `single` the former password died when the new one was applied: it is offered no more.
            ended = tx.now if rotation.strategy is Strategy.SINGLE else None
            if rotation.former_id:
                connections.mark(tx, rotation.former_id, CredentialState.DRAINING, good_until=ended)
            connections.mark(tx, rotation.candidate_id or "", CredentialState.LIVE, valid_from=tx.now)
            health = stored.health | {"rotation": None}
            connections.replace(tx, replace(stored, generation=generation, health=health))
            return {"generation": generation, "not_before": None}

        self._move(caller, held, Stage.PUBLISHED, sentence, act)

    def drain(self, caller: Caller, held: Claim, minimum: timedelta, sentence: str) -> None:
        """The publication is committed: the drain minimum is counted from now."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            over = rotation.strategy is Strategy.SINGLE or rotation.emergency or rotation.former_id is None
            promised = _stored(tx, rotation).promised_until or tx.now
            good_until = tx.now if over else max(tx.now + minimum, promised)
            if rotation.former_id:
                connections.mark(tx, rotation.former_id, CredentialState.DRAINING, good_until=good_until)
            retire_at = good_until if over else good_until + GRACE
            return {"not_before": retire_at, "wake_at": retire_at}

        self._move(caller, held, Stage.DRAINING, sentence, act)

    def begin_to_retire(self, caller: Caller, held: Claim) -> None:
        """From here on the former password may be gone: no revert any more."""
        self._stay(caller, held, "rotation.retiring", "", lambda _tx, _rotation: {"retiring": True})

    def park(self, caller: Caller, held: Claim, username: str, password: Secret) -> None:
        """Seal the password that the old login of a pair is reset to, before it is reset."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            return {"parking_id": self._candidate(tx, _stored(tx, rotation), username, password).id}

        self._stay(caller, held, "rotation.park", "", act)

    def retire(self, caller: Caller, held: Claim, sentence: str, receipt: Mapping[str, str | bool | None]) -> None:
        """The former password is proven dead: its sealed copy goes, and the rotation ends."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            stored = _stored(tx, rotation)
            former = connections.credential(tx, rotation.former_id) if rotation.former_id else None
            candidate = connections.credential(tx, rotation.candidate_id or "")
            keep_former = receipt.get("proven") is False
            if former:
                state = CredentialState.ABANDONED if keep_former else CredentialState.RETIRED
                connections.mark(tx, former.id, state, sealed=former.sealed if keep_former else None, good_until=None)
            if rotation.parking_id:
                connections.mark(tx, rotation.parking_id, CredentialState.RESTING)
            kept = {rotation.parking_id, rotation.candidate_id} | ({former.id} if former and keep_former else set())
            # A login with another password than these was just shown to work: older copies are of no use.
            for login_id in {c.login_id for c in (former, candidate) if c and not (c is former and keep_former)}:
                for old in connections.remembered(tx, login_id):
                    if old.id not in kept:
                        connections.mark(tx, old.id, CredentialState.RETIRED, sealed=None)
            if candidate and stored.definition.get("kept_in"):
                connections.mark(tx, candidate.id, candidate.state, sealed=None)
            return {}

        self._move(caller, held, Stage.RETIRED, sentence, act, dict(receipt))

    def abandon(self, caller: Caller, held: Claim, reason: str) -> None:
        """It is undone: the former credential is still live. The candidate's sealed copy is kept."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            if rotation.candidate_id:
                connections.mark(tx, rotation.candidate_id, CredentialState.ABANDONED)
            _note_trouble(tx, rotation, f"the last rotation was abandoned: {reason}")
            return {"reason": reason}

        self._move(caller, held, Stage.ABANDONED, reason, act, {"reason": reason})

    def stick(self, caller: Caller, held: Claim, reason: str) -> None:
        """A person must look; nothing is discarded."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            _note_trouble(tx, rotation, f"a rotation is stuck: {reason}")
            return {"reason": reason, "stuck_in": rotation.stage.value}

        self._move(caller, held, Stage.STUCK, reason, act, {"reason": reason})

    def postpone(self, caller: Caller, held: Claim, delay: timedelta, sentence: str, *, failing: bool = True) -> None:
        """Try again later. `failing`: something is wrong, which the connection's health shows."""

        def act(tx: Transaction, rotation: Rotation) -> dict[str, Any]:
            if failing:
                _note_trouble(tx, rotation, sentence)
            return {"wake_at": tx.now + delay, "attempts": rotation.attempts + failing}

        self._stay(caller, held, "rotation.postpone", sentence, act)

    def _move(
        self,
        caller: Caller,
        held: Claim,
        stage: Stage,
        sentence: str,
        act: Any,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        def change(tx: Transaction) -> None:
            rotation = _held(tx, held)
            require_move(rotation.stage, stage)
            deed.environment, deed.resource = rotation.environment, rotation.connection
            deed.detail.update({"rotation": rotation.id} | dict(detail or {}))
            values = {"stage": stage.value, "wake_at": tx.now, "attempts": 0} | act(tx, rotation)
            rotations.change(tx, held, **values, **rotations.closing(stage, rotation.id, tx.now))
            rotations.tell(tx, rotation.id, stage, sentence)

        deed = Deed(f"rotation.{stage.value}")
        self._door.change(caller, deed, change)

    def _stay(self, caller: Caller, held: Claim, action: str, sentence: str, act: Any) -> None:
        def change(tx: Transaction) -> None:
            rotation = _held(tx, held)
            deed.environment, deed.resource = rotation.environment, rotation.connection
            deed.detail["rotation"] = rotation.id
            rotations.change(tx, held, **act(tx, rotation))
            story = rotations.story(tx, rotation.id)
            if sentence and (not story or story[-1].sentence != sentence):
                rotations.tell(tx, rotation.id, rotation.stage, sentence)

        deed = Deed(action)
        self._door.change(caller, deed, change)

    def _candidate(self, tx: Transaction, stored: StoredConnection, username: str, password: Secret) -> Credential:
        login_id = connections.login(tx, stored.id, username, self._door.new_id())
        new = Credential(
            self._door.new_id(), stored.id, login_id, username, CredentialState.CANDIDATE, None, None, None, tx.now
        )
        new = replace(new, sealed=self._sealed(tx, stored, new, password))
        connections.add_credential(tx, new)
        return new

    def _sealed(self, tx: Transaction, stored: StoredConnection, of: Credential, password: Secret) -> bytes:
        context = credential_context(stored.environment_id, of.login_id, of.id)
        return self._keyrings.sealer(tx, stored.environment_id).seal(password, context, self._door.randomness)

    def _administration(self, tx: Transaction, stored: StoredConnection) -> Access | None:
        admin = connections.get(tx, stored.administered_by) if stored.administered_by else None
        if admin is None:
            return None
        live = next((c for c in connections.standing(tx, admin.id) if c.state is CredentialState.LIVE), None)
        account = self._account(tx, admin, live)
        return Access(definitions.target(admin.definition), account) if account else None

    def _account_of(self, tx: Transaction, stored: StoredConnection, credential_id: str | None) -> Account | None:
        return self._account(tx, stored, connections.credential(tx, credential_id)) if credential_id else None

    def _account(self, tx: Transaction, stored: StoredConnection, of: Credential | None) -> Account | None:
        if of is None or of.sealed is None:
            return None
        ring = self._keyrings.opener(tx, stored.environment_id, of.sealed)
        return Account(
            of.username, ring.unseal(of.sealed, credential_context(stored.environment_id, of.login_id, of.id))
        )


def _held(tx: Transaction, held: Claim) -> Rotation:
    rotation = rotations.find(tx, held.rotation_id)
    if rotation is None or rotation.fence != held.fence:
        raise LeaseLost("the rotation was taken over by another worker")
    return rotation


def _stored(tx: Transaction, rotation: Rotation) -> StoredConnection:
    stored = connections.get(tx, rotation.connection_id)
    if stored is None:
        raise Absent(f"connection {rotation.connection} is gone")
    return stored


def _note_trouble(tx: Transaction, rotation: Rotation, sentence: str | None) -> None:
    """What is wrong with the connection's rotations, for its health; None: nothing any more."""
    stored = _stored(tx, rotation)
    connections.replace(tx, replace(stored, health=stored.health | {"rotation": sentence}))
