"""Incidents: everything in a folder is rotated, now, at a rate.

    running → ended           nothing is left to begin, and every rotation has ended or is stuck
    running ⇄ cancelled       no further ones begin; those under way go on

    an item of its plan      waiting    still to begin
                             begun      it has a rotation, whose stage is the item's
                             skipped    it never begins; the reason is a sentence

An open rotation is joined. If that one had its password before the incident began (any stage behind `staged`), the
password may be known as well: another rotation follows it as soon as it has ended (`again`), and until
then the item waits.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from service.core.errors import Conflict, Invalid
from service.core.rotation import Rotation, Stage

FASTEST = 6000
"""A minute."""
CATCHES_UP = timedelta(seconds=5)
"""What was missed for this long is made good at once; after a longer pause the rate begins anew."""
NO_POLICY = "it has no rotation policy"


class State(StrEnum):
    """Where an incident stands."""

    RUNNING = "running"
    CANCELLED = "cancelled"
    ENDED = "ended"


_MOVES = {State.RUNNING: {State.CANCELLED, State.ENDED}, State.CANCELLED: {State.RUNNING}, State.ENDED: set[State]()}


@dataclass(frozen=True)
class Incident:
    """Everything in `folder` (empty: in the environment) is to be rotated, `per_minute` of them a minute."""

    id: str
    environment_id: str
    environment: str
    folder: str
    reason: str
    requested_by: str
    emergency: bool
    per_minute: int
    state: State
    next_at: datetime
    created_at: datetime
    ended_at: datetime | None

    def next_after(self, now: datetime) -> datetime:
        """When the rate lets one more begin, after one that begins now."""
        return max(self.next_at, now - CATCHES_UP) + pace(self.per_minute)

    def allowed(self, now: datetime) -> int:
        """How many the rate lets begin now."""
        if now < self.next_at:
            return 0
        return (now - max(self.next_at, now - CATCHES_UP)) // pace(self.per_minute) + 1

    def require_move(self, state: State) -> None:
        """Raises Conflict if it cannot go there from where it stands."""
        if state not in _MOVES[self.state]:
            raise Conflict(f"incident {self.id} is {self.state.value} and cannot become {state.value}")


def pace(per_minute: int) -> timedelta:
    """The time from one beginning to the next. Raises Invalid."""
    if not 1 <= per_minute <= FASTEST:
        raise Invalid(f"per_minute must be 1 to {FASTEST}", field="per_minute")
    return timedelta(minutes=1) / per_minute


def lasts(number: int, per_minute: int) -> timedelta:
    """From the first beginning to the last, if nothing else holds them up."""
    return max(0, number - 1) * pace(per_minute)


def goes_again(joined: Rotation) -> bool:
    """Must another rotation follow one that was joined? Its password may be as old as what is known."""
    return joined.reached not in (Stage.PLANNED, Stage.STAGED)


@dataclass(frozen=True)
class Skipped:
    """A connection that is not rotated, and why."""

    connection: str
    reason: str


@dataclass(frozen=True)
class Trouble:
    """A rotation that failed, is stuck, or is tried again and again; and why."""

    connection: str
    rotation: str
    stage: Stage
    reason: str


@dataclass(frozen=True)
class Progress:
    """How far an incident is. Every connection of its plan is counted once: waiting, skipped, or at a stage."""

    waiting: int
    stages: dict[Stage, int]
    skipped: tuple[Skipped, ...]
    troubles: tuple[Trouble, ...]

    @property
    def total(self) -> int:
        """Connections in the plan."""
        return self.waiting + len(self.skipped) + sum(self.stages.values())
