"""Changes in the target: each by a worker whose lease lasts, and behind the connection's fence."""

from collections.abc import Callable

from scheduler.heartbeat import Heartbeat
from scheduler.looks import Looks, role
from service.core.connection import Access, Account
from service.core.database import Fence, Fencing, Overlap, Pairing
from service.core.rotation import Strategy
from service.keeper.briefs import Brief
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim


class Changes:
    """Makes them. Every method raises the ChangeErrors, and LeaseLost before anything is sent."""

    def __init__(self, steps: Steps, looks: Looks, heartbeat: Heartbeat) -> None:
        self._steps = steps
        self._looks = looks
        self._heartbeat = heartbeat

    def bring_in(self, held: Claim, brief: Brief, administration: Access, candidate: Account) -> None:
        """The candidate becomes valid, in the way of the rotation's strategy."""
        database, former = self._looks.database(brief), brief.former
        username, password = candidate.username, candidate.password
        match brief.rotation.strategy:
            case Strategy.ALTERNATING if isinstance(database, Pairing):
                pairing = database
                self._make(
                    held, brief, lambda fence: pairing.join(administration, role(brief), username, password, fence)
                )
            case Strategy.OVERLAPPING if isinstance(database, Overlap) and former:
                overlap, kept = database, former.password
                self._make(
                    held, brief, lambda fence: overlap.add_password(administration, username, kept, password, fence)
                )
            case _:
                self.set_password(held, brief, administration, candidate)

    def set_password(self, held: Claim, brief: Brief, administration: Access, account: Account) -> None:
        """The account's password becomes the only one of its login."""
        database = self._looks.database(brief)
        self._make(
            held,
            brief,
            lambda fence: database.set_password(administration, account.username, account.password, fence),
        )

    def raise_fence(self, held: Claim, brief: Brief, administration: Access, username: str) -> tuple[str, ...]:
        """Nothing of an earlier worker takes effect afterwards; sentences say that this could not be had."""
        database = self._looks.database(brief)
        if not isinstance(database, Fencing):
            return (f"{brief.target.engine.value} keeps no fence",)
        self._heartbeat.require(held)
        return database.raise_fence(administration, username, self._fence(held, brief))

    def _make(self, held: Claim, brief: Brief, change: Callable[[Fence], tuple[str, ...]]) -> None:
        self._heartbeat.require(held)
        left_out = change(self._fence(held, brief))
        if left_out != brief.unfenced:
            self._steps.unfenced(SYSTEM, held, left_out)

    def _fence(self, held: Claim, brief: Brief) -> Fence:
        return Fence(brief.rotation.connection_id, held.fence, self._heartbeat.lease.total_seconds())
