"""The second half of a rotation: from published to retired, with the proof that the former password is dead."""

from datetime import timedelta

import structlog

from scheduler.changes import Changes
from scheduler.endings import Endings
from scheduler.looks import Looks, adopted, known
from scheduler.turning import REPLICA_TRIES
from service.core.connection import Accepted, Access, Account, NotPermitted, Rejected, Unreachable
from service.core.database import DrainView
from service.core.errors import ChangeError, ChangeNotPermitted
from service.core.password import profile
from service.core.rotation import Strategy
from service.core.sealed import Randomness
from service.keeper.briefs import Brief
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("rotator")

LOOK_AGAIN = timedelta(seconds=30)
"""Between two looks at who is still connected."""


class Retirement:
    """Steps that end the former credential. Each answers whether to go on at once."""

    def __init__(self, steps: Steps, looks: Looks, changes: Changes, endings: Endings, randomness: Randomness) -> None:
        self._steps = steps
        self._looks = looks
        self._changes = changes
        self._endings = endings
        self._randomness = randomness

    def drain(self, held: Claim, brief: Brief) -> bool:
        """Begin to count the drain minimum."""
        former = brief.former.username if brief.former else "nobody"
        self._steps.drain(SYSTEM, held, brief.policy.drain_minimum, f"the former credential of {former} drains")
        return True

    def retire(self, held: Claim, brief: Brief) -> bool:
        """Take the former password away, and prove it."""
        if brief.former is None:
            self._steps.retire(SYSTEM, held, "there was no former credential", {"proven": None})
            return False
        if brief.administration is None:
            return self._endings.later(held, brief, "there is no administration credential any more")
        if self._busy(held, brief, brief.administration, brief.former):
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
                self._steps.park(SYSTEM, held, brief.former.username, profile().generate(self._randomness))
                return True
            ends_on = brief.parking
        return self._prove(held, brief, brief.administration, brief.former, ends_on)

    def _busy(self, held: Claim, brief: Brief, administration: Access, former: Account) -> bool:
        """Is somebody still connected as the old login of a pair, within the drain limit? Then wait."""
        database, rotation = self._looks.database(brief), brief.rotation
        if rotation.strategy is not Strategy.ALTERNATING or rotation.emergency or rotation.retiring:
            return False
        if not isinstance(database, DrainView) or rotation.not_before is None:
            return False
        left = rotation.not_before + (brief.policy.drain_limit - brief.policy.drain_minimum) - brief.now
        if left <= timedelta(0):
            return False
        sessions = database.sessions(administration, former.username)
        if isinstance(sessions, NotPermitted | Unreachable) or not sessions:
            return False
        seen = ", ".join(sorted({f"{s.application or '?'} at {s.address or '?'}" for s in sessions})[:5])
        sentence = f"waits: still connected as {former.username}: {seen}"
        self._steps.postpone(SYSTEM, held, min(left, LOOK_AGAIN), sentence, failing=False)
        return True

    def _prove(self, held: Claim, brief: Brief, administration: Access, former: Account, ends_on: Account) -> bool:
        """Make the old password invalid where it is not yet, and show it on every required endpoint."""
        new, old = self._looks.probe(brief, ends_on), self._looks.probe(brief, former)
        proven = isinstance(new, Accepted) and isinstance(old, Rejected)
        if not proven:
            try:
                self._changes.set_password(held, brief, administration, ends_on)
            except ChangeNotPermitted as error:
                return self._endings.stick(held, f"the old password could not be taken away: {error.message}")
            except ChangeError as error:
                return self._endings.unchanged(held, brief, error)
        endpoints = [e for e in brief.target.endpoints if e.required]
        for endpoint in endpoints:
            if proven and endpoint == brief.target.primary:
                continue
            # In this order: a rejection alone proves nothing, a blocked account answers the same.
            new = self._looks.probe(brief, ends_on, endpoint, likely=True)
            old = self._looks.probe(brief, former, endpoint)
            if isinstance(new, Unreachable) or isinstance(old, Unreachable):
                return self._endings.later(held, brief, f"{endpoint} cannot be reached to prove the old password dead")
            if not isinstance(new, Accepted) or not isinstance(old, Rejected):
                if endpoint != brief.target.primary and brief.rotation.attempts < REPLICA_TRIES:
                    return self._endings.later(held, brief, f"{endpoint} does not know yet that the old one is gone")
                what = "still accepts the old password" if isinstance(new, Accepted) else "does not accept the new one"
                return self._endings.stick(held, f"{endpoint} {what} of {former.username}: does it trust everybody?")
        where = ", ".join(map(str, endpoints))
        self._steps.retire(
            SYSTEM,
            held,
            f"at {where} the new password was accepted and then the old one of {former.username} rejected",
            {"proven": True, "login": former.username, "endpoints": where},
        )
        log.info("retired", rotation=brief.rotation.id, connection=brief.rotation.connection)
        return False
