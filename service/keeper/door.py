"""The shape of every operation: evaluate, record, answer.

    change   the state and its event are committed together, then the answer leaves; where a person needs
             somebody else to agree, the guard says so when it is done, and all of it is undone
    fetch    evaluated on a snapshot, recorded only if the epoch is still the snapshot's, then answered;
             if the epoch moved meanwhile nothing was recorded, and it is evaluated again
    refusal  recorded like everything else, before the refusal is answered

If the event cannot be recorded, the operation is refused with Unrecorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from service.core.access import Caller
from service.core.errors import ApprovalNeeded, ChangeError, KeywrightError, StoreError, Unavailable, WrapError
from service.core.event import Detail, Event, Outcome
from service.core.sealed import Randomness
from service.ledger.ledger import Ledger, Transaction

T = TypeVar("T")

_OUTSIDE = (StoreError, ChangeError, WrapError)
_TRIES = 2
"""Evaluations of a fetch on a snapshot, before it is evaluated while holding `head`, so that nobody starves."""


@dataclass
class Deed:
    """What is about to be done, as its event will tell it. An operation adds to `detail` while it runs."""

    action: str
    environment: str = ""
    resource: str = ""
    detail: dict[str, Detail] = field(default_factory=dict)
    outcome: Outcome = Outcome.ALLOWED
    """Of a change that is kept although what was asked for is refused: a wrong code is counted."""


def outcome_of(refusal: KeywrightError) -> Outcome:
    """Did Keywright refuse, or did something outside fail?"""
    return Outcome.FAILED if isinstance(refusal, _OUTSIDE) else Outcome.REFUSED


class Guard(Protocol):
    """Holds up what somebody else has to agree to first: see `guard.py`."""

    def before(self, tx: Transaction, caller: Caller) -> Any:
        """What it must know of how things are before a change."""

    def foresee(self, tx: Transaction, caller: Caller, deed: Deed, changes: Mapping[str, object]) -> None:
        """Judge what is about to be tried outside; `changes` is what would be another then. Raises as `judge`."""

    def judge(self, tx: Transaction, caller: Caller, deeds: Sequence[Deed], before: Any) -> None:
        """Judge what was done, and note at the deeds by what right. Raises ApprovalNeeded, Conflict: it is undone."""


class _Unguarded:
    """For a door that nobody but Keywright itself goes through."""

    def before(self, tx: Transaction, caller: Caller) -> None:
        """Nothing."""

    def foresee(self, tx: Transaction, caller: Caller, deed: Deed, changes: Mapping[str, object]) -> None:
        """Whatever it is."""

    def judge(self, tx: Transaction, caller: Caller, deeds: Sequence[Deed], before: None) -> None:
        """Whatever it is."""


class Door:
    """Lets operations through to the ledger. `randomness` makes ids and salts; `guard` is set where people come in."""

    def __init__(self, ledger: Ledger, randomness: Randomness) -> None:
        self.ledger = ledger
        self.randomness = randomness
        self.guard: Guard = _Unguarded()
        self._heard: list[Callable[[], None]] = []

    def new_id(self) -> str:
        """An immutable id: 128 random bits in hex."""
        return self.randomness(16).hex()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every committed change of this process; it must be quick and not raise."""
        self._heard.append(listener)

    def change(
        self, caller: Caller, deed: Deed | Sequence[Deed], act: Callable[[Transaction], T], *, aside: bool = False
    ) -> T:
        """Let `act` change the ledger, and record the deed, or several in their order, in the same transaction.

        What is kept `aside`, such as a sign-in that has only begun, is nothing that a fetch depends on: the epoch
        stands, unless something is touched after all. Strangers can do such things, and hold up nobody by it.
        """
        deeds = [deed] if isinstance(deed, Deed) else deed
        try:
            with self.ledger.holding() if aside else self.ledger.change() as tx:
                before = self.guard.before(tx, caller)
                result = act(tx)
                self.guard.judge(tx, caller, deeds, before)
                tx.events.extend(self._event(caller, each, tx, each.outcome) for each in deeds)
        except KeywrightError as refusal:
            if deeds:
                self.refuse(caller, deeds[0], refusal)
            raise
        self.changed()
        return result

    def fetch(self, caller: Caller, deed: Deed, evaluate: Callable[[Transaction], T]) -> T:
        """Let `evaluate` look at one snapshot, and record the deed on the epoch of that snapshot."""
        try:
            for _ in range(_TRIES):
                with self.ledger.read() as tx:
                    result = evaluate(tx)
                    event = self._event(caller, deed, tx, Outcome.ALLOWED)
                if self.ledger.record([event], tx.epoch):
                    return result
            with self.ledger.holding() as tx:
                result = evaluate(tx)
                tx.events.append(self._event(caller, deed, tx, Outcome.ALLOWED))
            return result
        except KeywrightError as refusal:
            self.refuse(caller, deed, refusal)
            raise

    def poll(self, caller: Caller, deed: Deed, evaluate: Callable[[Transaction], T]) -> T:
        """Evaluate like a fetch, but append nothing: the answer tells no more than whether something changed.

        Refusals are recorded all the same.
        """
        try:
            with self.ledger.read() as tx:
                return evaluate(tx)
        except KeywrightError as refusal:
            self.refuse(caller, deed, refusal)
            raise

    def look(self, evaluate: Callable[[Transaction], T]) -> T:
        """Look without a record: for what is not answered to anybody, or recorded by what follows."""
        with self.ledger.read() as tx:
            return evaluate(tx)

    def changed(self) -> None:
        """Tell this process's listeners that something was committed."""
        for listener in self._heard:
            listener()

    def refuse(self, caller: Caller, deed: Deed, refusal: KeywrightError) -> None:
        """Record that the deed was refused, or failed outside. Raises Unrecorded if that cannot be recorded."""
        if isinstance(refusal, Unavailable):
            return  # the ledger did not take part: there is nothing to record it in
        if caller.asks and isinstance(refusal, ApprovalNeeded):
            return  # that is what it wanted to know: what is recorded is that it asks
        outcome = outcome_of(refusal)
        detail: dict[str, Detail] = deed.detail | {"error": type(refusal).__name__}
        with self.ledger.holding() as tx:
            tx.events.append(
                self._event(caller, Deed(deed.action, deed.environment, deed.resource, detail), tx, outcome)
            )

    @staticmethod
    def _event(caller: Caller, deed: Deed, tx: Transaction, outcome: Outcome) -> Event:
        return Event(tx.now, caller, deed.action, outcome, deed.environment, deed.resource, dict(deed.detail))
