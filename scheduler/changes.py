"""Changes in the target: each by a worker whose lease lasts, and behind the connection's fence.

A login that administers itself under `single` is turned by the session that it opened with its present
password, which stays until a second one has logged in with the new one, and else takes the change back.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from scheduler.administration import Administration
from scheduler.heartbeat import Heartbeat
from scheduler.looks import Looks, role
from service.core.connection import Accepted, Access, Account, NotPermitted, Rejected, Unreachable
from service.core.database import Fence, Fencing, Overlap, OwnChange, Pairing, Session, SessionEnd
from service.core.errors import ChangeLost, ChangeNotPermitted, ChangeRefused, ChangeUnreachable
from service.core.rotation import Strategy
from service.keeper.briefs import Brief
from service.keeper.budget import Withheld
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim


class Changes:
    """Makes them. Every method raises the ChangeErrors, and LeaseLost before anything is sent."""

    def __init__(self, steps: Steps, looks: Looks, heartbeat: Heartbeat, administration: Administration) -> None:
        self._steps = steps
        self._looks = looks
        self._heartbeat = heartbeat
        self._administration = administration

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
        self._looks.password_set(brief, candidate)

    def set_password(self, held: Claim, brief: Brief, administration: Access, account: Account) -> None:
        """The account's password becomes the only one of its login."""
        database = self._looks.database(brief)
        if brief.administers_itself and brief.rotation.strategy is Strategy.SINGLE:
            self._make(held, brief, lambda fence: self._change_own(brief, administration, account, fence))
        else:
            username, password = account.username, account.password
            self._make(held, brief, lambda fence: database.set_password(administration, username, password, fence))
        self._looks.password_set(brief, account)

    def end_sessions(self, held: Claim, brief: Brief, administration: Access, sessions: tuple[Session, ...]) -> int:
        """These sessions are ended, each only if it still is who it was; how many were."""
        database = self._looks.database(brief)
        if not isinstance(database, SessionEnd):
            raise ChangeNotPermitted(f"sessions of {brief.target.engine.value} cannot be ended from here")
        self._heartbeat.require(held)
        return database.end_sessions(administration, sessions)

    def raise_fence(self, held: Claim, brief: Brief, administration: Access, username: str) -> tuple[str, ...]:
        """Nothing of an earlier worker takes effect afterwards; sentences say that this could not be had."""
        database = self._looks.database(brief)
        if not isinstance(database, Fencing):
            return (f"{brief.target.engine.value} keeps no fence",)
        fencing = database
        return self._asked(held, brief, lambda fence: fencing.raise_fence(administration, username, fence))

    def _change_own(self, brief: Brief, administration: Access, account: Account, fence: Fence) -> tuple[str, ...]:
        database = self._looks.database(brief)
        if not isinstance(database, OwnChange):
            raise ChangeNotPermitted(f"no login of {brief.target.engine.value} can be turned by itself")
        looks = []

        def works() -> bool:
            looks.append(self._looks.probe(brief, account, likely=True))
            return isinstance(looks[-1], Accepted)

        try:
            return database.change_own(administration, account.password, fence, works)
        except ChangeRefused as error:
            if looks and isinstance(looks[-1], Unreachable):
                # Nothing is wrong with the password: nobody got through to see whether it works.
                raise ChangeLost(f"{error.message}: {looks[-1].reason}") from None
            raise

    def _make(self, held: Claim, brief: Brief, change: Callable[[Fence], tuple[str, ...]]) -> None:
        self._administration.secure(brief)
        left_out = self._asked(held, brief, change)
        if left_out != brief.unfenced:
            self._steps.unfenced(SYSTEM, held, left_out)

    def _asked(self, held: Claim, brief: Brief, change: Callable[[Fence], tuple[str, ...]]) -> tuple[str, ...]:
        try:
            with self._getting_in(brief):
                self._heartbeat.require(held)
                return change(Fence(brief.rotation.connection_id, held.fence, self._heartbeat.lease.total_seconds()))
        except ChangeNotPermitted as error:
            if self._administration.turned_since(held, brief):
                raise ChangeUnreachable(f"the administration login was turned meanwhile: {error.message}") from None
            raise

    @contextmanager
    def _getting_in(self, brief: Brief) -> Iterator[None]:
        """See that the administration login gets in: it is many connections', and each would be rejected once."""
        if brief.administration is None:
            yield
            return
        who, where = brief.administration.account.username, brief.administration.target.primary
        match self._looks.administration(brief.administration, brief.ways):
            case Withheld(reason) | Rejected(reason) | NotPermitted(reason):
                raise ChangeNotPermitted(f"the administration login {who} does not get in at {where}: {reason}")
            case Unreachable(reason):
                raise ChangeUnreachable(f"{where} cannot be reached: {reason}")
            case Accepted():
                with self._looks.changing(brief.administration):
                    yield
