"""Incidents: everything in a folder rotated now, at a rate, whoever dies meanwhile: the plan is in the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from service.core import names
from service.core.access import Caller, Kind, Level, Thing
from service.core.environment import Environment
from service.core.errors import Absent, Conflict, Forbidden
from service.core.incident import NO_POLICY, Incident, Progress, Skipped, State, goes_again, lasts, pace
from service.core.rotation import Limits
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.planning import Planning, policy_of
from service.keeper.walls import Walls, of_connection
from service.ledger import connections, incidents
from service.ledger.connections import StoredConnection
from service.ledger.ledger import Transaction

_ALL = 1_000_000
_TURNING = "turning passwords by hand"


@dataclass(frozen=True)
class Wanted:
    """An incident as it is asked for. An empty `folder` is the whole environment."""

    folder: str
    reason: str
    emergency: bool
    per_minute: int

    @property
    def level(self) -> Level:
        """What it takes on every connection."""
        return Level.OWN if self.emergency else Level.EDIT


@dataclass(frozen=True)
class Plan:
    """What an incident would rotate, in this order; and from the first beginning to the last."""

    connections: tuple[str, ...]
    skipped: tuple[Skipped, ...]
    lasts: timedelta


@dataclass(frozen=True)
class Account:
    """An incident, and how far it is."""

    incident: Incident
    progress: Progress


class Incidents:
    """Operations on incidents; `work` is the scheduler's."""

    def __init__(self, door: Door, walls: Walls, planning: Planning, limits: Limits) -> None:
        self._door = door
        self._walls = walls
        self._planning = planning
        self._limits = limits

    def rehearse(self, caller: Caller, environment: str, wanted: Wanted) -> Plan:
        """What `begin` would do; nothing is changed. Raises as `begin`."""

        def evaluate(tx: Transaction) -> Plan:
            wall = self._walls.enter(tx, caller, environment)
            found = self._chosen(tx, caller, wall, wanted)
            turned = tuple(it.name for it in found if it.policy is not None)
            skipped = tuple(Skipped(it.name, NO_POLICY) for it in found if it.policy is None)
            return Plan(turned, skipped, lasts(len(turned), wanted.per_minute))

        return self._door.fetch(caller, Deed("incident.rehearse", environment, wanted.folder), evaluate)

    def begin(self, caller: Caller, environment: str, wanted: Wanted) -> Account:
        """Plan it; the scheduler begins with it at once.

        Raises Invalid; Absent when there is no connection in the folder, or none that the caller may see;
        Forbidden, naming how many, when some of those it sees may not be changed by it; Conflict when none rotates.
        """
        pace(wanted.per_minute)

        def act(tx: Transaction) -> Account:
            wall = self._walls.enter(tx, caller, environment)
            found = self._chosen(tx, caller, wall, wanted)
            require_fresh(tx, caller, _TURNING)
            new = Incident(
                self._door.new_id(),
                wall.id,
                wall.name,
                wanted.folder,
                wanted.reason,
                caller.name,
                wanted.emergency,
                wanted.per_minute,
                State.RUNNING,
                tx.now,
                tx.now,
                None,
            )
            incidents.add(tx, new, [(it.id, None if it.policy is not None else NO_POLICY) for it in found])
            account = Account(new, incidents.progress(tx, new.id))
            deed.detail.update(incident=new.id, connections=account.progress.waiting, emergency=wanted.emergency)
            return account

        deed = Deed("incident.begin", environment, wanted.folder)
        return self._door.change(caller, deed, act)

    def listed(self, caller: Caller, environment: str, after: str, limit: int) -> list[Account]:
        """Those of an environment, the youngest first."""

        def evaluate(tx: Transaction) -> list[Account]:
            wall = self._walls.enter(tx, caller, environment)
            seen: list[Incident] = []
            position = after
            while len(seen) < limit:
                page = incidents.listed(tx, wall.id, position, limit)
                seen += [it for it in page if self._may(caller, it, incidents.names(tx, it.id), Level.USE)]
                if len(page) < limit:
                    break
                position = page[-1].id
            return [_account(tx, it) for it in seen[:limit]]

        return self._door.fetch(caller, Deed("incident.list", environment), evaluate)

    def get(self, caller: Caller, incident_id: str) -> Account:
        """One. Raises Absent."""
        deed = Deed("incident.get", resource=incident_id)
        return self._door.fetch(
            caller, deed, lambda tx: _account(tx, self._found(tx, caller, incident_id, Level.USE, deed))
        )

    def cancel(self, caller: Caller, incident_id: str) -> Account:
        """No further rotations begin; those under way go on. Raises Absent, Forbidden, Conflict."""

        def act(tx: Transaction) -> Account:
            incident = self._found(tx, caller, incident_id, Level.EDIT, deed)
            require_fresh(tx, caller, _TURNING)
            return _moved(tx, incident, State.CANCELLED)

        deed = Deed("incident.cancel", resource=incident_id)
        return self._door.change(caller, deed, act)

    def resume(self, caller: Caller, incident_id: str) -> Account:
        """Go on with a cancelled one, at its rate. Raises Absent, Forbidden, Conflict."""

        def act(tx: Transaction) -> Account:
            incident = self._found(tx, caller, incident_id, Level.EDIT, deed)
            planned = incidents.names(tx, incident.id)
            if incident.emergency and not self._may(caller, incident, planned, Level.OWN):
                raise Forbidden(
                    f"incident {incident_id} is an emergency: this needs the grant 'own' on its connections"
                )
            require_fresh(tx, caller, _TURNING)
            incidents.change(tx, incident.id, next_at=tx.now)
            return _moved(tx, incident, State.RUNNING)

        deed = Deed("incident.resume", resource=incident_id)
        return self._door.change(caller, deed, act)

    def work(self, caller: Caller) -> None:
        """For the scheduler: begin what may begin now, and end what is done."""
        for incident in self._door.look(lambda tx: incidents.running(tx, self._walls.pinned)):
            for number in self._door.look(lambda tx, it=incident: self._ready(tx, it)):  # type: ignore[misc]
                deed = Deed("rotation.plan", incident.environment, detail={"incident": incident.id})
                self._try(caller, deed, incident, number)
            if not self._door.look(lambda tx, it=incident: incidents.unfinished(tx, it.id)):  # type: ignore[misc]
                self._try(caller, Deed("incident.end", incident.environment, incident.folder), incident, None)

    def _try(self, caller: Caller, deed: Deed, incident: Incident, number: int | None) -> None:
        def act(tx: Transaction) -> None:
            now = incidents.find(tx, incident.id)
            if now is None or now.state is not State.RUNNING:
                raise Conflict(f"incident {incident.id} is not running any more")
            if number is None:
                self._end(tx, now, deed)
            else:
                self._begin(tx, now, number, deed)

        try:
            self._door.change(caller, deed, act)
        except Conflict as gone:
            deed.detail["left"] = str(gone)

    def _ready(self, tx: Transaction, incident: Incident) -> list[int]:
        return incidents.ready(tx, incident.id, self._limits, incident.allowed(tx.now))

    def _begin(self, tx: Transaction, incident: Incident, number: int, deed: Deed) -> None:
        item = incidents.item(tx, incident.id, number)
        stored = connections.get(tx, item.connection_id) if item else None
        if item is None or stored is None or not item.waits or not incident.allowed(tx.now):
            raise Conflict("another worker began it, or its connection is gone")
        deed.resource = item.connection
        if policy_of(stored) is None:
            incidents.change_item(tx, incident.id, number, skipped=NO_POLICY, rotation_id=None, again=False)
            deed.detail["skipped"] = True
            return
        note = f"incident {incident.id}: {incident.reason}"
        rotation, new = self._planning.begin(tx, stored, incident.requested_by, note, emergency=incident.emergency)
        deed.detail["rotation" if new else "joined"] = rotation.id
        again = not new and goes_again(rotation)
        incidents.change_item(tx, incident.id, number, rotation_id=rotation.id, again=again)
        incidents.change(tx, incident.id, next_at=incident.next_after(tx.now))

    @staticmethod
    def _end(tx: Transaction, incident: Incident, deed: Deed) -> None:
        if incidents.unfinished(tx, incident.id):
            raise Conflict("something began again meanwhile")
        _moved(tx, incident, State.ENDED)
        progress = incidents.progress(tx, incident.id)
        deed.detail.update(incident=incident.id, skipped=len(progress.skipped))
        deed.detail.update({stage.value: number for stage, number in progress.stages.items()})

    def _chosen(self, tx: Transaction, caller: Caller, wall: Environment, wanted: Wanted) -> list[StoredConnection]:
        """The connections that it is about, in their order. What the caller may not see is not there."""
        folder = names.path(wanted.folder, "folder") if wanted.folder else ""
        where = f"folder {folder} of {wall.name}" if folder else f"environment {wall.name}"
        found = connections.listed(tx, wall.id, folder, "", _ALL)
        seen = [it for it in found if caller.level(of_connection(wall, it.name))]
        if not seen:
            raise Absent(f"{where} holds no connection")
        short = sum((caller.level(of_connection(wall, it.name)) or 0) < wanted.level for it in seen)
        if short:
            raise Forbidden(
                f"{where}: {short} of its {len(seen)} connections need the grant '{wanted.level.word}', which the "
                "token does not have on them; nothing was begun"
            )
        if all(it.policy is None for it in seen):
            raise Conflict(f"{where}: none of its {len(seen)} connections has a rotation policy")
        return seen

    def _found(self, tx: Transaction, caller: Caller, incident_id: str, level: Level, deed: Deed) -> Incident:
        incident = incidents.find(tx, incident_id)
        what = f"incident {incident_id[:64]}"
        planned = incidents.names(tx, incident_id)  # asked for where there is none, too: both take the same work
        known = incident is not None and self._walls.serves(incident.environment)
        if incident is None or not known or not self._may(caller, incident, planned, Level.USE):
            raise Absent(f"{what} does not exist")
        self._walls.enter(tx, caller, incident.environment)
        if not self._may(caller, incident, planned, level):
            raise Forbidden(f"{what}: this needs the grant '{level.word}' on all of its connections")
        deed.environment, deed.resource = incident.environment, incident.folder
        deed.detail["incident"] = incident.id
        return incident

    @staticmethod
    def _may(caller: Caller, incident: Incident, planned: Sequence[str], level: Level) -> bool:
        """May the caller do this much with every connection of the incident's plan?"""
        whole = Thing(Kind.FOLDER if incident.folder else Kind.ENVIRONMENT, incident.environment_id, incident.folder)
        if (caller.level(whole) or 0) >= level:
            return True
        things = [Thing(Kind.CONNECTION, incident.environment_id, name) for name in planned]
        return bool(things) and all((caller.level(thing) or 0) >= level for thing in things)


def _account(tx: Transaction, incident: Incident) -> Account:
    return Account(incident, incidents.progress(tx, incident.id))


def _moved(tx: Transaction, incident: Incident, state: State) -> Account:
    incident.require_move(state)
    incidents.change(tx, incident.id, state=state.value, ended_at=tx.now if state is State.ENDED else None)
    found = incidents.find(tx, incident.id)
    return _account(tx, found or incident)
