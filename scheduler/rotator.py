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

from scheduler.endings import Endings
from scheduler.looks import Looks
from scheduler.retirement import Retirement
from scheduler.turning import Turning
from scheduler.writeback import WriteBack
from service.core.connection import Database, Engine
from service.core.errors import KeywrightError
from service.core.rotation import Step, next_step
from service.core.sealed import Randomness
from service.keeper.rotations import Rotations
from service.keeper.steps import Brief, Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim, LeaseLost

log = structlog.get_logger("rotator")

LEASE = timedelta(seconds=60)
"""Longer than any single step: each wait in the providers is bounded by seconds."""


class Rotator:
    """Moves rotations on. `databases` has one implementation per engine."""

    def __init__(
        self,
        steps: Steps,
        rotations: Rotations,
        databases: Mapping[Engine, Database],
        write_back: WriteBack,
        randomness: Randomness,
    ) -> None:
        self._steps = steps
        self._rotations = rotations
        looks, endings = Looks(databases), Endings(steps, randomness)
        turning = Turning(steps, looks, endings, write_back, randomness)
        retirement = Retirement(steps, looks, endings, randomness)
        self._take: dict[Step, Callable[[Claim, Brief], bool]] = {
            Step.STAGE: turning.stage,
            Step.ANNOUNCE: turning.announce,
            Step.COUNT: turning.count,
            Step.APPLY: turning.apply,
            Step.VERIFY: turning.verify,
            Step.PUBLISH: turning.publish,
            Step.UNDO: turning.undo,
            Step.DRAIN: retirement.drain,
            Step.RETIRE: retirement.retire,
        }

    def advance(self, held: Claim) -> None:
        """Take steps until the rotation waits, has ended, or is another worker's."""
        try:
            while self._rotations.renew(held, LEASE):
                brief = self._steps.brief(SYSTEM, held)
                step = next_step(brief.rotation, brief.now)
                if step in (Step.WAIT, Step.NOTHING) or not self._take[step](held, brief):
                    self._rotations.release(held)
                    return
        except LeaseLost:
            log.info("rotation taken over by another worker", rotation=held.rotation_id)
        except KeywrightError as error:
            # The ledger or the keys: nothing was recorded, the lease runs out, and the next worker looks.
            log.error("rotation interrupted", rotation=held.rotation_id, error=error.message)
