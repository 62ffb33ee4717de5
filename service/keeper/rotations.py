"""Rotations as people and the clock see them: asked for, watched, retried, abandoned, reverted, planned."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from service.core import names
from service.core.access import Caller, Kind, Level, Thing, require
from service.core.errors import Absent, Conflict, KeywrightError
from service.core.hands import Choice, choices
from service.core.rotation import GRACE, UNPUBLISHED, CredentialState, Limits, Rotation, Stage, Strategy, require_move
from service.keeper import definitions
from service.keeper.credentials import connection_found
from service.keeper.door import Deed, Door
from service.keeper.draining import Draining, draining
from service.keeper.freshness import require_fresh
from service.keeper.holders import Holders
from service.keeper.planning import Planning
from service.keeper.reversal import Reversal
from service.keeper.walls import Walls
from service.ledger import connections, rejections, restorations, rotations
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction
from service.ledger.rotations import Claim, StoryLine

_TURNING = "turning a password by hand"


@dataclass(frozen=True)
class Story:
    """A rotation with its history."""

    rotation: Rotation
    lines: tuple[StoryLine, ...]
    choices: tuple[Choice, ...] = ()
    """What the caller can do with it now."""
    draining: Draining | None = None


class Rotations:
    """Operations on rotations; moving one on is `steps.py`, driven by the scheduler."""

    def __init__(
        self, door: Door, walls: Walls, planning: Planning, limits: Limits, holders: Holders, reversal: Reversal
    ) -> None:
        self._door = door
        self._walls = walls
        self._planning = planning
        self._limits = limits
        self._holders = holders
        self._reversal = reversal

    def ask(
        self, caller: Caller, environment: str, name: str, note: str, *, emergency: bool = False
    ) -> tuple[Story, bool]:
        """Make a rotation due now; True beside it if it is new, False if an open one was joined.

        Raises Invalid, Absent, Forbidden, Conflict.
        """
        names.path(name, "connection")

        def act(tx: Transaction) -> tuple[Story, bool]:
            wall = self._walls.enter(tx, caller, environment)
            level = Level.OWN if emergency else Level.EDIT
            stored = connection_found(tx, wall, caller, name, level)
            require_fresh(tx, caller, _TURNING)
            rotation, new = self._planning.begin(tx, stored, caller.name, note, emergency=emergency)
            deed.detail["rotation" if new else "joined"] = rotation.id
            return _story(tx, caller, rotation), new

        deed = Deed("rotation.ask", environment, name)
        return self._door.change(caller, deed, act)

    def listed(
        self, caller: Caller, environment: str, name: str | None, stage: Stage | None, after: str, limit: int
    ) -> list[Story]:
        """Those of an environment or of one connection, the youngest first, without their histories."""
        if name is not None:
            names.path(name, "connection")

        def evaluate(tx: Transaction) -> list[Story]:
            wall = self._walls.enter(tx, caller, environment)
            wanted = connection_found(tx, wall, caller, name, Level.USE).id if name is not None else None
            seen: list[Rotation] = []
            position = after
            while len(seen) < limit:
                page = rotations.listed(tx, wall.id, wanted, stage, position, limit)
                seen += [r for r in page if caller.level(_thing(r))]
                if len(page) < limit:
                    break
                position = page[-1].id
            return [Story(r, (), _choices(tx, caller, r)) for r in seen[:limit]]

        return self._door.fetch(caller, Deed("rotation.list", environment, name or ""), evaluate)

    def get(self, caller: Caller, rotation_id: str) -> Story:
        """One, with its history. Raises Absent."""
        if self.peek(caller, rotation_id).draining:
            self._holders.catch_up()
        deed = Deed("rotation.get", resource=rotation_id)
        return self._door.fetch(caller, deed, lambda tx: self._told(tx, caller, rotation_id))

    def peek(self, caller: Caller, rotation_id: str) -> Story:
        """As `get`, for whoever waits for it: evaluated, not recorded again."""
        deed = Deed("rotation.get", resource=rotation_id)
        return self._door.poll(caller, deed, lambda tx: self._told(tx, caller, rotation_id))

    def retry(self, caller: Caller, rotation_id: str) -> Story:
        """Go on now: with a stuck one where it stopped, with a waiting one without its delay.

        Nothing is skipped by it: the next step looks before it acts, as always.
        """

        def act(tx: Transaction) -> Story:
            rotation = self._found(tx, caller, rotation_id, Level.EDIT)
            _about(deed, rotation)
            require_fresh(tx, caller, _TURNING)
            restorations.require_free(tx, rotation.connection_id, rotation.connection)
            if rotation.ended_at:
                raise Conflict(f"rotation {rotation_id} has ended ({rotation.stage.value})")
            stage = rotation.reached
            # One attempt stays on record: something was sent to the target, or may have been.
            values = {"stage": stage.value, "stuck_in": None, "reason": "", "attempts": min(rotation.attempts, 1)}
            rotations.seize(tx, rotation, **values)
            rotations.tell(tx, rotation.id, stage, f"{caller.name} asked to try again")
            _forgive(tx, rotation)
            return self._told(tx, caller, rotation_id)

        deed = Deed("rotation.retry", resource=rotation_id)
        return self._door.change(caller, deed, act)

    def abandon(self, caller: Caller, rotation_id: str) -> Story:
        """Ask that it be undone: the worker looks what is in force, puts the former password back if needed."""

        def act(tx: Transaction) -> Story:
            rotation = self._found(tx, caller, rotation_id, Level.EDIT)
            _about(deed, rotation)
            require_fresh(tx, caller, _TURNING)
            restorations.require_free(tx, rotation.connection_id, rotation.connection)
            stage = rotation.reached
            if rotation.ended_at or stage not in UNPUBLISHED:
                raise Conflict(
                    f"rotation {rotation_id} is {rotation.stage.value}: only one that has not been published can be "
                    "abandoned; while it drains it can be reverted"
                )
            values = {"stage": stage.value, "stuck_in": None, "undo": True}
            rotations.seize(tx, rotation, **values)
            rotations.tell(tx, rotation.id, stage, f"{caller.name} asked to abandon it")
            return self._told(tx, caller, rotation_id)

        deed = Deed("rotation.abandon", resource=rotation_id)
        return self._door.change(caller, deed, act)

    def revert(self, caller: Caller, rotation_id: str) -> Story:
        """While draining: the former credential becomes the live one again, generation + 1.

        It is seen to log in before. Raises Conflict if it does not, or no way leads back; ChangeUnreachable if
        that cannot be told.
        """
        deed = Deed("rotation.revert", resource=rotation_id)

        def evaluate(tx: Transaction) -> tuple[Rotation, StoredConnection]:
            rotation = self._found(tx, caller, rotation_id, Level.EDIT)
            _about(deed, rotation)
            require_fresh(tx, caller, _TURNING)
            restorations.require_free(tx, rotation.connection_id, rotation.connection)
            if rotation.strategy is Strategy.SINGLE:
                raise Conflict("under the strategy single the former password is dead already; rotate again instead")
            if rotation.retiring or rotation.former_id is None or rotation.candidate_id is None:
                raise Conflict(f"rotation {rotation_id} is being retired already; rotate again instead")
            require_move(rotation.reached, Stage.REVERTED)
            stored = connections.get(tx, rotation.connection_id)
            if stored is None:
                raise Absent(f"rotation {rotation_id} does not exist")
            if stored.definition.get("kept_in"):
                raise Conflict("the password is kept in a store, which has the new one already; rotate again instead")
            return rotation, stored

        looked_at, before = self._door.poll(caller, deed, evaluate)
        try:
            self._reversal.require(looked_at)
        except KeywrightError as refusal:
            self._door.refuse(caller, deed, refusal)
            raise

        def act(tx: Transaction) -> Story:
            rotation, stored = evaluate(tx)
            if stored.revision != before.revision:
                raise Conflict(f"connection {stored.name} was changed while it was looked at; revert again")
            policy = definitions.policy(stored.policy, definitions.target(stored.definition).engine)
            promised = tx.latest + (policy.drain_minimum if policy else timedelta(0)) + GRACE
            connections.mark(tx, rotation.former_id or "", CredentialState.LIVE, good_until=None)
            connections.mark(tx, rotation.candidate_id or "", CredentialState.DRAINING, good_until=promised)
            connections.replace(tx, replace(stored, generation=stored.generation + 1))
            deed.detail["generation"] = stored.generation + 1
            closing = rotations.closing(Stage.REVERTED, rotation.id, tx.now)
            rotations.seize(tx, rotation, stage=Stage.REVERTED.value, generation=stored.generation + 1, **closing)
            seen = "the former credential was seen to log in"
            newer = connections.credential(tx, rotation.candidate_id or "")
            stays = f"; the password that {newer.username} got stays valid until the next rotation" if newer else ""
            said = f"{seen}, and {caller.name} turned the pointer back{stays}"
            rotations.tell(tx, rotation.id, Stage.REVERTED, said)
            return self._told(tx, caller, rotation_id)

        return self._door.change(caller, deed, act)

    def plan_due(self, caller: Caller, limit: int) -> int:
        """Plan rotations for the connections that are due; how many were looked at."""
        due = self._door.look(lambda tx: connections.due(tx, limit, self._walls.pinned))
        for stored in due:
            deed = Deed("rotation.plan", stored.environment, stored.name)
            try:
                self._door.change(caller, deed, lambda tx, it=stored, deed=deed: self._planning.plan(tx, it.id, deed))  # type: ignore[misc]
            except Conflict as gone:
                deed.detail["left"] = str(gone)
        return len(due)

    def _found(self, tx: Transaction, caller: Caller, rotation_id: str, level: Level) -> Rotation:
        rotation = rotations.find(tx, rotation_id)
        what = f"rotation {rotation_id[:64]}"
        if rotation is None or caller.level(_thing(rotation)) is None or not self._walls.serves(rotation.environment):
            raise Absent(f"{what} does not exist")
        self._walls.enter(tx, caller, rotation.environment)
        require(caller, level, _thing(rotation), what)
        return rotation

    def _told(self, tx: Transaction, caller: Caller, rotation_id: str) -> Story:
        return _story(tx, caller, self._found(tx, caller, rotation_id, Level.USE))

    # For the scheduler's workers.

    def claim(self, holder: str, lease: timedelta, limit: int) -> list[Claim]:
        """Take rotations that have something to do now and are not held, within the limits."""
        if not self._door.look(lambda tx: rotations.anything_to_claim(tx, self._walls.pinned)):
            return []
        with self._door.ledger.work() as tx:
            return rotations.claim(tx, holder, lease, limit, self._limits, self._walls.pinned)

    def release(self, held: Claim) -> None:
        """Let go of a rotation. One that has ended is held by nobody."""
        if not self._door.look(lambda tx: rotations.holds(tx, held)):
            return
        with self._door.ledger.work() as tx:
            rotations.release(tx, held)

    def renew(self, held: Claim, lease: timedelta) -> bool:
        """Hold on to it. False: it is another's by now."""
        return bool(self.renew_all([held], lease))

    def renew_all(self, all_held: Sequence[Claim], lease: timedelta) -> set[Claim]:
        """Hold on to these; those that still are this worker's."""
        with self._door.ledger.work() as tx:
            return {held for held in all_held if rotations.renew(tx, held, lease)}

    def take_over(self) -> None:
        """On an embedded ledger only one process works: whoever held a lease before this one started is dead."""
        if self._door.ledger.embedded:
            with self._door.ledger.work() as tx:
                rotations.take_over(tx)


