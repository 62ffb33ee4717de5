"""Rotations: the stages, what comes next, and what a connection offers meanwhile.

    planned → staged → [announced] → applied → verified → published → draining → retired
                  \\__________\\___________\\_________\\→ abandoned          draining → reverted
    any stage may end in stuck: a person must look; nothing was discarded

    stage      what is true once it is recorded
    planned    somebody asked, or it is due
    staged     the candidate is sealed and committed; the target has not heard of it
    announced  (single) applications are offered [live, next] for at least the drain minimum
    applied    the target took the candidate; under `single` the set turned to [next, live]
    verified   a real login with the candidate worked on every required endpoint, as the same identity
    published  the pointer moved, generation + 1; the former credential still works
    draining   …and does so until at least the drain minimum after the publication was committed
    retired    the former password is proven dead: the new one was accepted *and then* the old one rejected

Two stages have a beginning and an end, `announced` and `draining`: the time they last is counted only from
a moment read *after* their transition was committed (`not_before`), so that an answer which was given in
the middle of the commit is covered by it too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto
from typing import Any

from service.core.connection import Standing
from service.core.errors import Conflict, Invalid
from service.core.password import PasswordPolicy
from service.core.schedule import Schedule
from service.core.sealed import Randomness


class Strategy(StrEnum):
    """How a connection moves from one credential to the next."""

    ALTERNATING = "alternating"  # two logins, one role
    OVERLAPPING = "overlapping"  # one login, two valid passwords
    SINGLE = "single"  # one login, one password


class Stage(StrEnum):
    """Where a rotation stands."""

    PLANNED = "planned"
    STAGED = "staged"
    ANNOUNCED = "announced"
    APPLIED = "applied"
    VERIFIED = "verified"
    PUBLISHED = "published"
    DRAINING = "draining"
    RETIRED = "retired"
    REVERTED = "reverted"
    ABANDONED = "abandoned"
    STUCK = "stuck"


ENDED = frozenset({Stage.RETIRED, Stage.REVERTED, Stage.ABANDONED})
"""Nothing follows these. `stuck` is not among them: a person ends it."""

UNPUBLISHED = frozenset({Stage.PLANNED, Stage.STAGED, Stage.ANNOUNCED, Stage.APPLIED, Stage.VERIFIED})

_FORWARD: dict[Stage, frozenset[Stage]] = {
    Stage.PLANNED: frozenset({Stage.STAGED}),
    Stage.STAGED: frozenset({Stage.ANNOUNCED, Stage.APPLIED}),
    Stage.ANNOUNCED: frozenset({Stage.APPLIED}),
    Stage.APPLIED: frozenset({Stage.VERIFIED}),
    Stage.VERIFIED: frozenset({Stage.PUBLISHED}),
    Stage.PUBLISHED: frozenset({Stage.DRAINING}),
    Stage.DRAINING: frozenset({Stage.RETIRED, Stage.REVERTED}),
    Stage.STUCK: UNPUBLISHED | {Stage.PUBLISHED, Stage.DRAINING},
}


def require_move(former: Stage, new: Stage) -> None:
    """Raises Conflict if a rotation cannot go from one stage to the other."""
    if former in ENDED:
        raise Conflict(f"the rotation has ended ({former.value})")
    onward = _FORWARD[former] | {Stage.STUCK}
    if former in UNPUBLISHED or former is Stage.STUCK:
        onward = onward | {Stage.ABANDONED}
    if new not in onward:
        raise Conflict(f"a rotation that is {former.value} cannot become {new.value}")


class Step(Enum):
    """What is to be done next. Each is one durable step: look, act, record."""

    FENCE = auto()  # an earlier worker's statement may still arrive: see that it cannot
    STAGE = auto()
    ANNOUNCE = auto()
    COUNT = auto()  # the stage's time begins: note `not_before`
    WAIT = auto()
    APPLY = auto()
    VERIFY = auto()
    PUBLISH = auto()
    DRAIN = auto()
    WATCH = auto()  # who is still on the former credential? Nothing follows from it yet
    RETIRE = auto()
    UNDO = auto()
    NOTHING = auto()


GRACE = timedelta(seconds=3)
"""A login that began just inside `good_until` may still be under way for this long."""


@dataclass(frozen=True)
class Rotation:
    """One attempt to move a connection to its next credential."""

    id: str
    environment_id: str
    environment: str
    connection_id: str
    connection: str
    strategy: Strategy
    stage: Stage
    requested_by: str
    note: str
    """Why it was asked for, in the words of who asked."""
    reason: str
    """For abandoned and stuck: what happened, as a sentence for an operator."""
    candidate_id: str | None
    former_id: str | None
    parking_id: str | None
    not_before: datetime | None
    wake_at: datetime
    attempts: int
    fence: int
    generation: int | None
    emergency: bool
    undo: bool
    """Somebody asked to abandon it: whatever the candidate did in the target is taken back first."""
    retiring: bool
    """The former password is being taken away: there is no way back."""
    lease_until: datetime | None
    in_doubt: bool
    """A statement of an earlier worker may still arrive in the target: the fence is raised before the next look."""
    stuck_in: Stage | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    seen: Mapping[str, Any] = field(default_factory=dict)
    """Who was still on the former credential at the last look; `service.core.drain.Seen` reads it."""

    @property
    def reached(self) -> Stage:
        """The stage; for a stuck one the stage that it is stuck in."""
        return self.stuck_in if self.stage is Stage.STUCK and self.stuck_in else self.stage


def next_step(rotation: Rotation, now: datetime) -> Step:
    """What a rotation needs now."""
    waiting = rotation.not_before is not None and now < rotation.not_before and not rotation.emergency
    if rotation.in_doubt and rotation.candidate_id and rotation.stage not in ENDED | {Stage.STUCK}:
        return Step.FENCE
    if rotation.undo and rotation.stage in UNPUBLISHED:
        return Step.UNDO
    match rotation.stage:
        case Stage.PLANNED:
            return Step.STAGE
        case Stage.STAGED:
            announces = rotation.strategy is Strategy.SINGLE and rotation.former_id and not rotation.emergency
            return Step.ANNOUNCE if announces else Step.APPLY
        case Stage.ANNOUNCED:
            if rotation.not_before is None:
                return Step.COUNT
            return Step.WAIT if waiting else Step.APPLY
        case Stage.APPLIED:
            return Step.VERIFY
        case Stage.VERIFIED:
            return Step.PUBLISH
        case Stage.PUBLISHED:
            return Step.DRAIN
        case Stage.DRAINING:
            return Step.WATCH if waiting else Step.RETIRE
        case _:
            return Step.NOTHING


def drains_at_once(rotation: Rotation) -> bool:
    """Is nothing promised beyond the publication? Under `single` the former password died when the new one came."""
    return rotation.strategy is Strategy.SINGLE or rotation.emergency or rotation.former_id is None


def backoff(attempts: int, randomness: Randomness) -> timedelta:
    """How long to leave an unreachable target alone: exponential, capped at five minutes, with full jitter."""
    ceiling = min(300.0, 2.0 ** min(attempts, 10))
    return timedelta(seconds=0.2 + ceiling * int.from_bytes(randomness(4), "big") / 2**32)


class AfterLimit(StrEnum):
    """What is done when the drain limit is over and somebody is still seen on the former credential."""

    RETIRE = "retire"  # the password is taken away; sessions go on until they end by themselves
    END = "end"  # their sessions are ended, then the password is taken away
    ALERT = "alert"  # somebody is told, and it waits on
    WAIT = "wait"  # it waits on


@dataclass(frozen=True)
class RotationPolicy:
    """How and when a connection rotates."""

    strategy: Strategy
    schedule: Schedule | None
    drain_minimum: timedelta
    drain_limit: timedelta
    password: PasswordPolicy | None
    role: str | None = None
    """`alternating`: the role that both logins act as; the imported login when not said."""
    logins: tuple[str, str] | None = None
    """`alternating`: the two logins; `<role>_a` and `<role>_b` when not said."""
    after_limit: AfterLimit = AfterLimit.RETIRE
    siblings: str | None = None
    """Connections with the same word are siblings, whatever host they are on."""
    spacing: timedelta | None = None
    """Scheduled rotations of connections that share the host, or are siblings, begin at least this far apart."""
    check_every: timedelta | None = timedelta(hours=1)
    """How often the live credential is tried from outside of the rotation path; None: never."""

    def __post_init__(self) -> None:
        if self.drain_limit < self.drain_minimum:
            raise Invalid("drain_limit is shorter than drain_minimum", field="rotation.drain_limit")
        if self.logins and (self.logins[0] == self.logins[1] or self.role in self.logins):
            raise Invalid("the two logins and the role must have three different names", field="rotation.logins")

    def pair(self, adopted: str) -> tuple[str, tuple[str, str]]:
        """The shared role and its two logins, when `adopted` is the login that was imported."""
        role = self.role or adopted
        return role, self.logins or (f"{role}_a", f"{role}_b")


def resting_login(pair: tuple[str, str], live: str | None) -> str:
    """Which login of a pair gets the candidate: the one that applications are not using."""
    return pair[1] if live == pair[0] else pair[0]


@dataclass(frozen=True)
class Limits:
    """How many rotations are worked on at once, by all processes that share the ledger."""

    per_server: int = 4
    in_all: int = 16


class CredentialState(StrEnum):
    """What has become of one password of a login."""

    CANDIDATE = "candidate"
    LIVE = "live"
    DRAINING = "draining"
    RESTING = "resting"  # valid in the target, offered to nobody
    RETIRED = "retired"  # proven dead; its sealed copy is gone
    ABANDONED = "abandoned"  # never published; kept sealed, since nobody knows what the target remembers


STANDING = (CredentialState.CANDIDATE, CredentialState.LIVE, CredentialState.DRAINING)
"""What an answer can depend on."""


@dataclass(frozen=True)
class Credential:
    """One password of a login, as it is stored. `sealed` is gone once retired, or while it lives in a store."""

    id: str
    connection_id: str
    login_id: str
    username: str
    state: CredentialState
    sealed: bytes | None
    valid_from: datetime | None
    good_until: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class Offered:
    """One entry of the ordered set that a connection offers."""

    credential: Credential
    standing: Standing
    good_until: datetime


def offer(
    credentials: Iterable[Credential], rotation: Rotation | None, drain_minimum: timedelta, now: datetime
) -> tuple[Offered, ...]:
    """The ordered set, best first. `rotation` is the connection's open one, if any.

    A live credential is good for the drain minimum from *now*: whatever rotation begins, it is offered at
    least that long before (`single`) or after (the others) its end. The promise of promise 6.
    """
    promised = now + drain_minimum
    by_id = {credential.id: credential for credential in credentials}
    live = [c for c in by_id.values() if c.state is CredentialState.LIVE]
    entries = [Offered(c, Standing.LIVE, promised) for c in live]
    if rotation and rotation.strategy is Strategy.SINGLE and rotation.candidate_id in by_id and live:
        candidate = by_id[rotation.candidate_id]
        stage = rotation.reached
        upcoming = Offered(candidate, Standing.NEXT, promised)
        ending = [Offered(c, Standing.LIVE, max(rotation.not_before or promised, now)) for c in live]
        if stage is Stage.ANNOUNCED:
            entries = [*ending, upcoming]
        elif stage in (Stage.APPLIED, Stage.VERIFIED):
            entries = [upcoming, *ending]
    for credential in by_id.values():
        if credential.state is CredentialState.DRAINING and (credential.good_until or promised) > now:
            entries.append(Offered(credential, Standing.DRAINING, credential.good_until or promised))
    return tuple(entries)
