"""Drain: looks who is still on the former credential, and decides with the policy what follows.

    look      sessions of the former login in the target, and callers who hold it by the log
    nobody    the former password may be taken away
    somebody  look again; when the drain limit is over, `after_limit` says what is done

Between two looks the rotation is let go of.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from scheduler.changes import Changes
from scheduler.looks import Looks, adopted
from service.core.connection import Access, Account, NotPermitted, Unreachable
from service.core.database import DrainView, Session
from service.core.drain import Onward, Seen, keeps_waiting, limit_at, look_again, on_former, onward
from service.core.errors import ChangeError, ChangeNotPermitted
from service.core.rotation import AfterLimit, Stage, Strategy
from service.keeper.briefs import Brief
from service.keeper.holders import Held, Holders
from service.keeper.steps import Steps
from service.keeper.tokens import SYSTEM
from service.ledger.rotations import Claim

log = structlog.get_logger("rotator")

TELL_AGAIN = timedelta(hours=1)
"""Between two alerts about the same rotation."""


@dataclass(frozen=True)
class Look:
    """What one look showed. `away`: the target did not answer, so nobody knows who is connected."""

    seen: Seen
    everybody: tuple[Session, ...]
    """All sessions of the login, also those that are on the new password."""
    held: Held
    away: bool


class Drain:
    """Waits for those who are still on the former credential, as long as the policy wants it."""

    def __init__(self, steps: Steps, looks: Looks, changes: Changes, holders: Holders) -> None:
        self._steps = steps
        self._looks = looks
        self._changes = changes
        self._holders = holders

    def watch(self, held: Claim, brief: Brief) -> bool:
        """Look while the former credential is promised still: for whoever asks, nothing follows."""
        left = (brief.rotation.not_before or brief.now) - brief.now
        if brief.administration and brief.former:
            seen = self._look(brief, brief.administration, brief.former).seen
        else:
            seen = Seen.of(brief.rotation.seen)
        self._steps.watch(SYSTEM, held, seen, look_again(brief.policy, left, promised=True), "")
        return False

    def over(self, held: Claim, brief: Brief, administration: Access, former: Account) -> bool:
        """May the former password be taken away now? If not, it was noted when to look again."""
        rotation, policy = brief.rotation, brief.policy
        if rotation.retiring or (rotation.emergency and policy.after_limit is not AfterLimit.END):
            return True  # nothing that a look could tell would keep it waiting
        look = self._look(brief, administration, former)
        limit = limit_at(policy, brief.began.get(Stage.DRAINING, brief.now), rotation.not_before)
        left = limit - brief.now
        unseen = look.away and rotation.strategy is not Strategy.OVERLAPPING and left > timedelta(0)
        sessions = max(len(look.seen.sessions), int(unseen))
        somebody = keeps_waiting(rotation, policy, sessions, int(look.held.somebody))
        match onward(rotation, policy, somebody=somebody, over=left <= timedelta(0)):
            case Onward.RETIRE:
                return True
            case Onward.WAIT:
                until = f", until {limit:%Y-%m-%d %H:%M} UTC at the latest" if left > timedelta(0) else ""
                sentence = f"waits until nobody is seen on the former credential of {former.username}{until}"
                self._steps.watch(SYSTEM, held, look.seen, look_again(policy, left, promised=False), sentence)
                return False
            case Onward.ALERT:
                return self._alert(held, brief, look, "")
            case Onward.END:
                # The adopted login keeps its password, and under `overlapping` nobody knows which sessions to end.
                if adopted(brief) or (rotation.strategy is Strategy.OVERLAPPING and not rotation.emergency):
                    return True
                return self._end(held, brief, administration, look)

    def sweep(self, held: Claim, brief: Brief, administration: Access, former: Account) -> str:
        """End who connected once more before the password was gone; a sentence for the receipt, or nothing.

        Only where `over` ended sessions, or would have: past the drain limit, or in an emergency.
        """
        rotation, policy = brief.rotation, brief.policy
        limit = limit_at(policy, brief.began.get(Stage.DRAINING, brief.now), rotation.not_before)
        if onward(rotation, policy, somebody=True, over=brief.now >= limit) is not Onward.END:
            return ""
        if rotation.strategy is Strategy.OVERLAPPING and not rotation.emergency:
            return ""
        look = self._look(brief, administration, former)
        try:
            ended = self._ended(held, brief, administration, look)
        except ChangeError as error:
            return f"sessions of {former.username} could not be ended: {error.message}"
        return f"{ended} sessions that were open still were ended" if ended else ""

    def _end(self, held: Claim, brief: Brief, administration: Access, look: Look) -> bool:
        emergency = brief.rotation.emergency
        told_at = Seen.of(brief.rotation.seen).told_at
        if told_at and brief.now < told_at + TELL_AGAIN and not emergency:
            return self._alert(held, brief, look, "")  # it was not permitted; asking again now and then is enough
        try:
            self._ended(held, brief, administration, look)
        except ChangeError as error:
            if emergency:
                # The sweep behind the proof tries again, and the receipt says how it went.
                log.error("sessions not ended", rotation=held.rotation_id, reason=error.message)
                return True
            if isinstance(error, ChangeNotPermitted):
                return self._alert(held, brief, look, f"; they could not be ended: {error.message}")
            again = look_again(brief.policy, timedelta(0), promised=False)
            self._steps.watch(SYSTEM, held, look.seen, again, f"sessions could not be ended yet: {error.message}")
            return False
        return True

    def _ended(self, held: Claim, brief: Brief, administration: Access, look: Look) -> int:
        # In an emergency, sessions of which nobody knows on which password they are go as well.
        sessions = look.everybody if brief.rotation.emergency and look.seen.unknown else look.seen.sessions
        if brief.rotation.strategy is Strategy.OVERLAPPING:
            sessions = look.everybody
        if not sessions:
            return 0
        ended = self._changes.end_sessions(held, brief, administration, sessions)
        username = sessions[0].username
        self._steps.sessions_ended(SYSTEM, held, ended, f"{ended} of {len(sessions)} sessions of {username} were ended")
        return ended

    def _alert(self, held: Claim, brief: Brief, look: Look, more: str) -> bool:
        again = look_again(brief.policy, timedelta(0), promised=False)
        told_at = look.seen.told_at
        if told_at and brief.now < told_at + TELL_AGAIN:
            self._steps.watch(SYSTEM, held, look.seen, again, "")
            return False
        sessions, callers = len(look.seen.sessions), len(look.held.callers)
        sentence = (
            f"the drain limit is over, and the former credential is still in use: {sessions} sessions, {callers} "
            f"callers who fetched no newer one{more}; it waits on"
        )
        self._steps.overstayed(SYSTEM, held, look.seen, again, sentence)
        rotation = brief.rotation
        log.error(
            "overstayed", rotation=rotation.id, connection=rotation.connection, sessions=sessions, callers=callers
        )
        return False

    def _look(self, brief: Brief, administration: Access, former: Account) -> Look:
        """Who is on it now: sessions in the target, callers by the log."""
        rotation, database = brief.rotation, self._looks.database(brief)
        everybody: tuple[Session, ...] = ()
        unknown: tuple[str, ...] = ()
        away = False
        if isinstance(database, DrainView):
            match database.sessions(administration, former.username):
                case Unreachable(reason):
                    away, unknown = True, (f"who is connected: {reason}",)
                case NotPermitted(reason):
                    unknown = (f"who is connected: {reason}",)
                case everybody:
                    pass
        else:
            unknown = (f"who is connected: {brief.target.engine.value} does not tell",)
        sessions, dark = on_former(rotation.strategy, everybody, brief.began.get(Stage.APPLIED))
        before = Seen.of(rotation.seen)
        seen = replace(before, at=brief.now, sessions=sessions, unknown=(*unknown, *dark))
        return Look(seen, everybody, self._holders.look(rotation), away)