def _forgive(tx: Transaction, rotation: Rotation) -> None:
    """What was rejected is tried again: the one who asks has seen to it."""
    stored = connections.get(tx, rotation.connection_id)
    administration = connections.get(tx, stored.administered_by) if stored and stored.administered_by else None
    for each in filter(None, (stored, administration)):
        target = definitions.target(each.definition)
        for endpoint in target.endpoints:
            rejections.forgive(tx, definitions.address(target, endpoint), connections.usernames(tx, each.id))


def _about(deed: Deed, rotation: Rotation) -> None:
    """Name environment and connection in the event, so that questions about them find it."""
    deed.environment, deed.resource = rotation.environment, rotation.connection
    deed.detail["rotation"] = rotation.id


def _thing(rotation: Rotation) -> Thing:
    return Thing(Kind.CONNECTION, rotation.environment_id, rotation.connection)


def _story(tx: Transaction, caller: Caller, rotation: Rotation) -> Story:
    stored = connections.get(tx, rotation.connection_id)
    shown = draining(tx, caller, rotation, stored) if stored else None
    return Story(rotation, tuple(rotations.story(tx, rotation.id)), _choices(tx, caller, rotation), shown)


def _choices(tx: Transaction, caller: Caller, rotation: Rotation) -> tuple[Choice, ...]:
    """Nothing for who may only use the connection."""
    if rotation.ended_at or (caller.level(_thing(rotation)) or Level.USE) < Level.EDIT:
        return ()
    stored = connections.get(tx, rotation.connection_id)
    return choices(rotation, kept_outside=bool(stored and stored.definition.get("kept_in")))
