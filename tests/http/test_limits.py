"""Limits: how much one address or one token may ask for, and how much is worked on at once."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2

from service.http.envelope import Envelope
from service.http.limits import BURST, Limits, Rate
from service.http.reception import BUSY, Reception
from tests.http.raw import sent
from tests.rigs.fake_store import FakeStore, SlowStore
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.listening import PATIENCE, echo, listening

GET = b"GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n"


class Clock:
    """Stands still unless it is turned."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_and_then_so_many_a_second() -> None:
    clock = Clock()
    rate = Rate(10, clock)
    assert [rate.spend("a") for _ in range(10 * BURST + 1)] == [True] * 10 * BURST + [False]
    assert rate.spend("b")
    clock.now += 0.1
    assert [rate.spend("a"), rate.spend("a")] == [True, False]
    clock.now += 1000
    assert [rate.spend("a") for _ in range(10 * BURST + 1)] == [True] * 10 * BURST + [False]


def test_a_rate_below_one_a_second_allows_one_at_a_time() -> None:
    clock = Clock()
    rate = Rate(0.1, clock)
    assert [rate.spend("a"), rate.spend("a")] == [True, False]
    clock.now += 10
    assert rate.spend("a")


def test_no_more_addresses_are_known_than_fit() -> None:
    clock = Clock()
    rate = Rate(1, clock, most=100)
    for number in range(1000):
        assert rate.spend(number)
        assert len(rate._full_at) <= 100
    assert rate.spend(999), "four more of its burst"
    for _ in range(3):
        rate.spend(999)
    assert not rate.spend(999), "who came lately is remembered"


def test_an_ipv6_address_is_its_network() -> None:
    limits = Limits(address=1, clock=Clock())
    assert [limits.address(f"2001:db8::{number}") for number in range(BURST + 1)] == [True] * BURST + [False]
    assert limits.address("2001:db8:0:1::1")
    assert limits.address("::ffff:192.0.2.1")


