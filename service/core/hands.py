"""An operator's hand: what a person can do with a rotation now, and what each choice means.

retry     stuck, or waiting to try again      looks first, then goes on where it stopped
abandon   before it is published              looks first, then undoes what was done
revert    while it drains                     looks first, then turns the pointer back
"""

from dataclasses import dataclass
from enum import StrEnum

from service.core.rotation import UNPUBLISHED, Rotation, Stage, Strategy


class Hand(StrEnum):
    """What a person can do with a rotation."""

    RETRY = "retry"
    ABANDON = "abandon"
    REVERT = "revert"


@dataclass(frozen=True)
class Choice:
    """One of them, and a sentence that says what it does."""

    hand: Hand
    sentence: str


def choices(rotation: Rotation, *, kept_outside: bool) -> tuple[Choice, ...]:
    """What can be done now. `kept_outside`: the password lives in a store, which has the new one already."""
    if rotation.ended_at:
        return ()
    found = []
    stuck = rotation.stage is Stage.STUCK
    if stuck or rotation.attempts:
        where = "with the undoing" if rotation.undo else f"behind {rotation.reached.value}"
        when = "when the obstacle is gone: " if stuck else ""
        found.append(Choice(Hand.RETRY, f"{when}logs in to see what is in force, and goes on {where}"))
    if rotation.reached in UNPUBLISHED and not rotation.undo:
        found.append(Choice(Hand.ABANDON, _abandoning(rotation)))
    if revertible(rotation) and not kept_outside:
        found.append(
            Choice(Hand.REVERT, "sees that the former credential still logs in, and makes it the live one again")
        )
    return tuple(found)


def _abandoning(rotation: Rotation) -> str:
    if rotation.candidate_id is None:
        return "ends it: nothing was changed yet"
    if rotation.strategy is Strategy.ALTERNATING:
        return "ends it: applications keep the former login, which was not touched"
    return "logs in with the former password, puts it back in force where it is not, and ends"


def revertible(rotation: Rotation) -> bool:
    """Can the pointer be turned back, as far as the rotation itself is concerned?"""
    both = rotation.former_id is not None and rotation.candidate_id is not None
    drains = rotation.reached is Stage.DRAINING and not rotation.retiring
    return both and drains and rotation.strategy is not Strategy.SINGLE
