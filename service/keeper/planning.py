"""Planning: how a rotation begins, whoever asks for it, and when a scheduled one has to wait.

    asked for by hand, or by an incident   begins at once, or joins the one that is open
    due by its schedule                    runs, waits or was missed (the calendar says which), and keeps its
                                           distance: from every other connection of its group (`siblings`, or the
                                           same host) by the longer spacing of the two

Whoever has to keep its distance is given a moment of its own, `next_due_at`, behind those that wait for longer:
so nobody starves, and each waits once. All of it happens while `head` is held, hence one at a time.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from service.core.errors import Conflict, KeywrightError
from service.core.rotation import Rotation, RotationPolicy, Stage
from service.core.schedule import Alert, Run, Schedule, Wait
from service.core.sealed import Randomness
from service.keeper import definitions
from service.keeper.calendar import CronCalendar
from service.keeper.door import Deed
from service.ledger import connections, restorations, rotations, spacing
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction

SCHEDULE = "schedule"
"""Who asks for what is due."""


class Planning:
    """Begins rotations, inside the transaction of whoever asks. `new_id` makes ids."""

    def __init__(self, calendar: CronCalendar, new_id: Callable[[], str], randomness: Randomness) -> None:
        self._calendar = calendar
        self._new_id = new_id
        self._randomness = randomness

    def begin(
        self, tx: Transaction, stored: StoredConnection, requested_by: str, note: str, *, emergency: bool
    ) -> tuple[Rotation, bool]:
        """A rotation of the connection that is open now; True beside it if it is new, False if it was joined.

        An emergency makes an emergency of what it joins. Raises Conflict where there is no policy,
        and for a connection that is held.
        """
        policy = policy_of(stored)
        if policy is None:
            raise Conflict(f"connection {stored.name} has no rotation policy; put one under `rotation` first")
        restorations.require_free(tx, stored.id, stored.name)
        if open_one := rotations.open_one(tx, stored.id):
            if emergency and not open_one.emergency:
                rotations.seize(tx, open_one, emergency=True)
                rotations.tell(tx, open_one.id, open_one.stage, f"{requested_by} made it an emergency: {note}")
                open_one = rotations.open_one(tx, stored.id) or open_one
            return open_one, False
        rotation_id = self._new_id()
        words = {"strategy": policy.strategy.value, "requested_by": requested_by, "note": note}
        rotations.add(tx, rotation_id, stored.id, **words, emergency=emergency)
        by = "it is due by its schedule" if requested_by == SCHEDULE else f"{requested_by} asked for it"
        rotations.tell(tx, rotation_id, Stage.PLANNED, by + (f": {note}" if note else ""))
        rotation = rotations.find(tx, rotation_id)
        if rotation is None:
            raise KeywrightError("the rotation that was just planned is not there")
        return rotation, True

    def plan(self, tx: Transaction, connection_id: str, deed: Deed) -> None:
        """What is due runs, waits, or was missed; the deed's detail tells. Raises Conflict if it is not due now."""
        stored = connections.get(tx, connection_id)
        if stored is None or stored.next_due_at is None or stored.next_due_at > tx.now:
            raise Conflict("another worker planned it")
        policy = policy_of(stored)
        if policy is None or policy.schedule is None:
            connections.replace(tx, replace(stored, next_due_at=None, waits_since=None))
            return
        match self._calendar.missed(policy.schedule, stored.next_due_at, tx.now, self._randomness):
            case Wait(moment):
                self._wait(tx, stored, moment, deed)
            case Alert(moment):
                finding = f"the rotation due at {stored.next_due_at.isoformat()} was missed"
                health = stored.health | {"rotation": finding}
                connections.replace(tx, replace(stored, next_due_at=moment, waits_since=None, health=health))
                deed.detail["missed"] = stored.next_due_at.isoformat()
            case Run():
                self._run(tx, stored, policy.schedule, deed)

    def _run(self, tx: Transaction, stored: StoredConnection, schedule: Schedule, deed: Deed) -> None:
        if rotations.open_one(tx, stored.id) is None:
            since = stored.waits_since or stored.next_due_at or tx.now
            turn = _turn(tx, stored, since)
            if turn > tx.now:
                deed.detail["spaced"] = True
                # Where its windows make it wait for longer, it is not the group that it waits for.
                opening = self._calendar.opening(schedule, turn) or turn
                self._wait(tx, stored, opening, deed, since if opening == turn else None)
                return
        after = self._calendar.next_due(schedule, tx.now, self._randomness)
        stored = replace(stored, next_due_at=after, waits_since=None)
        connections.replace(tx, stored)
        rotation, new = self.begin(tx, stored, SCHEDULE, "", emergency=False)
        deed.detail["rotation" if new else "joined"] = rotation.id

    @staticmethod
    def _wait(
        tx: Transaction, stored: StoredConnection, moment: datetime, deed: Deed, since: datetime | None = None
    ) -> None:
        connections.replace(tx, replace(stored, next_due_at=moment, waits_since=since))
        deed.detail["waits_until"] = moment.isoformat()


def policy_of(stored: StoredConnection) -> RotationPolicy | None:
    """The rotation policy of a connection, if it has one."""
    if stored.policy is None:
        return None
    return definitions.policy(stored.policy, definitions.target(stored.definition).engine)


def _turn(tx: Transaction, stored: StoredConnection, since: datetime) -> datetime:
    """The first moment at which a connection, due at `since`, is far enough from all others of its group."""
    longest = spacing.longest(tx, stored)
    if longest is None:
        return tx.now
    own = timedelta(seconds=stored.spacing or 0)
    turns = [it.at + max(own, it.spacing) for it in spacing.begun(tx, stored, tx.now - longest)]
    for it in spacing.ahead(tx, stored, since):
        apart = max(own, it.spacing)
        # One whose turn passed unused (its instance is gone) is not waited for: that moment is over, too.
        if apart:
            turns.append(it.at + apart)
    return max(turns, default=tx.now)
