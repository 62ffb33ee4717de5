"""The administration login as workers meet it: it may be turned itself, at any moment, by another worker or by them.

A change opens a session of its own, and a session outlives the password that it logged in with: it is enough
that a way in which was seen to work is used at once. If it was turned in between after all, the brief read
anew has other ways, and the change, which was never asked for, is tried again with those.
"""

from dataclasses import replace

import structlog

from scheduler.looks import Looks
from service.core.administration import admitted
from service.core.errors import ChangeUnreachable, EscrowError, SealBroken, WrapError
from service.core.rotation import Step, next_step
from service.keeper.briefs import Brief, Briefs
from service.keeper.escrows import Escrows
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("rotator")

_WITHOUT = {Step.STAGE, Step.ANNOUNCE, Step.COUNT, Step.DRAIN, Step.WAIT, Step.NOTHING}
"""Steps that ask nothing of the administration login: it is not tried for them."""


class Administration:
    """Finds the way in that works, and sees that a second one is kept in escrow."""

    def __init__(self, briefs: Briefs, looks: Looks, escrows: Escrows) -> None:
        self._briefs = briefs
        self._looks = looks
        self._escrows = escrows

    def brief(self, held: Claim) -> Brief:
        """What is to be known now, with the way in that the target accepts where there are several."""
        brief = self._briefs.brief(SYSTEM, held)
        if len(brief.ways) < 2 or next_step(brief.rotation, brief.now) in _WITHOUT:
            return brief
        return replace(brief, administration=admitted(self._looks.administration, brief.ways))

    def turned_since(self, held: Claim, brief: Brief) -> bool:
        """Are there other ways in than when the brief was read?"""
        return self._briefs.brief(SYSTEM, held).ways != brief.ways

    def secure(self, brief: Brief) -> None:
        """Put the candidate in escrow before the target hears of it. Raises ChangeUnreachable if that fails."""
        if not brief.administers_itself:
            return
        try:
            self._escrows.keep(brief.rotation.connection_id)
        except (EscrowError, SealBroken, WrapError) as error:
            place = error.place if isinstance(error, EscrowError) else None
            log.error("no escrow", rotation=brief.rotation.id, error=error.message, place=place)
            raise ChangeUnreachable(f"the administration login is not turned: {error.message}") from None

    def proven(self, brief: Brief) -> None:
        """The live password was seen to log in just now: the escrow may forget those that the ledger gave up."""
        if not brief.administers_itself:
            return
        try:
            self._escrows.keep(brief.rotation.connection_id, proven=True)
        except (EscrowError, SealBroken, WrapError) as error:
            # It holds the password already, as that of a candidate; the next check brings it in line.
            log.warning("the escrow was not brought in line", rotation=brief.rotation.id, error=error.message)
