"""The second half of a rotation: from published to retired, with the proof that the former password is dead."""

import structlog

from scheduler.administration import Administration
from scheduler.changes import Changes
from scheduler.drain import Drain
from scheduler.endings import Endings
from scheduler.looks import Looks, adopted, known
from scheduler.turning import REPLICA_TRIES
from service.core.connection import Accepted, Access, Account, Endpoint, Engine, Probe, Rejected, Unreachable
from service.core.database import Rows
from service.core.errors import ChangeError, ChangeNotPermitted
from service.core.password import PasswordPolicy, profile
from service.core.rotation import Strategy
from service.core.sealed import Randomness
from service.keeper.briefs import Brief
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("rotator")


class Retirement:
    """Steps that end the former credential. Each answers whether to go on at once."""

    def __init__(
        self,
        steps: Steps,
        looks: Looks,
        changes: Changes,
        endings: Endings,
        drain: Drain,
        administration: Administration,
        randomness: Randomness,
    ) -> None:
        self._steps = steps
        self._looks = looks
        self._changes = changes
        self._endings = endings
        self._drain = drain
        self._administration = administration
        self._randomness = randomness

    def drain(self, held: Claim, brief: Brief) -> bool:
        """Begin to count the drain minimum."""
        former = brief.former.username if brief.former else "nobody"
        self._steps.drain(SYSTEM, held, brief.policy.drain_minimum, f"the former credential of {former} drains")
        return True

    def retire(self, held: Claim, brief: Brief) -> bool:
        """Take the former password away when nobody is waited for any more, and prove it."""
        if brief.former is None:
            self._steps.retire(SYSTEM, held, "there was no former credential", {"proven": None})
            return False
        if brief.administration is None:
            return self._endings.later(held, brief, "there is no administration credential any more")
        if not self._drain.over(held, brief, brief.administration, brief.former):
            return False
        if adopted(brief):
            sentence = (
                f"{brief.former.username} is the shared role now and keeps its password: when nobody uses it any more, "
                "an operator makes it NOLOGIN"
            )
            self._steps.retire(SYSTEM, held, sentence, {"proven": False})
            return False
        if not brief.rotation.retiring and brief.rotation.strategy is not Strategy.SINGLE:
            self._steps.begin_to_retire(SYSTEM, held)
            return True
        ends_on = known(brief.candidate)
        if brief.rotation.strategy is Strategy.ALTERNATING:
            if brief.parking is None:
                self._steps.park(SYSTEM, held, brief.former.username, _like(brief, ends_on).generate(self._randomness))
                return True
            ends_on = brief.parking
        return self._prove(held, brief, brief.administration, brief.former, ends_on)

    def _prove(self, held: Claim, brief: Brief, administration: Access, former: Account, ends_on: Account) -> bool:
        """Make the old password invalid where it is not yet, and show it on every required endpoint."""
        primary = brief.target.primary
        proven = _proof(*self._pair(brief, ends_on, former, primary))
        if not proven or _changed_row_by_row(brief):
            try:
                self._changes.set_password(held, brief, administration, ends_on)
            except ChangeNotPermitted as error:
                return self._endings.stick(held, f"the old password could not be taken away: {error.message}")
            except ChangeError as error:
                return self._endings.unchanged(held, brief, error)
            proven = False
        endpoints = [e for e in brief.target.endpoints if e.required]
        for endpoint in endpoints:
            if proven and endpoint == primary:
                continue
            new, old = self._pair(brief, ends_on, former, endpoint, likely=True)
            if isinstance(new, Unreachable) or isinstance(old, Unreachable):
                return self._endings.later(held, brief, f"{endpoint} cannot be reached to prove the old password dead")
            if not _proof(new, old):
                if endpoint != primary and brief.rotation.attempts < REPLICA_TRIES:
                    return self._endings.later(held, brief, f"{endpoint} does not know yet that the old one is gone")
                return self._endings.stick(held, _unproven(endpoint, former.username, new, old))
        where = ", ".join(map(str, endpoints))
        swept = self._drain.sweep(held, brief, administration, former)
        sentence = f"at {where} the new password was accepted and then the old one of {former.username} rejected"
        receipt: dict[str, str | bool | None] = {"proven": True, "login": former.username, "endpoints": where}
        if beyond := self._beyond_proof(brief, administration, ends_on):
            receipt["not_provable"] = beyond
            sentence += f"; not provable: {beyond}"
        self._steps.retire(SYSTEM, held, "; ".join(filter(None, [sentence, swept])), receipt)
        self._administration.proven(brief)
        log.info("retired", rotation=brief.rotation.id, connection=brief.rotation.connection)
        return False

    def _beyond_proof(self, brief: Brief, administration: Access, ends_on: Account) -> str:
        """Accounts of the same user name that no login from here reaches; empty if there are none."""
        database = self._looks.database(brief)
        if not isinstance(database, Rows):
            return ""
        try:
            return ", ".join(database.unreached(administration, Access(brief.target, ends_on)))
        except ChangeError as error:
            return f"other accounts of {ends_on.username}, if there are any: {error.message}"

    def _pair(
        self, brief: Brief, new: Account, old: Account, endpoint: Endpoint, *, likely: bool = False
    ) -> tuple[Probe, Probe]:
        """A login with the new password *and then* one with the old: a rejection alone proves nothing."""
        accepted = self._looks.probe(brief, new, endpoint, likely=likely)
        return accepted, self._looks.probe(brief, old, endpoint)


def _proof(new: Probe, old: Probe) -> bool:
    """Is the old password dead? A blocked or expired account would have refused the new one too."""
    return isinstance(new, Accepted) and isinstance(old, Rejected)


def _unproven(endpoint: Endpoint, username: str, new: Probe, old: Probe) -> str:
    """Why two answers are no proof, for whoever must look."""
    if not isinstance(new, Accepted):
        return f"{endpoint} does not accept the new password of {username}, so nothing is proven: {new.reason}"
    if isinstance(old, Accepted):
        return f"{endpoint} still accepts the old password of {username}: does it trust everybody?"
    return f"{endpoint} refuses {username} for another reason than the old password: {old.reason}"


def _changed_row_by_row(brief: Brief) -> bool:
    """May a change have got through for some accounts of a user name and not for others?

    MariaDB has a row for each host, each changed by a statement of its own, and a look tells of one row. Under
    `single` they were all changed before the rotation could become `applied`.
    """
    return brief.target.engine is Engine.MARIADB and brief.rotation.strategy is not Strategy.SINGLE


def _like(brief: Brief, taken: Account) -> PasswordPolicy:
    """How the parking password is made: like the candidate that the target took, which may be a stricter one."""
    return brief.policy.password or profile(strict=not taken.password.reveal().isalnum())
