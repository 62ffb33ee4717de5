"""The recorder: fetches are evaluated in memory, recorded together, and only then answered.

    asked ──► evaluated on the snapshot ──► waits for the batch ──► recorded on the snapshot's epoch ──► answered
                     ▲                                                     │
                     └── caught up, evaluated again ◄── the epoch moved: nothing was recorded

After the second move the batch is evaluated while `head` is held, so that nobody starves. What appends no event (a
poll that tells "not changed", an evaluation that ends in a question to an outside store) joins the same look at the
epoch. If the ledger cannot record, nothing of the batch is answered: every one of it is Unrecorded.

Any thread may `fetch`; it waits for the disk itself. An event loop evaluates what comes, and has everything that came
in one turn of it recorded together: `record_at_once`, in its own thread, where that is a matter of microseconds (an
embedded ledger, a quick disk, nobody else writing, an epoch that stands); else `submit`, for a thread of the
recorder's own, which takes all that came while the batch before was being written.
"""

import queue
import threading
import time
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any

import structlog

from service.core.access import Stranger
from service.core.errors import Unavailable
from service.core.event import Event
from service.keeper.asked import Asked, Unready
from service.keeper.snapshot import Key, Snapshot, View
from service.keeper.strangers import Strangers, left_out, refused
from service.ledger import state
from service.ledger.ledger import Ledger, Transaction

log = structlog.get_logger("recorder")

TRIES = 2
"""Evaluations on the snapshot, before one while `head` is held."""
MOST = 1000
"""Fetches in one batch, about."""
LONGEST_QUEUE = 20_000
"""Fetches that wait to be recorded, at most; further ones are refused."""
LOOKS_EVERY = 1.0
"""Seconds between two looks at the epoch while nobody fetches: others may have changed what somebody waits for."""
BREATH = 0.05
"""Seconds between two looks because of what was changed: many changes at once are looked at together."""
SLOW = 0.02
"""Seconds that a disk may take for an event loop to wait for it by itself…"""
PATIENT_FOR = 2.0
"""…or else it does not for so many seconds."""

Over = Callable[[list[Asked]], None]
"""Hears of a batch that is recorded, or failed, in a thread of the recorder's."""


class Recorder:
    """Records for one process, and keeps its snapshot."""

    def __init__(self, ledger: Ledger) -> None:
        self.snapshot = Snapshot()
        self.strangers = Strangers()
        self._ledger = ledger
        self._behind = True
        self._writing = threading.Lock()
        self._starting = threading.Lock()
        self._waiting: queue.SimpleQueue[tuple[list[Asked], Over] | None] = queue.SimpleQueue()
        self._submitted = self._taken = 0
        self._patient_until = 0.0
        self._looked = 0.0
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._listeners: list[Callable[[Collection[Key] | None], None]] = []
        self.records = True
        """False from a failure to record until it goes again."""

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
            self._guarded("how many requests without a valid token came is not recorded", self.tell_strangers)

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

    # -- for event loops

    def evaluate(self, asked: Asked) -> None:
        """Evaluate it now, if the snapshot is there; if not, it is evaluated when it is recorded."""
        if not self._behind and self.snapshot.lock.acquire(blocking=False):
            try:
                asked.evaluate(View(self.snapshot, self._ledger.now()))
            finally:
                self.snapshot.lock.release()

    def record_at_once(self, batch: list[Asked]) -> bool:
        """Record what was evaluated, in this thread. False: that would take long, and nothing was recorded."""
        epoch = self.snapshot.epoch
        if self._behind or epoch is None or not self._writing.acquire(blocking=False):
            return False
        try:
            began = time.monotonic()
            if began < self._patient_until or any(asked.epoch != epoch for asked in batch):
                return False
            recorded = self._ledger.record_at_once(self._events(batch), epoch)
            if time.monotonic() - began > SLOW:
                self._patient_until = time.monotonic() + PATIENT_FOR
            if recorded is False:
                self._behind = True
            self.records = self.records or bool(recorded)
            return bool(recorded)
        except Exception as failure:  # noqa: BLE001 - each of them raises it where it was asked
            self._fail(batch, failure)
            return True
        finally:
            self._writing.release()

    def submit(self, batch: list[Asked], over: Over) -> None:
        """Record these with whatever else is waiting; `over` hears of it. Raises Unavailable: too many wait."""
        if self._thread is None:
            self.start()
        if self._submitted - self._taken >= LONGEST_QUEUE:
            raise Unavailable("more is being fetched than can be recorded; ask again in a second")
        self._submitted += len(batch)
        self._waiting.put((batch, over))

    # -- recording

    def write(self, batch: list[Asked]) -> None:
        """Record a batch: afterwards each has its value, or what it was refused with."""
        try:
            with self._writing:
                self._write(batch)
            self.records = True
        except Exception as failure:  # noqa: BLE001 - each of them raises it where it was asked
            self._fail(batch, failure)

    def _fail(self, batch: list[Asked], failure: Exception) -> None:
        self.records = self.records and not isinstance(failure, Unavailable)
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
                    events.append(refused(self._ledger.now(), asked.error))
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

    # -- the thread

    def _run(self) -> None:
        while not self._stopped or not self._waiting.empty():
            submitted = self._next(self._breath() if self._behind else LOOKS_EVERY)
            if submitted:
                self.write([asked for batch, _ in submitted for asked in batch])
                for batch, over in submitted:
                    self._guarded("telling that a batch is recorded", partial(over, batch))
            elif (self._behind and not self._breath()) or not (self._behind or self._ledger.embedded):
                self._guarded("the ledger was not looked at", self._look_around)
            if not self.records and not submitted:
                self._guarded("the ledger still cannot record", self._try)
            if self.strangers.due():
                self._guarded("how many requests without a valid token came is not recorded yet", self.tell_strangers)

    def _guarded(self, what: str, act: Callable[[], object]) -> None:
        """Without this thread no fetch would ever be answered again: nothing that fails in it ends it."""
        try:
            act()
        except Unavailable as error:
            log.warning(what, reason=error.message)
        except Exception as error:  # noqa: BLE001 - said, and survived
            log.error("a defect", error=type(error).__name__, where=what)

    def _breath(self) -> float:
        """Seconds until the next look may be taken. Whoever fetches does not wait for it."""
        return max(0.0, self._looked + BREATH - time.monotonic())

    def _try(self) -> None:
        """Can it record again? Seen without anybody's fetch: whoever watches may send none before."""
        with self._ledger.holding():
            pass
        self.records = True

    def _look_around(self) -> None:
        if self._behind or self._ledger.epoch() != self.snapshot.epoch:
            self._looked = time.monotonic() + LOOKS_EVERY  # that is when, if the ledger does not answer
            self.look()
            self._looked = time.monotonic()

    def _next(self, seconds: float) -> list[tuple[list[Asked], Over]]:
        """Everything that waits; nothing, if somebody changed something, or nobody came for a while."""
        try:
            first = self._waiting.get(timeout=seconds)
        except queue.Empty:
            return []
        submitted = [first] if first is not None else []
        count = len(first[0]) if first is not None else 0
        while count < MOST:
            try:
                more = self._waiting.get_nowait()
            except queue.Empty:
                break
            if more is not None:
                submitted.append(more)
                count += len(more[0])
        self._taken += count
        return submitted
