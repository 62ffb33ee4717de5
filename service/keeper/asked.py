"""A fetch on its way to the recorder: what is evaluated, what came of it, and what it may still need.

Asked    evaluated on a view, as often as the epoch moves; then answered or refused, and recorded
Told     what it came to
Unready  an evaluation needs something from outside first, which is got as an Errand
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from service.core.access import Caller, OutOfPlace
from service.core.errors import KeywrightError
from service.core.event import Detail, Event, Outcome
from service.keeper.door import outcome_of
from service.keeper.snapshot import Key, View

T = TypeVar("T")


class Errand(Protocol):
    """Something that is being got from outside, by threads of its own."""

    seconds: float
    """How long it is waited for."""

    def end(self) -> None:
        """Wait for it no more. Called once, whether it is over or not."""


class Unready(Exception):
    """An evaluation needs something from outside first. `prepare` gets it, in a thread that may wait."""

    def prepare(self) -> None:
        """Get it. Raises what the fetch is to be refused with."""
        raise NotImplementedError  # each kind of what may be missing says how; an exception cannot be abstract

    def begin(self, over: Callable[[], None]) -> Errand | None:  # noqa: ARG002  the port asks for it
        """Begin to get it, without waiting: `over` is called once, in any thread. None: only `prepare` can."""
        return None


Who = Callable[[View], Caller]
"""Makes the caller out on a view. Raises Unauthenticated, Forbidden."""


@dataclass(slots=True)
class Told(Generic[T]):
    """What a fetch came to. `value` is None for what the caller knows already; `keys` is what it may wait for then."""

    value: T | None
    tag: str
    keys: frozenset[Key] = frozenset()

    @property
    def news(self) -> T:
        """The value, where nothing was known before."""
        assert self.value is not None  # nothing was known, so it was told  # noqa: S101
        return self.value


Known = Callable[[str], bool]
"""Does the caller have what this tag stands for?"""


def _nothing_to_forget() -> None:
    """For what needs nothing from outside."""


def nothing(_: str) -> bool:
    """What is known of it: nothing."""
    return False


class Asked:
    """One fetch on its way.

    `act` evaluates it on a view, and notes here what its event is to tell: who asks, as soon as it knows; details;
    and whether there is anything to record at all, if it is not refused.
    """

    # Defaults of the class: setting all of this takes a microsecond each time.
    over: Callable[["Asked"], None] | None = None
    """Hears in the event loop that asked when it is recorded, or failed."""
    answer: Any = None
    """For whoever asked: a future, or whatever else it wants to find again in `over`."""
    caller: Caller | None = None
    told = True
    result: Any = None
    error: Exception | None = None
    event: Event | None = None
    admitted: bool | None = None
    """Of a stranger: may it have an event of its own?"""
    epoch: int | None = None
    """What it was evaluated on."""

    def __init__(
        self,
        act: Callable[[View, "Asked"], Any],
        action: str,
        environment: str,
        resource: str,
        renew: Callable[[], None] = _nothing_to_forget,
    ) -> None:
        self.act = act
        self.action = action
        self.environment = environment
        self.resource = resource
        self.renew = renew
        """Forgets what was got for it from outside: called before it is asked once more, later."""
        self.detail: dict[str, Detail] = {}

    def evaluate(self, view: View) -> None:
        """Evaluate on this view. What comes of it is kept, with the event that is to be recorded."""
        self.caller, self.detail, self.told = None, {}, True
        self.result, self.error, self.event = None, None, None
        self.epoch = view.snapshot.epoch
        outcome = Outcome.ALLOWED
        try:
            self.result = self.act(view, self)
        except KeywrightError as refusal:
            self.error, self.told = refusal, True
            outcome = outcome_of(refusal)
            if isinstance(refusal, OutOfPlace):
                self.caller = refusal.caller
            self.detail["error"] = type(refusal).__name__
        except Exception as error:  # noqa: BLE001 - raised where it was asked; the others of the batch go on
            self.error, self.told = error, False
        if self.told and self.caller is not None:
            self.event = Event(
                view.now, self.caller, self.action, outcome, self.environment, self.resource, self.detail
            )

    def fail(self, failure: Exception) -> None:
        """Nothing came of it, and nothing was recorded."""
        self.result, self.error, self.event = None, failure, None

    def value(self) -> Any:
        """What was evaluated, once it was recorded. Raises what it was refused with."""
        if self.error is not None:
            raise self.error
        return self.result

    def prepared(self, unready: Unready) -> None:
        """Get what was missing, so that it can be asked again. If it cannot be got, asking again tells why."""
        self.epoch = None
        try:
            unready.prepare()
        except KeywrightError as error:
            failure, act = error, self.act

            def failing(view: View, asked: Asked) -> Any:
                try:
                    return act(view, asked)  # who may not ask for it any more is told that
                except Unready:
                    raise failure from None

            self.act = failing
