"""Draining: who is still on the former credential, and what follows when they stay on it.

    published         drain minimum                  drain limit
       ├────────────────────┼─────────────────────────────┼──────────────────────▶
         nothing is done      done as soon as nobody        `after_limit` says what is done
                              is seen on it any more

What shows that somebody is on it differs from strategy to strategy:

    alternating   sessions of the former login
    overlapping   callers whose youngest fetch is older than the publication: sessions look alike there
    single        sessions that are older than the change. The password itself is dead already, so they are
                  waited for only where the policy says more than `retire`

An emergency waits for nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from service.core.database import Session
from service.core.rotation import AfterLimit, Rotation, RotationPolicy, Strategy

MOST = 100
"""Sessions and callers that are kept and shown, at most."""


@dataclass(frozen=True)
class Seen:
    """What a worker saw when it looked last. `unknown` are sentences: what could not be told."""

    at: datetime | None = None
    sessions: tuple[Session, ...] = ()
    unknown: tuple[str, ...] = ()
    told_at: datetime | None = None
    """When somebody was last told that the drain limit is over."""

    def stored(self) -> dict[str, Any]:
        """As it is kept beside the rotation."""
        return {
            "at": _text(self.at),
            "sessions": [
                {"username": s.username, "address": s.address, "application": s.application, "since": _text(s.since)}
                for s in self.sessions[:MOST]
            ],
            "unknown": list(self.unknown),
            "told_at": _text(self.told_at),
        }

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Seen":
        """What was kept; nothing seen yet if nothing was."""
        sessions = (
            Session(s["username"], s["address"], s["application"], since=_moment(s["since"]))
            for s in stored.get("sessions", ())
        )
        return cls(
            _moment(stored.get("at")), tuple(sessions), tuple(stored.get("unknown", ())), _moment(stored.get("told_at"))
        )


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def limit_at(policy: RotationPolicy, since: datetime, not_before: datetime | None) -> datetime:
    """When the drain limit of a rotation that drains since `since` is over; never before the promises are."""
    over = since + policy.drain_limit
    return max(over, not_before) if not_before else over


def on_former(
    strategy: Strategy, sessions: tuple[Session, ...], changed_at: datetime | None
) -> tuple[tuple[Session, ...], tuple[str, ...]]:
    """Which of a login's sessions are on the former credential; and sentences about those of which nobody knows.

    `changed_at` is when the ledger heard that the password had been changed: a session that began in the
    moment between counts as older, which is the harmless mistake.
    """
    match strategy:
        case Strategy.ALTERNATING:
            return sessions, ()
        case Strategy.OVERLAPPING:
            return (), ()
        case Strategy.SINGLE:
            older = tuple(s for s in sessions if s.since and changed_at and s.since < changed_at)
            dark = sum(1 for s in sessions if s.since is None or changed_at is None)
            told = f"{dark} sessions of {sessions[0].username}: the server does not tell since when" if dark else ""
            return older, (told,) if told else ()


def keeps_waiting(rotation: Rotation, policy: RotationPolicy, sessions: int, callers: int) -> bool:
    """Is there somebody whom this rotation waits for?"""
    match rotation.strategy:
        case Strategy.ALTERNATING:
            return sessions > 0
        case Strategy.OVERLAPPING:
            return callers > 0
        case Strategy.SINGLE:
            return sessions > 0 and policy.after_limit is not AfterLimit.RETIRE


class Onward(Enum):
    """What follows from a look."""

    WAIT = auto()
    ALERT = auto()  # wait, and tell somebody
    END = auto()  # end their sessions, then retire
    RETIRE = auto()


def onward(rotation: Rotation, policy: RotationPolicy, *, somebody: bool, over: bool) -> Onward:
    """What follows when `somebody` is waited for, or nobody; `over`: the drain limit is."""
    if rotation.emergency:
        return Onward.END if policy.after_limit is AfterLimit.END else Onward.RETIRE
    if not somebody:
        return Onward.RETIRE
    if not over:
        return Onward.WAIT
    match policy.after_limit:
        case AfterLimit.RETIRE:
            return Onward.RETIRE
        case AfterLimit.END:
            return Onward.END
        case AfterLimit.ALERT:
            return Onward.ALERT
        case AfterLimit.WAIT:
            return Onward.WAIT


LOOK_AGAIN = timedelta(seconds=30)
"""Between two looks at who is still there, at least."""


def look_again(policy: RotationPolicy, left: timedelta, *, promised: bool) -> timedelta:
    """How long until the next look: seldom while nothing can follow from it (`promised`), and never past `left`."""
    pace = max(LOOK_AGAIN, policy.drain_minimum / 10) if promised else LOOK_AGAIN
    return min(pace, left) if left > timedelta(0) else pace