def test_what_is_over_the_rate_of_an_address_is_turned_away() -> None:
    with listening(Envelope(echo, Reception(lambda *_: None, Limits(address=0.001)))) as it:
        assert it.sent(GET).status == 200
        answer = it.sent(GET)
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.json["type"] == "urn:keywright:problem:too-many"
        assert answer.headers["cache-control"] == "no-store"
        assert it.sent(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").status == 200, "who watches is not turned away"


def test_what_is_over_the_rate_of_a_token_is_turned_away() -> None:
    one, other = (GET[:-2] + b"Authorization: Bearer %b\r\n\r\n" % name for name in (b"one", b"other"))
    with listening(Envelope(echo, Reception(lambda *_: None, Limits(caller=0.001)))) as it:
        assert [it.sent(one).status, it.sent(one).status, it.sent(other).status] == [200, 429, 200]


def test_a_token_is_one_however_it_is_spelt_and_whichever_way_it_takes() -> None:
    with running_keywright(caller_rate=1) as it:
        target = "/api/v1/environments/none/values/A"  # the fast lane's; with a blank more, or another query, not
        spelt = [f"{scheme}{blanks}{it.owner}" for scheme in ("Bearer", "bEARER") for blanks in (" ", "  ", " " * 9)]
        asked = [(each, query) for each in spelt for query in ("", "?wait=0")]
        statuses = [sent(it.url, _get(target + query, each))[0] for each, query in asked]
        assert statuses[:BURST] == [404] * BURST
        assert statuses[-1] == 429
        assert len(it._server.app.state.reception.limits._caller._full_at) == 1  # type: ignore[union-attr]


def test_no_header_more_makes_another_caller() -> None:
    token = b"Authorization: Bearer one\r\n"
    for target, further in (
        (b"/api/x", b"X-Vault-Token: %d\r\n"),
        (b"/api/x", b"X-Vault-Token:\r\nX-Number: %d\r\n"),
        (b"/v1/x", b"X-Vault-Token:\r\nX-Number: %d\r\n"),
        (b"/v1/x", b"X-Vault-Token: one\r\nX-Number: %d\r\n"),
        (b"/api/x", b"Authorization:\r\nX-Number: %d\r\n"),
    ):
        with listening(Envelope(echo, Reception(lambda *_: None, Limits(caller=0.001)))) as it:
            asked = [b"GET %b HTTP/1.1\r\nHost: x\r\n%b%b\r\n" % (target, token, further % n) for n in range(2)]
            assert [it.sent(each).status for each in asked] == [200, 429], (target, further)


def test_the_token_of_the_vault_door_is_counted() -> None:
    one, other = (b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Vault-Token: %b\r\n\r\n" % name for name in (b"one", b"other"))
    with listening(Envelope(echo, Reception(lambda *_: None, Limits(caller=0.001)))) as it:
        assert [it.sent(one).status, it.sent(one).status, it.sent(other).status] == [200, 429, 200]


def _get(target: str, authorization: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode()


def test_who_guesses_is_turned_away_and_who_is_known_is_not() -> None:
    with running_keywright(refused_rate=1) as it:
        guesses = [_asked(it, "kw_0123456789abcdef_" + "x" * 43) for _ in range(BURST * 4)]
        assert guesses[:BURST] == [401] * BURST
        assert 429 in guesses
        assert _asked(it, it.owner) == 200
        status, headers, _ = sent(it.url, _me("nonsense"))
        assert status == 401 or headers["retry-after"] == "1"


def _asked(it: Keywright, token: str) -> int:
    return sent(it.url, _me(token))[0]


def _me(token: str) -> bytes:
    return b"GET /api/v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n\r\n" % token.encode()


def test_more_than_may_be_worked_on_at_once_is_turned_away_whatever_its_query_says() -> None:
    let = threading.Event()
    asked = threading.Semaphore(0)

    async def works(scope, receive, send):  # type: ignore[no-untyped-def]
        if scope["path"] == "/api/held":
            asked.release()
            while not let.is_set():
                await asyncio.sleep(0.01)
        await echo(scope, receive, send)

    def get(target: bytes) -> bytes:
        return b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target

    with listening(Envelope(works, Reception(lambda *_: None, Limits(requests=3)))) as it:
        held = [it.way() for _ in range(3)]
        for way, query in zip(held, (b"", b"?wait=30", b"?xwait="), strict=True):
            way.say(get(b"/api/held" + query))
        for _ in range(3):
            assert asked.acquire(timeout=PATIENCE)
        for query in (b"", b"?wait=0", b"?wait=1", b"?xwait="):
            answer = it.sent(get(b"/api/x" + query))
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert it.sent(get(b"/healthz")).status == 200
        let.set()
        assert {way.answer().status for way in held} == {200}
        assert it.sent(get(b"/api/x")).status == 200


def test_who_waits_is_counted_before_and_after() -> None:
    with running_keywright(requests=10) as it, ThreadPoolExecutor(12) as pool:
        limits: Limits = it._server.app.state.reception.limits  # type: ignore[union-attr]
        owner = it.client()
        owner.post("/environments", json={"name": "production"}).raise_for_status()
        place = "/environments/production/variables/A"
        owner.put(place, json={"value": "one"}).raise_for_status()
        for value, target in (("two", "values/A?"), ("three", "values?names=A&")):  # the first by the fast lane
            known = {"If-None-Match": owner.get(f"/environments/production/{target}").headers["etag"]}
            waiters = [it.client() for _ in range(12)]

            def wait(client: httpx2.Client, target: str, known: dict[str, str]) -> int:
                path = f"/environments/production/{target}"
                return client.get(f"{path}wait=50", headers=known).status_code

            held = []
            for number, waiter in enumerate(waiters):
                held.append(pool.submit(wait, waiter, target, known))
                wait_until(lambda number=number: _waiting(it) == number + 1, "it does not wait")  # type: ignore[misc]
            wait_until(lambda: limits.working == 0, "who waits is counted")
            limits.working = 10  # as if so many were worked on
            for query in ("wait=1", "wait=50"):
                answer = owner.get(f"/environments/production/values/A?{query}", headers=known)
                assert answer.status_code == 503
            limits.working = 0
            owner.put(place, json={"value": value}).raise_for_status()
            assert [future.result(30) for future in held] == [200] * 12
            wait_until(lambda: limits.working == 0, "who was answered is counted")


def _waiting(it: Keywright) -> int:
    return len(set().union(*list(it._server.app.state.changes._waiting.values())))  # type: ignore[union-attr]


def test_what_the_fast_lane_hands_on_is_one_request() -> None:
    store = FakeStore()
    store.put("a", "from outside")
    with running_keywright(stores={"vault": store}, address_rate=1000, caller_rate=1000) as it:
        owner = it.client()
        owner.post("/environments", json={"name": "production", "stores": {"vault": ["*"]}}).raise_for_status()
        owner.put("/environments/production/variables/A", json={"reference": "vault:a"}).raise_for_status()
        app = it._server.app  # type: ignore[union-attr]
        given: list[str] = []
        new_id, app.state.reception.new_id = app.state.reception.new_id, lambda: given.append(new_id()) or given[-1]
        limits = app.state.reception.limits
        rates = [limits._address, limits._caller]
        spent: list[object] = []
        for rate in rates:
            rate.spend = lambda key: spent.append(key) or True
        answer = owner.get("/environments/production/values/A")
        assert answer.json()["value"] == "from outside"
        assert given == [answer.headers["x-request-id"]]
        assert len(spent) == len(rates)


def test_the_fast_lane_and_the_application_count_together() -> None:
    slow = SlowStore()
    with running_keywright(stores={"vault": slow}, store_timeout=60, requests=10) as it:
        owner = it.client()
        owner.post("/environments", json={"name": "production", "stores": {"vault": ["*"]}}).raise_for_status()
        put = owner.put("/environments/production/variables/A", json={"reference": "vault:a"})
        assert put.status_code == 201
        targets = ("values/A", "values?names=A") * 5  # the first ones take the lane
        with ThreadPoolExecutor(10) as pool:
            held = [pool.submit(_fetched, it, target) for target in targets]
            try:
                wait_until(lambda: _waited_for(it) == 10, "they are not all worked on")
                answer = owner.get("/me")
                assert (answer.status_code, answer.json()["detail"]) == (503, BUSY[3])
                assert owner.get("/environments/production/values/A").status_code == 503
            finally:
                slow.go.set()
            assert [future.result() for future in held] == [424] * 10  # it holds nothing
        assert owner.get("/me").status_code == 200


def _fetched(it: Keywright, target: str) -> int:
    with httpx2.Client(headers={"Authorization": f"Bearer {it.owner}"}, timeout=90, trust_env=False) as own:
        return own.get(f"{it.url}/api/v1/environments/production/{target}").status_code


def _waited_for(it: Keywright) -> int:
    return sum(len(flight.looks) for flight in list(it.service.keeper.references._flights.values()))
