"""Reading references: once at a time per location, remembered for a moment, in threads of their store."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from service.core.environment import Environment
from service.core.errors import StoreAbsent, StoreBusy, StoreError, StoreRefused, StoreUnreachable
from service.core.reference import Reading, Reference
from service.keeper.crews import QUEUE, THREADS, Crew
from service.keeper.references import FAILED, FRESH, Look, References, Sought, Unread
from service.keeper.shelf import Shelf
from tests.rigs.fake_store import FakeStore, SlowStore


class Clock:
    """Monotonic time that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


WALL = Environment("e", "production", {}, (), 1, datetime.now(UTC), datetime.now(UTC))
X = Reference("vault", "x", "key")


def test_a_reading_is_used_again_for_a_moment_and_states_its_age() -> None:
    store, clock = FakeStore(), Clock()
    references = References({"vault": store}, clock)
    store.put("x", "one")
    references.read([X])
    store.put("x", "two")
    clock.now += FRESH - 0.01
    held = references.read([X, Reference("vault", "x", "other")])[X]  # keys of one location are one reading
    assert (held.reading.value.reveal(), held.at, store.reads) == ("one", 100.0, 1)
    clock.now += 0.02
    held = references.read([X])[X]
    assert (held.reading.value.reveal(), held.at, store.reads) == ("two", clock.now, 2)
    store.put("x", "three")
    references.forget(X)
    assert references.read([X])[X].reading.value.reveal() == "three"
    assert references.now(X).value.reveal() == "three"


def test_a_failure_is_remembered_for_a_second() -> None:
    store, clock = FakeStore(), Clock()
    references = References({"vault": store}, clock)
    store.down = True
    for _ in range(3):
        with pytest.raises(StoreUnreachable):
            references.read([X])
    assert store.reads == 1
    store.down = False
    store.put("x", "one")
    clock.now += FAILED - 0.01
    with pytest.raises(StoreUnreachable):
        references.read([X])
    clock.now += 0.02
    assert references.read([X])[X].reading.value.reveal() == "one"


@pytest.mark.parametrize("failing", [False, True])
def test_whoever_asks_meanwhile_waits_for_the_same_reading(failing: bool) -> None:
    store = SlowStore()
    references = References({"vault": store}, Clock())
    if not failing:
        store.put("x", "one")

    def read(_: int) -> str:
        try:
            return references.read([X])[X].reading.value.reveal()
        except StoreError as error:
            return type(error).__name__

    with ThreadPoolExecutor(8) as pool:
        reading = [pool.submit(read, number) for number in range(8)]
        assert store.asked.acquire(timeout=10)
        store.go.set()
        assert {future.result(10) for future in reading} == {"StoreAbsent" if failing else "one"}
    assert store.reads == 1


def test_a_store_that_breaks_down_leaves_nobody_waiting() -> None:
    class Broken(FakeStore):
        def read(self, reference: Reference) -> Reading:
            raise ZeroDivisionError

    references = References({"vault": Broken()}, Clock())
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            references.read([X])


# Several stores, and several references at once.


@pytest.fixture(name="slow")
def slow_fixture() -> Iterator[SlowStore]:
    store = SlowStore()
    yield store
    store.go.set()


def begin(references: References, *names: str, over: Callable[[], None] = lambda: None) -> Look:
    """What a fetch of these begins."""
    readings = references.readings()
    with pytest.raises(Unread) as unread:
        readings.require([Sought(Reference.parse(name)) for name in names])
    return unread.value.begin(over)


def arrived(store: SlowStore, readings: int) -> None:
    """So many readings have come to the store."""
    for _ in range(readings):
        assert store.asked.acquire(timeout=10)


def test_a_store_that_hangs_takes_no_threads_of_another(slow: SlowStore) -> None:
    other = FakeStore()
    other.put("x", "one")
    references = References({"vault": slow, "file": other})
    looks = [begin(references, f"vault:{number}") for number in range(THREADS + QUEUE)]
    arrived(slow, THREADS)
    assert references.read([Reference("file", "x")])[Reference("file", "x")].reading.value.reveal() == "one"
    with pytest.raises(StoreBusy, match="more is asked of this store"):
        references.read([Reference("vault", "one-more")])
    assert not any(look.is_over for look in looks)
    assert not slow.asked.acquire(blocking=False)  # no more threads than that


def test_the_references_of_one_fetch_are_read_at_the_same_time(slow: SlowStore) -> None:
    for name in "abc":
        slow.put(name, name)
    references = References({"vault": slow})
    wanted = [Reference("vault", name) for name in "abc"]
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(references.read, wanted)
        arrived(slow, 3)
        slow.go.set()
        assert {held.reading.value.reveal() for held in read.result(10).values()} == {"a", "b", "c"}


def test_what_is_refused_does_not_wait_for_the_others(slow: SlowStore) -> None:
    other = FakeStore()
    other.refused.add("x")
    references = References({"vault": slow, "file": other})
    over = threading.Event()
    begin(references, "vault:x", "file:x", over=over.set)
    assert over.wait(5)  # less than the limit
    with pytest.raises(StoreRefused):
        references.read([Reference("vault", "x"), Reference("file", "x")])


