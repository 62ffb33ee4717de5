"""The recorder: fetches are evaluated in memory, recorded together, and only then answered.

    asked ──► evaluated on the snapshot ──► waits for the batch ──► recorded on the snapshot's epoch ──► answered
                     ▲                                                     │
                     └── caught up, evaluated again ◄── the epoch moved: nothing was recorded

After the second move the batch is evaluated while `head` is held, so that nobody starves. What appends no event (a
poll that tells "not changed", an evaluation that ends in a question to an outside store) joins the same look at the
epoch. If the ledger cannot record, nothing of the batch is answered: every one of it is Unrecorded.

Any thread may `fetch`; it waits for the disk itself. `submit` is for an event loop: a thread of the recorder's own
takes everything that came while the batch before was being written, so that one commit serves all of it.
"""

import queue
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import structlog

from service.core.access import Caller, OutOfPlace, Stranger
from service.core.errors import KeywrightError, Unavailable
from service.core.event import Detail, Event, Outcome
from service.keeper.door import outcome_of
from service.keeper.snapshot import Key, Snapshot, View
from service.keeper.strangers import Strangers, left_out, refused
from service.ledger import state
from service.ledger.ledger import Ledger, Transaction

T = TypeVar("T")
log = structlog.get_logger("recorder")

TRIES = 2
"""Evaluations on the snapshot, before one while `head` is held."""
MOST = 1000
"""Fetches in one batch, at most."""
LONGEST_QUEUE = 20_000
"""Fetches that wait to be recorded, at most; further ones are refused."""
LOOKS_EVERY = 1.0
"""Seconds between two looks at the epoch while nobody fetches: others may have changed what somebody waits for."""


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


@dataclass(frozen=True, slots=True)
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


@dataclass(eq=False)
class Asked:
    """One fetch on its way.

    `act` evaluates it on a view, and notes here what its event is to tell: who asks, as soon as it knows; details;
    and whether there is anything to record at all, if it is not refused.
    """

    act: Callable[[View, "Asked"], Any]
    action: str
    environment: str
    resource: str
    done: Callable[[list["Asked"]], None] | None = None
    """Hears when it is over, once for all of a batch that have the same; in a thread of the recorder's."""
    answer: Any = None
    """For whoever asked: a future, or whatever else it wants to find again in `done`."""
    caller: Caller | None = None
    detail: dict[str, Detail] = field(default_factory=dict)
    told: bool = True
    result: Any = None
    error: Exception | None = None
    event: Event | None = None
    admitted: bool | None = None
    """Of a stranger: may it have an event of its own?"""
    epoch: int | None = None
    renew: Callable[[], None] = _nothing_to_forget
    """Forgets what was got for it from outside: called before it is asked once more, later."""

    def evaluate(self, view: View) -> None:
        """Evaluate on this view. What comes of it is kept, with the event that is to be recorded."""
        self._begin(view)
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

    def _begin(self, view: View) -> None:
        self.caller, self.detail, self.told = None, {}, True
        self.result, self.error, self.event = None, None, None
        self.epoch = view.snapshot.epoch

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


