"""When a credential is given again, asked for again, and given although nobody answers. The clock is the test's."""

import threading
from datetime import UTC, datetime

import pytest
from keywright import Absent, Credential, Invalid, StoreFailed, Unauthenticated, Unavailable, Unreachable
from keywright.cache import PAUSE, Answer, Cache
from keywright.credential import from_wire

from tests.client.server import credential, entry

NOON = 1_800_000_000.0


def until(moment: float, **more: str) -> dict:
    return entry(**more) | {"good_until": datetime.fromtimestamp(moment, UTC).isoformat()}  # type: ignore[arg-type]


class Origin:
    """What a server would say; `skew` is how far its clock is ahead of ours."""

    def __init__(self) -> None:
        self.now = NOON
        self.skew = 0.0
        self.etags: list[str | None] = []
        self.entries = [until(NOON + 3600)]
        self.unchanged = False
        self.error: Exception | None = None

    def ask(self, name: str, etag: str | None) -> Answer:
        self.etags.append(etag)
        if self.error is not None:
            raise self.error
        if etag is not None and self.unchanged:
            return Answer(None, etag, self.now + self.skew)
        told = from_wire(credential(*self.entries, connection=name))
        return Answer(told, f'"{len(self.etags)}"', self.now + self.skew)


@pytest.fixture
def origin() -> Origin:
    return Origin()


@pytest.fixture
def cache(origin: Origin) -> Cache:
    return Cache(origin.ask, 30.0, lambda: origin.now)


def test_it_is_given_again_until_max_age_and_then_revalidated(origin: Origin, cache: Cache) -> None:
    first = cache.get("shop/db")
    origin.now += 29.9
    assert cache.get("shop/db") is first
    assert origin.etags == [None]
    origin.now += 0.2
    origin.unchanged = True
    assert cache.get("shop/db") is first
    assert origin.etags == [None, '"1"']
    origin.now += 29.9
    assert cache.get("shop/db") is first
    assert len(origin.etags) == 2


def test_each_connection_has_its_own(origin: Origin, cache: Cache) -> None:
    assert (cache.get("a").connection, cache.get("b").connection) == ("a", "b")


def test_fresh_always_asks(origin: Origin, cache: Cache) -> None:
    cache.get("shop/db")
    cache.get("shop/db", fresh=True)
    assert origin.etags == [None, '"1"']


def test_it_is_never_given_again_beyond_good_until(origin: Origin, cache: Cache) -> None:
    origin.entries = [until(NOON + 10)]
    cache.get("shop/db")
    origin.now += 10
    cache.get("shop/db")
    assert origin.etags == [None, None]


def test_good_until_is_judged_by_the_servers_clock(origin: Origin, cache: Cache) -> None:
    origin.skew = 7200.0
    origin.entries = [until(NOON + 7200 + 10)]
    cache.get("shop/db")
    origin.now += 9
    cache.get("shop/db")
    assert len(origin.etags) == 1
    origin.now += 2
    cache.get("shop/db")
    assert len(origin.etags) == 2


def test_a_clock_set_back_leads_to_asking(origin: Origin, cache: Cache) -> None:
    cache.get("shop/db")
    origin.now -= 1000
    cache.get("shop/db")
    assert len(origin.etags) == 2


def test_past_half_of_its_promise_the_whole_is_asked_for(origin: Origin, cache: Cache) -> None:
    origin.unchanged = True
    cache.get("shop/db")
    origin.now = NOON + 1799
    cache.get("shop/db")
    origin.now = NOON + 1831
    cache.get("shop/db")  # in full: the half is counted from here on
    origin.now = NOON + 1862
    cache.get("shop/db")
    assert origin.etags == [None, '"1"', None, '"3"']


@pytest.mark.parametrize(
    "error", [Unreachable("away"), Unavailable("busy"), StoreFailed("vault away", slug="store-unreachable")]
)
def test_in_an_outage_the_last_answer_is_given_while_promised(origin: Origin, cache: Cache, error: Exception) -> None:
    assert not cache.get("shop/db").stale
    origin.error = error
    origin.now = NOON + 3599
    told = cache.get("shop/db")
    assert told.stale
    assert told.best.password
    origin.now = NOON + 3601
    with pytest.raises(type(error)):
        cache.get("shop/db")
    origin.error = None
    assert not cache.get("shop/db").stale


def test_in_an_outage_entries_past_their_promise_are_left_out(origin: Origin, cache: Cache) -> None:
    origin.entries = [until(NOON + 60), until(NOON + 3600, state="next", password="second")]
    assert len(cache.get("shop/db").entries) == 2
    origin.error, origin.now = Unreachable("away"), NOON + 61
    told = cache.get("shop/db")
    assert [e.password for e in told.entries] == ["second"]


def test_a_server_that_is_away_is_left_alone_briefly(origin: Origin, cache: Cache) -> None:
    cache.get("shop/db")
    origin.error, origin.now = Unreachable("away"), NOON + 31
    assert cache.get("shop/db").stale
    origin.now += PAUSE - 0.1
    assert cache.get("shop/db").stale
    assert len(origin.etags) == 2
    origin.error, origin.now = None, origin.now + 0.2
    assert not cache.get("shop/db").stale
    assert len(origin.etags) == 3


@pytest.mark.parametrize(
    "error", [Unauthenticated("revoked"), Absent("gone"), Invalid("no"), StoreFailed("gone", slug="store-absent")]
)
def test_a_refusal_forgets_what_was_kept(origin: Origin, cache: Cache, error: Exception) -> None:
    cache.get("shop/db")
    origin.error, origin.now = error, NOON + 31
    with pytest.raises(type(error)):
        cache.get("shop/db")
    origin.error = Unreachable("away")
    with pytest.raises(Unreachable):
        cache.get("shop/db")


def test_while_one_asks_a_server_that_did_not_answer_the_others_do_not_wait(origin: Origin, cache: Cache) -> None:
    cache.get("shop/db")
    origin.error, origin.now = Unreachable("away"), NOON + 31
    cache.get("shop/db")
    origin.now += PAUSE + 1
    asking, answer = threading.Event(), threading.Event()
    ask = origin.ask

    def slow(name: str, etag: str | None) -> Answer:
        asking.set()
        assert answer.wait(20)
        return ask(name, etag)

    cache._ask = slow
    one = threading.Thread(target=cache.get, args=("shop/db",))
    one.start()
    try:
        assert asking.wait(20)
        assert cache.get("shop/db").stale  # and does not hang
    finally:
        answer.set()
        one.join(20)


def test_nothing_kept_means_the_error(origin: Origin, cache: Cache) -> None:
    origin.error = Unreachable("away")
    with pytest.raises(Unreachable):
        cache.get("shop/db")


def test_without_good_until_nothing_is_promised(origin: Origin, cache: Cache) -> None:
    origin.entries = [entry() | {"good_until": None}]
    cache.get("shop/db")
    origin.now += 29
    assert isinstance(cache.get("shop/db"), Credential)
    origin.error, origin.now = Unreachable("away"), NOON + 31
    with pytest.raises(Unreachable):
        cache.get("shop/db")