def test_nobody_waits_longer_than_the_limit(slow: SlowStore) -> None:
    clock = Clock()
    references = References({"vault": slow}, clock, limit=0.05)
    with pytest.raises(StoreUnreachable, match=r"did not answer within 0\.05 s"):
        references.read([X])
    clock.now += 1
    # The same reading is out still: it is not begun once more, and nobody else waits for it.
    with pytest.raises(StoreUnreachable, match=r"has not answered for 0\.05 s"):
        references.read([X])
    arrived(slow, 1)
    assert not slow.asked.acquire(blocking=False)
    slow.put("x", "one")
    slow.go.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(references, "_limit", 10)
        while references._flights:
            threading.Event().wait(0.01)
        assert references.read([X])[X].reading.value.reveal() == "one"


def test_readings_that_nobody_waits_for_are_not_begun(slow: SlowStore) -> None:
    references = References({"vault": slow})
    hanging = [begin(references, f"vault:{number}") for number in range(THREADS)]
    arrived(slow, THREADS)
    first, second = begin(references, "vault:later"), begin(references, "vault:later", "vault:last")
    assert len(references._flights) == THREADS + 2
    first.end()
    assert ("vault", "later", "") in references._flights  # the other waits for it
    second.end()
    assert len(references._flights) == THREADS
    for look in hanging:
        look.end()
    slow.go.set()
    while references._flights:
        threading.Event().wait(0.01)
    assert slow.reads == THREADS


def test_who_waits_hears_once_and_without_a_thread(slow: SlowStore) -> None:
    references, over = References({"vault": slow}), threading.Semaphore(0)
    before = threading.active_count()
    looks = [begin(references, "vault:x", "vault:y", over=over.release) for _ in range(500)]
    assert threading.active_count() <= before + 2
    slow.go.set()
    for _ in looks:
        assert over.acquire(timeout=10)
    assert not over.acquire(blocking=False)
    assert slow.reads == 2


def test_what_is_written_is_not_overtaken_by_a_reading_from_before(slow: SlowStore) -> None:
    references = References({"vault": slow}, Clock())
    slow.put("x", "one")
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(references.read, [X])
        arrived(slow, 1)
        references.forget(X)
        slow.go.set()
        before.result(10)
    slow.put("x", "two")
    assert references.read([X])[X].reading.value.reveal() == "two"


def test_a_credential_is_not_given_what_was_read_for_the_one_before() -> None:
    store = FakeStore()
    references = References({"vault": store}, Clock())

    def password(credential: str) -> str:
        readings, sought = references.readings(), Sought(Reference("vault", "x"), credential)
        try:
            readings.require([sought])
        except Unread as unread:
            unread.prepare()
        return readings.read(sought, WALL).value.reveal()

    store.put("x", "one")
    assert password("first") == "one"
    store.put("x", "two")
    assert (password("first"), password("second")) == ("one", "two")


def test_the_key_that_somebody_else_asks_for_is_not_told() -> None:
    references = References({"vault": FakeStore()}, Clock())
    for key in ("theirs", "mine"):
        with pytest.raises(StoreAbsent) as told:
            references.read([Reference("vault", "x", key)])
        assert "vault:x" in told.value.message
        assert "theirs" not in told.value.message


def test_a_crew_without_threads_refuses() -> None:
    def none(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew = Crew("vault")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", none)
        assert not crew.offer(lambda: None)
    done = threading.Event()
    assert crew.offer(done.set)
    assert done.wait(10)


# What is remembered.


def test_a_shelf_is_bounded_by_number_and_by_bytes_and_drops_the_oldest() -> None:
    clock = Clock()
    shelf: Shelf[int, str] = Shelf(3, 100, clock)
    for number in range(5):
        shelf.put(number, "x", clock.now + 10, 10)
    assert [shelf.get(number) for number in range(5)] == [None, None, "x", "x", "x"]
    shelf.put(5, "large", clock.now + 10, 85)
    assert [shelf.get(number) for number in range(2, 6)] == [None, None, "x", "large"]
    shelf.put(6, "too large", clock.now + 10, 101)
    assert (shelf.get(6), shelf.get(5)) == (None, "large")
    shelf.put(5, "small", clock.now + 10, 1)
    shelf.put(7, "fits", clock.now + 10, 85)
    assert (shelf.get(4), shelf.get(5), shelf.get(7)) == ("x", "small", "fits")
    shelf.close()
    assert len(shelf) == 0
    shelf.put(8, "late", clock.now + 10, 1)
    assert len(shelf) == 0


def test_what_is_over_its_time_does_not_stay_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.keeper.shelf.SWEEP_EVERY", 0.01)
    store, clock = FakeStore(), Clock()
    store.put("x", "one")
    references = References({"vault": store}, clock)
    references.read([X])
    assert len(references._recent) == 1
    clock.now += FRESH
    while len(references._recent):  # nobody asks for it any more
        threading.Event().wait(0.01)