class Recorder:
    """Records for one process, and keeps its snapshot."""

    def __init__(self, ledger: Ledger) -> None:
        self.snapshot = Snapshot()
        self.strangers = Strangers()
        self._ledger = ledger
        self._behind = True
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._waiting: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._listeners: list[Callable[[Collection[Key] | None], None]] = []

    def on_change(self, listener: Callable[[Collection[Key] | None], None]) -> None:
        """Call `listener` with what was changed (None: whatever there is) after the snapshot has taken it over."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Begin to record what is submitted, and to look for what others change."""
        with self._starting:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Record what was submitted, and no more."""
        if self._thread is not None:
            self._stopped = True
            self._waiting.put(None)
            self._thread.join()
            self._thread = None
            self._tell_strangers()

    def changed(self) -> None:
        """This process has changed something: the snapshot is behind. Quick, and does not raise."""
        self._behind = True
        if self._thread is not None:
            self._waiting.put(None)

    def fetch(self, asked: Asked) -> Any:
        """Evaluate and record, with what is needed from outside got in between. Raises what it is refused with."""
        while True:
            self.write([asked])
            if not isinstance(asked.error, Unready):
                return asked.value()
            asked.prepared(asked.error)

    def submit(self, asked: Asked) -> None:
        """Record it with whatever else is waiting; its `done` hears when that is over. Raises Unavailable."""
        if self._thread is None:
            self.start()
        if self._waiting.qsize() >= LONGEST_QUEUE:
            raise Unavailable("more is being fetched than can be recorded; ask again in a second")
        if not self._behind and self.snapshot.lock.acquire(blocking=False):
            try:
                asked.evaluate(View(self.snapshot, self._ledger.now()))
            finally:
                self.snapshot.lock.release()
        self._waiting.put(asked)

    def write(self, batch: list[Asked]) -> None:
        """Record a batch: afterwards each has its value, or what it was refused with."""
        try:
            with self._writing:
                self._write(batch)
        except Exception as failure:  # noqa: BLE001 - each of them raises it where it was asked
            for asked in batch:
                asked.fail(failure)

    def _write(self, batch: list[Asked]) -> None:
        for _ in range(TRIES):
            if self._behind or self.snapshot.epoch is None:
                self._catch_up()
            self._evaluate(batch)
            epoch = self.snapshot.epoch
            assert epoch is not None  # it was read just now  # noqa: S101
            if self._ledger.record(self._events(batch), epoch):
                return
            self._behind = True
        heard: Collection[Key] | None = ()
        try:
            with self._ledger.holding() as tx:
                heard = self._take(tx)
                self._evaluate(batch)
                tx.events.extend(self._events(batch))
        finally:
            self._tell(heard)  # also where nothing was recorded: the snapshot has taken it over, and tells it once

    def _events(self, batch: Iterable[Asked]) -> list[Event]:
        """What is to be recorded of a batch. Of strangers, who may be many, no more than a few each second."""
        events = []
        for asked in batch:
            if asked.event is not None:
                events.append(asked.event)
            elif isinstance(asked.error, Stranger):
                if asked.admitted is None:
                    asked.admitted = self.strangers.admits(asked.error.caller.address)
                if asked.admitted:
                    events.append(refused(self._ledger.now(), asked.error.caller))
        return events

    def tell_strangers(self) -> None:
        """Record how many strangers were left out since the last time. Raises Unrecorded: then they are kept."""

        def tell(count: int, addresses: int) -> None:
            with self._ledger.holding() as tx:
                tx.events.append(left_out(tx.now, count, addresses))

        self.strangers.told(tell)

    def _evaluate(self, batch: Iterable[Asked]) -> None:
        view = View(self.snapshot, self._ledger.now())
        for asked in batch:
            if asked.epoch != self.snapshot.epoch:
                with self.snapshot.lock:  # one by one: an event loop that submits is not to wait for all of them
                    asked.evaluate(view)

    def look(self) -> None:
        """See what others have changed, and tell who waits. Raises Unavailable."""
        with self._writing:
            self._catch_up()

    def _catch_up(self) -> None:
        self._behind = False  # before looking: what is changed from here on sets it again
        try:
            with self._ledger.read() as tx:
                heard = self._take(tx)
        except BaseException:
            self._behind = True
            raise
        self._tell(heard)

    def _take(self, tx: Transaction) -> Collection[Key] | None:
        if tx.epoch == self.snapshot.epoch:
            return ()
        return self.snapshot.take_over(state.read(tx, self.snapshot.epoch))

    def _tell(self, heard: Collection[Key] | None) -> None:
        if heard is None or heard:
            for listener in self._listeners:
                listener(heard)

    def _run(self) -> None:
        while not self._stopped or not self._waiting.empty():
            batch = self._next()
            if batch:
                self.write(batch)
                self._deliver(batch)
            elif self._behind or not self._ledger.embedded:
                self._look_around()
            if self.strangers.due():
                self._tell_strangers()

    def _tell_strangers(self) -> None:
        try:
            self.tell_strangers()
        except Unavailable as error:
            log.warning("how many requests without a valid token came is not recorded yet", reason=error.message)

    def _next(self) -> list[Asked]:
        """Everything that waits; nothing, if somebody changed something, or nobody came for a while."""
        try:
            first = self._waiting.get(timeout=LOOKS_EVERY)
        except queue.Empty:
            return []
        batch = [first] if first is not None else []
        while len(batch) < MOST:
            try:
                asked = self._waiting.get_nowait()
            except queue.Empty:
                break
            if asked is not None:
                batch.append(asked)
        return batch

    def _look_around(self) -> None:
        try:
            if self._behind or self._ledger.epoch() != self.snapshot.epoch:
                self.look()
        except Unavailable as error:
            log.warning("the ledger was not looked at", reason=error.message)
        except Exception as error:  # noqa: BLE001 - without this thread no fetch would ever be answered again
            log.error("a defect", error=type(error).__name__, where="looking what others changed")

    @staticmethod
    def _deliver(batch: list[Asked]) -> None:
        waiting: dict[Callable[[list[Asked]], None], list[Asked]] = {}
        for asked in batch:
            if asked.done is not None:
                waiting.setdefault(asked.done, []).append(asked)
        for done, heard in waiting.items():
            done(heard)
