"""Break-glass: a person goes without approvals in an environment for some minutes, and everybody concerned hears of it.

Its grants stay what they are. It does not reach what would outlast it: see `guard.py`.
"""

from datetime import timedelta

from service.core.access import Caller, Level, require
from service.core.approval import LONGEST_GLASS, BreakGlass, broken, reason
from service.core.errors import Absent, Conflict, Forbidden, Invalid
from service.core.event import Detail
from service.keeper.door import Deed, Door
from service.keeper.freshness import require_fresh
from service.keeper.recorder import Recorder
from service.keeper.walls import Walls, of_environment
from service.ledger import break_glasses, environments
from service.ledger.ledger import Transaction


class BreakGlasses:
    """Operations on the right to go without approvals."""

    def __init__(self, door: Door, walls: Walls, recorder: Recorder) -> None:
        self._door = door
        self._walls = walls
        self._recorder = recorder

    def take(self, caller: Caller, environment: str, why: str, minutes: int) -> BreakGlass:
        """Go without from now on. Raises Invalid, Absent, Forbidden (also: a factor is needed), Conflict."""
        said, lasts = reason(why), timedelta(minutes=minutes)
        if not timedelta() < lasts <= LONGEST_GLASS:
            raise Invalid(f"minutes must be 1 to {LONGEST_GLASS // timedelta(minutes=1)}", field="minutes")
        glass_id = self._door.new_id()

        def act(tx: Transaction) -> BreakGlass:
            wall = self._walls.enter(tx, caller, environment)
            require(caller, Level.USE, of_environment(wall), f"environment {environment}")
            if caller.user is None:
                raise Forbidden("only people take break-glass; machines are asked for no approval")
            require_fresh(tx, caller, "break-glass")
            if not wall.approvals.areas:
                raise Conflict(f"environment {environment} asks for no approvals: there is nothing to go without")
            if held := broken(wall.glasses, caller.user.id, tx.now):
                raise Conflict(f"you have break-glass {held.id} already, until {held.expires_at:%H:%M:%S} UTC")
            user = caller.user
            new = BreakGlass(glass_id, wall.id, wall.name, user.id, user.email, said, tx.now, tx.now + lasts, None)
            break_glasses.add(tx, new)
            return new

        detail: dict[str, Detail] = {"break_glass": glass_id, "minutes": minutes, "reason": said}
        return self._door.change(caller, Deed("break-glass.taken", environment, "", detail), act)

    def listed(self, caller: Caller, environment: str, after: str, limit: int) -> list[BreakGlass]:
        """Those of an environment, the youngest first, for whoever may use it. Raises Absent, Forbidden."""

        def evaluate(tx: Transaction) -> list[BreakGlass]:
            wall = self._walls.enter(tx, caller, environment)
            require(caller, Level.USE, of_environment(wall), f"environment {environment}")
            return break_glasses.listed(tx, wall.id, after, limit)

        return self._door.fetch(caller, Deed("break-glass.list", environment), evaluate)

    def end(self, caller: Caller, glass_id: str) -> BreakGlass:
        """It is over, before its time: for its holder and for owners. Raises Absent, Forbidden, Conflict."""

        def act(tx: Transaction) -> BreakGlass:
            it = break_glasses.find(tx, glass_id)
            wall = environments.get(tx, it.environment_id if it else "")
            mine = it is not None and caller.user is not None and it.user_id == caller.user.id
            seen = wall is not None and self._walls.serves(wall.name) and (mine or caller.level(of_environment(wall)))
            if it is None or wall is None or not seen:
                raise Absent(f"break-glass {glass_id[:64]} does not exist")
            self._walls.judge(wall, caller, wall.name)
            if not mine:
                require(caller, Level.OWN, of_environment(wall), f"break-glass {it.id}")
            deed.environment, deed.detail["break_glass"] = wall.name, it.id
            deed.resource = ""
            if it.ended_at or it.expires_at <= tx.now:
                raise Conflict(f"break-glass {it.id} is over")
            break_glasses.end(tx, it, tx.now)
            return break_glasses.find(tx, it.id) or it

        deed = Deed("break-glass.ended", resource=glass_id)
        return self._door.change(caller, deed, act)

    def open_now(self) -> int:
        """How many go without at this moment, as far as this process knows: for those who watch. No event."""
        now = self._door.ledger.now()
        walls = self._recorder.snapshot.walls()
        return sum(now < glass.expires_at for wall in walls for glass in wall.glasses)
