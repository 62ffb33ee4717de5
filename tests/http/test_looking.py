"""Waiting for what outside stores hold: they are asked again while somebody waits."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import httpx2
import pytest

from service.core.reference import Reading
from service.core.secret import Secret
from service.http.looking import AT_ONCE
from service.http.waiting import Changes
from service.keeper.outside import key_of_reading, place_of
from tests.http.test_slow_stores import VALUES, furnish
from tests.rigs.fake_store import FakeStore, SlowStore
from tests.rigs.keywright import Keywright, running_keywright, wait_until

PLACE = "/environments/production"
LONGER = {"wait": 50}
"""Longer than anything here may take."""
MANY = 30


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.http.looking.EVERY", 0.1)
    monkeypatch.setattr("service.keeper.references.FRESH", 0.0)
    monkeypatch.setattr("service.keeper.references.FAILED", 0.0)


@pytest.fixture
def store() -> FakeStore:
    made = FakeStore()
    made.put("x", "one")
    return made


@pytest.fixture
def other() -> FakeStore:
    made = FakeStore()
    made.put("y", "one")
    return made


@pytest.fixture
def it(store: FakeStore, other: FakeStore) -> Iterator[Keywright]:
    with running_keywright(stores={"vault": store, "file": other}) as served:
        owner = furnish(served, "vault:x", "file:y")
        body = {"template": "<${vault/x}>"}
        assert owner.put(f"{PLACE}/variables/shop/T", json=body).status_code == 201
        yield served


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MANY) as made:
        yield made


def changes(it: Keywright) -> Changes:
    found: Changes = it._server.app.state.changes  # type: ignore[union-attr]
    return found


def waiters(it: Keywright) -> set[object]:
    return set().union(*list(changes(it)._waiting.values()))


def waiting(it: Keywright) -> int:
    return len(waiters(it))


def waits(it: Keywright, pool: ThreadPoolExecutor, path: str, count: int = 1) -> list[Future[httpx2.Response]]:
    """They wait for another answer than the present one."""
    known = {"If-None-Match": it.client().get(path).headers["etag"]}
    before = waiting(it)
    path += "&wait=50" if "?" in path else "?wait=50"  # longer than anything here may take
    asked = [pool.submit(it.client().get, path, headers=known) for _ in range(count)]
    wait_until(lambda: waiting(it) == before + count, "they do not wait")
    return asked


def looked(store: FakeStore) -> None:
    """A few more looks were taken."""
    enough = store.reads + 3
    wait_until(lambda: store.reads >= enough, "nobody looks")


@pytest.mark.parametrize(("path", "value"), [("vault/x", "two"), ("shop/T", "<two>")])
def test_who_waits_is_told_what_a_store_holds_now(
    it: Keywright, store: FakeStore, pool: ThreadPoolExecutor, path: str, value: str
) -> None:
    asked = waits(it, pool, f"{VALUES}/{path}", MANY)
    before = waiters(it)
    looked(store)
    assert waiters(it) == before, "somebody was woken for nothing"
    store.put("x", "two")
    answers = [future.result(30) for future in asked]
    assert {(answer.status_code, answer.json()["value"]) for answer in answers} == {(200, value)}


def test_each_place_is_looked_at_once_for_all_and_not_when_nobody_waits(
    it: Keywright, store: FakeStore, pool: ThreadPoolExecutor
) -> None:
    looking = changes(it)._looking
    asked = [*waits(it, pool, f"{VALUES}/vault/x", 10), *waits(it, pool, f"{VALUES}/shop/T", 10)]
    assert [list(places) for places in looking._places.values()] == [[("vault", "x", "")]]
    assert list(looking._rounds) == ["vault"]
    store.put("x", "two")
    for future in asked:
        assert future.result(30).status_code == 200
    wait_until(lambda: not looking._places, "it is looked at still")
    assert not looking._rounds
    waits(it, pool, f"{VALUES}/shop/L")
    assert not looking._places, "what is here is not looked for outside"
    it.client().put(f"{PLACE}/variables/shop/L", json={"value": "x"}).raise_for_status()


def test_each_of_many_places_has_its_turn(monkeypatch: pytest.MonkeyPatch, pool: ThreadPoolExecutor) -> None:
    monkeypatch.setattr("service.http.looking.EVERY", 0.0)  # as where a round takes longer than that
    store = FakeStore()
    many = [f"m{number}" for number in range(AT_ONCE * 3)]
    for name in many:
        store.put(name, "one")
    with running_keywright(stores={"vault": store}) as it:
        furnish(it, *(f"vault:{name}" for name in many))
        for name in (many[-1], many[0]):
            (asked,) = waits(it, pool, f"{VALUES}?folder=vault")
            store.put(name, f"changed {name}")
            assert f"changed {name}" in asked.result(30).text


def test_who_waits_goes_on_while_the_store_is_away(it: Keywright, store: FakeStore, pool: ThreadPoolExecutor) -> None:
    (asked,) = waits(it, pool, f"{VALUES}/vault/x")
    held = waiters(it)
    store.down = True
    looked(store)
    assert waiters(it) == held, "it was woken for nothing"
    before = store.reads
    it.client().patch(PLACE, json={"allowlist": ["127.0.0.0/8"]}).raise_for_status()  # concerns it: it is woken
    wait_until(lambda: store.reads > before, "nobody looks")
    assert it.client().get(f"{VALUES}/vault/x").status_code == 504
    looked(store)
    assert waiting(it) == 1
    store.put("x", "two")
    store.down = False
    assert asked.result(30).json()["value"] == "two"


def test_a_store_that_is_away_when_the_time_is_over_is_told(
    it: Keywright, store: FakeStore, pool: ThreadPoolExecutor
) -> None:
    known = {"If-None-Match": it.client().get(f"{VALUES}/vault/x").headers["etag"]}
    asked = pool.submit(it.client().get, f"{VALUES}/vault/x", params={"wait": 2}, headers=known)
    wait_until(lambda: waiting(it) == 1, "it does not wait")
    store.down = True
    assert asked.result(30).status_code == 504


def test_what_a_store_says_for_good_is_told(it: Keywright, store: FakeStore, pool: ThreadPoolExecutor) -> None:
    (asked,) = waits(it, pool, f"{VALUES}/vault/x")
    store.remove("x")
    answer = asked.result(30)
    assert (answer.status_code, answer.json()["type"]) == (424, "urn:keywright:problem:store-absent")


def test_who_knows_the_newer_reading_already_waits_on(
    it: Keywright, store: FakeStore, pool: ThreadPoolExecutor
) -> None:
    (former,) = waits(it, pool, f"{VALUES}/vault/x")
    store.put("x", "two")
    known = {"If-None-Match": it.client().get(f"{VALUES}/vault/x").headers["etag"]}
    latter = pool.submit(it.client().get, f"{VALUES}/vault/x", params=LONGER, headers=known)
    assert former.result(30).json()["value"] == "two"
    looked(store)
    wait_until(lambda: waiting(it) == 1, "it does not wait")
    assert not latter.done()
    store.put("x", "three")
    assert latter.result(30).json()["value"] == "three"


def test_a_store_that_hangs_holds_up_no_look_at_another(other: FakeStore, pool: ThreadPoolExecutor) -> None:
    slow = SlowStore()
    slow.put("x", "one")
    slow.go.set()
    with running_keywright(stores={"vault": slow, "file": other}, store_timeout=60) as it:
        furnish(it, "vault:x", "file:y")
        (hanging,), (asked,) = waits(it, pool, f"{VALUES}/vault/x"), waits(it, pool, f"{VALUES}/file/y")
        slow.go.clear()
        while slow.asked.acquire(blocking=False):
            pass
        assert slow.asked.acquire(timeout=30)
        other.put("y", "two")
        assert asked.result(30).json()["value"] == "two"
        slow.put("x", "two")
        slow.go.set()
        assert hanging.result(30).json()["value"] == "two"


def test_a_server_that_stops_does_not_wait_for_a_look() -> None:
    slow = SlowStore()
    slow.put("x", "one")
    slow.go.set()
    with ThreadPoolExecutor(1) as pool, running_keywright(stores={"vault": slow}, store_timeout=60) as it:
        furnish(it, "vault:x")
        (asked,) = waits(it, pool, f"{VALUES}/vault/x")
        slow.go.clear()
        while slow.asked.acquire(blocking=False):
            pass
        assert slow.asked.acquire(timeout=30)
        assert it._server
        it._server.stop()
        assert asked.result(30).status_code == 304
        slow.go.set()


def test_a_key_tells_its_place_and_not_what_was_read() -> None:
    place = ("vault", "secret/shop:db", "c0ffee")
    one = key_of_reading(place, Reading(Secret("hush"), "1"))
    assert place_of(one) == place
    assert one == key_of_reading(place, Reading(Secret("hush"), "2"))
    assert one != key_of_reading(place, Reading(Secret("hushed"), "1"))
    assert one != key_of_reading(("vault", "secret/shop:db", ""), Reading(Secret("hush"), "1"))
    assert "hush" not in repr(one)
