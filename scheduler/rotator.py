"""The rotator: moves one rotation on, one durable step at a time.

Every step has three parts: *look* (log in, to learn what is in force), *act* in the target only where
the look says that it is needed, *record* in the ledger. The process may die between any two of them; whoever
comes next begins with the look, and so finishes what was begun. What to do next is decided by the pure
`service.core.rotation.next_step`; `turning.py` and `retirement.py` carry it out.

    a look says    accepted       it is in force, whoever made it so: record it and go on
                   rejected       it is not in force: act
                   unreachable    nothing is known: later, with growing delays
                   not permitted  abandon if nothing was changed, else undo, else stuck
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

import structlog

from scheduler.administration import Administration
from scheduler.changes import Changes
from scheduler.comparison import Comparison
from scheduler.drain import Drain
from scheduler.endings import Endings
from scheduler.heartbeat import Heartbeat
from scheduler.looks import Looks
from scheduler.retirement import Retirement
from scheduler.turning import Turning
from scheduler.writeback import WriteBack
from service.core.connection import Engine
from service.core.database import Database
from service.core.errors import KeywrightError
from service.core.rotation import Step, next_step
from service.core.sealed import Randomness
from service.keeper.briefs import Brief, Briefs
from service.keeper.budget import Budget
from service.keeper.escrows import Escrows
from service.keeper.holders import Holders
from service.keeper.rotations import Rotations
from service.keeper.steps import Steps
from service.ledger.rotations import Claim, LeaseLost

log = structlog.get_logger("rotator")


class Rotator:
    """Moves rotations on. `databases` has one implementation per engine; `key` is as `Comparison` has it."""

    def __init__(
        self,
        briefs: Briefs,
        steps: Steps,
        rotations: Rotations,
        escrows: Escrows,
        holders: Holders,
        databases: Mapping[Engine, Database],
        budget: Budget,
        write_back: WriteBack,
        randomness: Randomness,
        key: bytes,
        lease: timedelta,
    ) -> None:
        self._rotations = rotations
        self._heartbeat = Heartbeat(rotations, lease)
        looks, endings = Looks(databases, budget), Endings(steps, randomness)
        self._administration = Administration(briefs, looks, escrows)
        changes = Changes(steps, looks, self._heartbeat, self._administration)
        turning = Turning(
            steps, looks, changes, endings, write_back, self._administration, Comparison(briefs, looks, key), randomness
        )
        drain = Drain(steps, looks, changes, holders)
        retirement = Retirement(steps, looks, changes, endings, drain, self._administration, randomness)
        self._take: dict[Step, Callable[[Claim, Brief], bool]] = {
            Step.FENCE: turning.fence,
            Step.STAGE: turning.stage,
            Step.ANNOUNCE: turning.announce,
            Step.COUNT: turning.count,
            Step.APPLY: turning.apply,
            Step.VERIFY: turning.verify,
            Step.PUBLISH: turning.publish,
            Step.UNDO: turning.undo,
            Step.DRAIN: retirement.drain,
            Step.WATCH: drain.watch,
            Step.RETIRE: retirement.retire,
        }

    def advance(self, held: Claim, since: float | None = None) -> None:
        """Take steps until the rotation waits, has ended, or is another worker's.

        `since`: when it was claimed, by `time.monotonic`; the lease is renewed first if that is not known.
        """
        try:
            with self._heartbeat.holding(held, since):
                while True:
                    brief = self._administration.brief(held)
                    step = next_step(brief.rotation, brief.now)
                    if step in (Step.WAIT, Step.NOTHING) or not self._take[step](held, brief):
                        self._rotations.release(held)
                        return
        except LeaseLost:
            log.info("rotation taken over by another worker", rotation=held.rotation_id)
        except KeywrightError as error:
            # The ledger or the keys: nothing was recorded, the lease runs out, and the next worker looks.
            log.error("rotation interrupted", rotation=held.rotation_id, error=error.message)
