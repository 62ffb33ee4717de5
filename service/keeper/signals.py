"""Signals for those who listen to the stream: who may begin, what there is, and what of it each may be told.

Grants are applied to every signal at the moment it is sent, on a snapshot that is not older than the reading that the
signal came from: who lost its token or a grant before something was signalled is not told of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from service.core.access import EVERYTHING, Caller, Kind, admitted
from service.core.event import Detail
from service.core.signal import Signal, Wanted
from service.keeper.asked import Asked, Who
from service.keeper.door import Door
from service.keeper.recorder import Recorder
from service.keeper.snapshot import Snapshot, View
from service.keeper.walls import Walls
from service.ledger import log, signals
from service.ledger.ledger import Transaction

PAGE = 500
"""Signals in one reading, at most."""


@dataclass(frozen=True)
class Reading:
    """Signals behind a place, in order."""

    signals: list[Signal]
    reached: int
    """The last event that was looked at."""
    last: int
    """The last event in the log."""
    dropped: int
    """The last signal that is not kept any more."""
    whole: bool
    """There are no more for now."""


class Signals:
    """Reads them, and judges who is told."""

    def __init__(self, door: Door, recorder: Recorder, walls: Walls) -> None:
        self._door = door
        self._recorder = recorder
        self._walls = walls

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` when this process changed something; it must be quick and not raise."""
        self._door.on_change(listener)

    def asked(self, who: Who, environment: str, wanted: Wanted, behind: int | None) -> Asked:
        """Begin to listen; comes to what is listened to, with the environment made out, and is recorded.

        Raises Absent, Forbidden for an environment that is named and is not the caller's business.
        """

        def evaluate(view: View, asked: Asked) -> Wanted:
            asked.caller = caller = who(view)
            detail: dict[str, Detail] = {"kinds": " ".join(wanted.kinds)} if wanted.kinds else {}
            asked.detail.update(detail if behind is None else detail | {"behind": behind})
            if not environment:
                return wanted
            wall = self._walls.judge(view.snapshot.environment(environment), caller, environment)
            return replace(wanted, environment_id=wall.id)

        return Asked(evaluate, "signal.stream", environment, "")

    def read(self, behind: int) -> Reading:
        """What is behind an event, a page of it. The snapshot is not older than this afterwards. Raises Unavailable."""

        def look(tx: Transaction) -> tuple[Reading, int]:
            last, found = log.last(tx), signals.behind(tx.sql, behind, PAGE)
            whole = len(found) < PAGE
            return Reading(found, last if whole else found[-1].seq, last, signals.dropped(tx.sql), whole), tx.epoch

        reading, epoch = self._door.look(look)
        if self._recorder.snapshot.epoch != epoch:
            self._recorder.look()
        return reading

    def told(self, who: Who, wanted: Wanted, found: Sequence[Signal]) -> list[Signal]:
        """Those of them that somebody is told now. Raises Unauthenticated, Forbidden: it may not ask any more."""
        snapshot = self._recorder.snapshot
        with snapshot.lock:
            caller = who(View(snapshot, self._door.ledger.now()))
            return [it for it in found if wanted.fits(it) and self._sees(snapshot, caller, it)]

    def _sees(self, snapshot: Snapshot, caller: Caller, signal: Signal) -> bool:
        if signal.thing.kind is Kind.EVERYTHING:
            return True  # a restoration holds everybody, and names nothing of anybody's
        if not self._walls.serves(signal.environment):
            return False
        wall = snapshot.wall(signal.environment_id)
        if wall is None:
            return caller.level(EVERYTHING) is not None  # the environment is gone
        return admitted(caller.address, wall.allowlist) and caller.level(signal.thing) is not None
