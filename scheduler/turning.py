"""The first half of a rotation: from planned to published, and back when it cannot be."""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from scheduler.administration import Administration
from scheduler.changes import Changes
from scheduler.comparison import Comparison
from scheduler.endings import Endings
from scheduler.looks import Looks, known, next_username
from scheduler.writeback import WriteBack
from service.core.connection import Accepted, NotPermitted, Rejected, Unreachable
from service.core.errors import (
    ChangeError,
    ChangeNotPermitted,
    ChangeRefused,
    KeywrightError,
    StoreError,
    StoreUnreachable,
)
from service.core.password import profile
from service.core.rotation import GRACE, Stage, Strategy, drains_at_once
from service.core.sealed import Randomness
from service.keeper.briefs import Brief
from service.keeper.budget import Withheld
from service.keeper.drift import Sighting
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("rotator")

REPLICA_TRIES = 8
"""Looks at a replica that does not know the new password yet, before the rotation is undone."""


class Turning:
    """Steps that bring the candidate into force. Each answers whether to go on at once."""

    def __init__(
        self,
        steps: Steps,
        looks: Looks,
        changes: Changes,
        endings: Endings,
        write_back: WriteBack,
        administration: Administration,
        comparison: Comparison,
        randomness: Randomness,
    ) -> None:
        self._steps = steps
        self._looks = looks
        self._changes = changes
        self._endings = endings
        self._write_back = write_back
        self._administration = administration
        self._comparison = comparison
        self._randomness = randomness

    def fence(self, held: Claim, brief: Brief) -> bool:
        """See that no statement of an earlier worker takes effect any more, before anything is believed."""
        username = known(brief.candidate).username
        if brief.administration is None:
            return self._endings.later(held, brief, "there is no administration credential any more")
        try:
            left_out = self._changes.raise_fence(held, brief, brief.administration, username)
        except ChangeNotPermitted as error:
            left_out = (error.message,)
        except ChangeError as error:
            return self._endings.unchanged(held, brief, error)
        said = f"an earlier worker can change nothing of {username} any more"
        self._steps.fenced(SYSTEM, held, f"no fence could be raised: {'; '.join(left_out)}" if left_out else said)
        return True

    def stage(self, held: Claim, brief: Brief) -> bool:
        """See that the former credential works, then seal a candidate."""
        rotation, former = brief.rotation, brief.former
        if brief.administration is None:
            return self._endings.give_up(held, "there is no administration credential to change the password with")
        if brief.promised_until and brief.promised_until > brief.now and not rotation.emergency:
            self._wait(held, brief.promised_until - brief.now + GRACE, "waits: an earlier credential is still promised")
            return False
        if brief.kept_in:
            try:
                former = self._write_back.read(brief.kept_in, brief.adopted)
            except StoreUnreachable as error:
                return self._endings.later(held, brief, f"the password could not be read: {error.message}")
            except (StoreError, ChangeNotPermitted) as error:
                return self._endings.give_up(held, f"the password could not be read where it is kept: {error.message}")
            if brief.live_username and former.username != brief.live_username:
                return self._endings.give_up(
                    held,
                    f"the store names {former.username}, and the live login is {brief.live_username}: it was changed "
                    "outside of Keywright",
                )
        if former:
            match self._looks.probe(brief, former, lasting=True, likely=True):
                case Withheld(reason) | Rejected(reason) | NotPermitted(reason):
                    return self._endings.give_up(
                        held,
                        f"{brief.target.primary} does not accept the live password of {former.username} ({reason}): it "
                        "was changed outside of Keywright; put the connection again with the password that works",
                    )
                case Unreachable(reason):
                    return self._endings.later(held, brief, f"{brief.target.primary} cannot be reached: {reason}")
                case Accepted():
                    pass
        username = next_username(brief, former)
        if username is None:
            return self._endings.give_up(held, "no login is known: put the connection again with login.username")
        if username == brief.administration.account.username and not brief.administers_itself:
            return self._endings.give_up(held, f"{username} is the administration login itself")
        candidate = (brief.policy.password or profile()).generate(self._randomness)
        self._steps.stage(SYSTEM, held, username, candidate, former, f"a candidate for {username} is sealed")
        log.info("staged", rotation=rotation.id, connection=rotation.connection, login=username)
        return True

    def _wait(self, held: Claim, delay: timedelta, sentence: str) -> None:
        self._steps.postpone(SYSTEM, held, delay, sentence, failing=False)

    def announce(self, held: Claim, _: Brief) -> bool:
        """Offer the candidate beside the live password."""
        self._steps.announce(SYSTEM, held, "applications are offered the next password beside the live one")
        return True

    def count(self, held: Claim, brief: Brief) -> bool:
        """Begin to count the announcement's time."""
        self._steps.count(SYSTEM, held, brief.policy.drain_minimum + GRACE)
        return True

    def apply(self, held: Claim, brief: Brief) -> bool:
        """Bring the candidate into force, unless a look shows that it is."""
        candidate, primary = known(brief.candidate), brief.target.primary
        if brief.administration is None:
            return self._endings.later(held, brief, "there is no administration credential any more")
        look = self._looks.probe(brief, candidate)
        if isinstance(look, Unreachable) and not isinstance(look, Withheld):
            return self._endings.later(held, brief, f"{primary} cannot be reached: {look.reason}")
        in_force = isinstance(look, Accepted)
        if in_force and brief.rotation.strategy is Strategy.ALTERNATING:
            self._steps.applied(SYSTEM, held, f"{primary} already has the candidate")
            return True
        try:
            # Also when it is in force: a user name may stand for several accounts (MariaDB's host rows), and
            # the look tells of one. With the same candidate again, what is done already stays as it is.
            self._changes.bring_in(held, brief, brief.administration, candidate)
        except ChangeRefused as error:
            return self._undo(held, brief, error.message) if in_force else self._stricter(held, brief, error)
        except ChangeNotPermitted as error:
            return self._undo(held, brief, error.message) if in_force else self._refrain(held, brief, error.message)
        except ChangeError as error:
            # Done or not done: the next look tells.
            return self._endings.unchanged(held, brief, error)
        self._steps.applied(SYSTEM, held, f"{primary} took the candidate for {candidate.username}")
        return True

    def _refrain(self, held: Claim, brief: Brief, reason: str) -> bool:
        """Abandon what may not be done; but not while nobody can be shown to get in as the administration login."""
        if brief.administers_itself and brief.former:
            match self._looks.probe(brief, brief.former):
                case Withheld(why) | Rejected(why) | NotPermitted(why):
                    return self._endings.stick(
                        held,
                        f"{reason}; neither the live nor the next password of {brief.former.username} logs in ({why}); "
                        "both are kept",
                    )
                case Unreachable(why):
                    return self._endings.later(held, brief, f"{reason}; and {brief.target.primary}: {why}")
                case Accepted():
                    pass
        return self._endings.give_up(held, reason)

    def _stricter(self, held: Claim, brief: Brief, error: ChangeRefused) -> bool:
        if brief.policy.password or brief.rotation.attempts:
            return self._endings.give_up(held, f"{error.message}; say under rotation.password what the target wants")
        stricter = profile(strict=True).generate(self._randomness)
        self._steps.restage(SYSTEM, held, stricter, "the target refused the password; a stricter one is sealed")
        return True

    def verify(self, held: Claim, brief: Brief) -> bool:
        """Log in with the candidate as applications do, on every required endpoint."""
        candidate = known(brief.candidate)
        notes: list[str] = []
        seen: dict[str, dict[str, str]] = {}
        moved: dict[str, Mapping[str, str]] = {}
        for endpoint in brief.target.endpoints:
            probe = self._looks.probe(brief, candidate, endpoint, likely=True)
            match probe:
                case Accepted():
                    try:
                        compared = self._comparison.compare(brief, probe, endpoint)
                    except ChangeError as error:
                        return self._endings.later(held, brief, f"{endpoint} could not be compared: {error.message}")
                    if compared.differs:
                        return self._undo(held, brief, f"at {endpoint} the new login differs: {compared.differs}")
                    seen[str(endpoint)], moved[str(endpoint)] = self._comparison.parts(probe), compared.moved
                case _ if not endpoint.required:
                    notes.append(f"{endpoint} (optional): {probe.reason}")
                case Unreachable(reason):
                    return self._endings.later(held, brief, f"{endpoint} cannot be reached to verify: {reason}")
                case Rejected() if endpoint != brief.target.primary and brief.rotation.attempts < REPLICA_TRIES:
                    return self._endings.later(held, brief, f"{endpoint} does not know the new password yet")
                case Rejected(reason) | NotPermitted(reason):
                    return self._undo(held, brief, f"{endpoint} does not accept the new password: {reason}")
        sentence = f"{candidate.username} logged in with the new password on every required endpoint"
        if inherited := sorted({name for parts in moved.values() for name in parts}):
            notes.append(f"as its role has it since: {', '.join(inherited)}")
        published = "" if brief.kept_in else f"{candidate.username} is live"
        said = "; ".join([sentence, *notes])
        self._steps.verified(SYSTEM, held, said, published, ends_at_once(brief), Sighting(seen, moved))
        if published:
            self._administration.proven(brief)
        return True

    def publish(self, held: Claim, brief: Brief) -> bool:
        """Write the candidate back where the password lives outside, then move the pointer."""
        candidate = known(brief.candidate)
        if brief.kept_in:
            try:
                self._write_back.write(brief.kept_in, candidate, brief.former)
            except KeywrightError as error:
                return self._endings.later(held, brief, f"the new password could not be written back: {error.message}")
        self._steps.publish(SYSTEM, held, f"{candidate.username} is live", ends_at_once(brief))
        self._administration.proven(brief)
        log.info("published", rotation=brief.rotation.id, connection=brief.rotation.connection)
        return True

    def undo(self, held: Claim, brief: Brief) -> bool:
        """Somebody asked to abandon it."""
        return self._undo(held, brief, "an operator asked for it")

    def _undo(self, held: Claim, brief: Brief, reason: str) -> bool:
        """Bring the former password back where the candidate may have replaced it, then abandon."""
        former, primary = brief.former, brief.target.primary
        if brief.kept_in and former and brief.candidate and brief.rotation.stage is Stage.VERIFIED:
            try:
                # The store may have the candidate already.
                self._write_back.write(brief.kept_in, former, brief.candidate)
            except KeywrightError as error:
                return self._endings.later(held, brief, f"to be undone ({reason}): {error.message}")
        if former is None or brief.candidate is None or brief.rotation.strategy is Strategy.ALTERNATING:
            # The login that got the candidate is one that nobody was offered.
            return self._endings.give_up(held, reason)
        if brief.administration is None:
            return self._endings.stick(held, f"{reason}; and there is no administration credential to undo it with")
        look = self._looks.probe(brief, former)
        if isinstance(look, Unreachable) and not isinstance(look, Withheld):
            return self._endings.later(held, brief, f"to be undone ({reason}), but {primary} cannot be reached")
        if not isinstance(look, Accepted) or self._touched(brief):
            try:
                self._changes.set_password(held, brief, brief.administration, former)
            except ChangeNotPermitted as error:
                return self._endings.stick(held, f"{reason}; it could not be undone: {error.message}")
            except ChangeError as error:
                return self._endings.unchanged(held, brief, error, f"to be undone ({reason}): ")
            look = self._looks.probe(brief, former, likely=True)
        if isinstance(look, Accepted):
            return self._endings.give_up(held, f"{reason}; the former password is in force")
        return self._endings.stick(held, f"{reason}; the former password does not log in: {look.reason}")

    def _touched(self, brief: Brief) -> bool:
        """May the target hold the candidate, on any account of that user name?"""
        begun = brief.rotation.stage in (Stage.APPLIED, Stage.VERIFIED) or brief.rotation.attempts > 0
        return begun or isinstance(self._looks.probe(brief, known(brief.candidate)), Accepted)


def ends_at_once(brief: Brief) -> str:
    """The sentence for a former credential that is promised to nobody beyond the publication; else empty."""
    if not drains_at_once(brief.rotation):
        return ""
    return f"the former password of {brief.former.username} has ended" if brief.former else "there is no former one"
