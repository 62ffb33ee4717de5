"""How a step ends when it does not go on: later, abandoned, stuck. All of them answer False: do not go on now."""

import structlog

from service.core.errors import ChangeError, ChangeFenced, ChangeLost
from service.core.rotation import backoff
from service.core.sealed import Randomness
from service.keeper.briefs import Brief
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("rotator")


class Endings:
    """Records that a rotation does not go on now, and why."""

    def __init__(self, steps: Steps, randomness: Randomness) -> None:
        self._steps = steps
        self._randomness = randomness

    def later(self, held: Claim, brief: Brief, sentence: str, *, in_doubt: bool = False) -> bool:
        """Try again, after a delay that grows. `in_doubt`: a statement was sent and may still take effect."""
        delay = backoff(brief.rotation.attempts, self._randomness)
        self._steps.postpone(SYSTEM, held, delay, sentence, in_doubt=in_doubt)
        log.warning("postponed", rotation=held.rotation_id, reason=sentence, seconds=round(delay.total_seconds(), 1))
        return False

    def unchanged(self, held: Claim, brief: Brief, error: ChangeError, before: str = "") -> bool:
        """A change failed in a way that passes: later, in doubt if it may yet take effect."""
        if isinstance(error, ChangeFenced):
            # A late worker cannot record this (LeaseLost). Who still holds the rotation met a number that this
            # ledger never gave out.
            return self.stick(
                held,
                f"{before}{error.message}: a number that this ledger never gave out. Another Keywright with a newer "
                "ledger works on this server, or somebody changed the fence; if neither is so any more, remove it "
                "(PostgreSQL: DROP ROLE, MariaDB: DROP USER keywright_fence_…) and try again",
            )
        return self.later(held, brief, before + error.message, in_doubt=isinstance(error, ChangeLost))

    def give_up(self, held: Claim, reason: str) -> bool:
        """Abandon: the former credential is in force, whatever was begun."""
        self._steps.abandon(SYSTEM, held, reason)
        log.warning("abandoned", rotation=held.rotation_id, reason=reason)
        return False

    def stick(self, held: Claim, reason: str) -> bool:
        """A person must look."""
        self._steps.stick(SYSTEM, held, reason)
        log.error("stuck", rotation=held.rotation_id, reason=reason)
        return False
