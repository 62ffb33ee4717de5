"""The fast lane, by its bytes: it answers as the routes do, among other requests, and keeps the limits."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from service.http import problems
from service.http.fetching import Unanswered, tell
from service.http.limits import BURST
from service.http.wire import LONGEST_SAME
from service.keeper.asked import Asked
from tests.rigs.fake_store import FakeStore
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.listening import PATIENCE, Answer, Way

PLACE = "/api/v1/environments/production"
VALUE, CREDENTIAL = f"{PLACE}/values/shop/HOST", f"{PLACE}/credentials/shop/db"
COMMON = ("cache-control", "x-content-type-options", "content-security-policy", "referrer-policy", "content-type")


@contextmanager
def way(it: Keywright) -> Iterator[Way]:
    place = urlsplit(it.url)
    assert place.hostname
    with socket.create_connection((place.hostname, place.port or 0), timeout=PATIENCE) as connected:
        yield Way(connected)


def get(target: str, token: str, *more: str, version: str = "1.1") -> bytes:
    lines = [f"GET {target} HTTP/{version}", "Host: x", f"Authorization: Bearer {token}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def once(it: Keywright, request: bytes) -> Answer:
    with way(it) as made:
        made.say(request)
        return made.answer()


def plain(answer: Answer) -> Any:
    """What it told, without what is of the moment."""
    return answer.status, {k: v for k, v in answer.headers.items() if k in (*COMMON, "etag")}, answer.body


def hosted(it: Keywright) -> None:
    owner = it.client()
    assert owner.post("/environments", json={"name": "production"}).status_code == 201
    assert owner.put("/environments/production/variables/shop/HOST", json={"value": "db"}).status_code == 201


@pytest.mark.parametrize("target", [VALUE, f"{VALUE}?wait=0", "/api/v1/me"])
def test_a_proxy_that_is_trusted_tells_where_a_request_comes_from(target: str) -> None:
    """Whichever way it takes, and each request of a connection by itself."""
    with running_keywright(trusted_proxies="127.0.0.0/8") as it:
        hosted(it)
        grant = {"level": "use", "kind": "everything"}
        token = it.token("inside", grant, allowlist=["192.0.2.0/24"])
        for _ in range(2):
            with way(it) as made:
                for said, status in (
                    ("192.0.2.7", 200),
                    ("198.51.100.1", 403),
                    ("192.0.2.7, 198.51.100.1", 403),
                    ("198.51.100.1, 192.0.2.7", 200),
                    ("192.0.2.7, nonsense", 403),
                    ("192.0.2.7, 127.0.0.9", 200),
                    ("192.0.2.7", 200),
                ):
                    made.say(get(target, token, f"X-Forwarded-For: {said}"))
                    assert made.answer().status == status, said
        assert once(it, get(target, token)).status == 403  # the proxy itself is not on the allowlist
    with running_keywright(trusted_proxies="10.0.0.0/8") as it:
        hosted(it)
        token = it.token("inside", grant, allowlist=["192.0.2.0/24"])
        assert once(it, get(target, token, "X-Forwarded-For: 192.0.2.7")).status == 403


@pytest.mark.parametrize("target", [VALUE, CREDENTIAL])
def test_it_answers_as_the_routes_do(it: Keywright, target: str) -> None:
    lane, route = once(it, get(target, it.owner)), once(it, get(f"{target}?wait=0", it.owner))
    assert plain(lane)[:2] == plain(route)[:2]
    assert lane.status == 200
    assert lane.json.keys() == route.json.keys()
    assert plain(once(it, get(target, it.owner, f"If-None-Match: {lane.headers['etag']}")))[0] == 304
    assert set(COMMON) <= {*lane.headers}


@pytest.mark.parametrize("name", ["shop/none", "nowhere", "shop"])
@pytest.mark.parametrize("door", ["values", "credentials"])
def test_it_refuses_as_the_routes_do(it: Keywright, door: str, name: str) -> None:
    target = f"{PLACE}/{door}/{name}"
    lane, route = once(it, get(target, it.owner)), once(it, get(f"{target}?wait=0", it.owner))
    assert lane.status == route.status == 404
    told = [{k: v for k, v in answer.json.items() if k not in ("instance", "request_id")} for answer in (lane, route)]
    assert told[0] == told[1]
    assert lane.json["request_id"] == lane.headers["x-request-id"]
    ids = [answer.json["request_id"].encode() for answer in (lane, route)]
    assert lane.body.replace(ids[0], b"") == route.body.replace(ids[1], b"")
    assert once(it, get(target, "kw_0123456789abcdef_" + "x" * 43)).status == 401


def test_requests_behind_a_fetch_are_answered_in_their_order(it: Keywright) -> None:
    with way(it) as made:
        targets = [VALUE, "/api/v1/me", VALUE, f"{PLACE}/values?folder=shop", CREDENTIAL, VALUE]
        made.say(b"".join(get(target, it.owner) for target in targets))
        answers = [made.answer() for _ in targets]
    assert [answer.status for answer in answers] == [200] * len(targets)
    keys = [next(iter(answer.json)) for answer in answers]
    assert keys == ["name", "id", "name", "environment", "connection", "name"]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(targets)


def test_a_head_that_comes_in_pieces(it: Keywright) -> None:
    with way(it) as made:
        made.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in get(VALUE, it.owner):
            made.say(bytes([number]))
        assert made.answer().status == 200


def test_the_last_request_of_a_connection(it: Keywright) -> None:
    with way(it) as made:
        made.say(get(VALUE, it.owner, "Connection: close"))
        answer = made.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert made.ended
    with way(it) as made:
        made.say(get(f"{PLACE}/values/none", it.owner, "Connection: close"))
        answer = made.answer()
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert made.ended
    assert once(it, get(VALUE, it.owner, version="1.0")).headers["connection"] == "close"


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (("Content-Length: 0",), 200),
        (("Content-Length: 2", "", "{}"), 200),
        (("Authorization: Bearer kw_0123456789abcdef_" + "x" * 43,), 401),
        (('If-None-Match: "a"', 'If-None-Match: "b"'), 200),
        (("If-None-Match: " + '"a",' * 400,), 422),
        (("Transfer-Encoding: chunked",), 200),
    ],
)
def test_what_is_unusual_goes_the_other_way(it: Keywright, more: tuple[str, ...], status: int) -> None:
    request = get(VALUE, it.owner, *more)
    if "chunked" in more[-1]:
        request += b"0\r\n\r\n"
    assert once(it, request.removesuffix(b"\r\n\r\n") if more[-1] == "{}" else request).status == status


def test_a_client_that_goes_away_is_not_waited_for(it: Keywright) -> None:
    for _ in range(20):
        with way(it) as made:
            made.say(get(VALUE, it.owner))
    assert once(it, get(VALUE, it.owner)).status == 200


def test_answers_are_counted(it: Keywright, owner: httpx2.Client) -> None:
    def count() -> float:
        text = httpx2.get(f"{it.url}/metrics").text
        (line,) = [s for s in text.splitlines() if s.startswith('keywright_requests_total{method="GET",status="200"}')]
        return float(line.split()[1])

    before = count()
    for _ in range(3):
        assert once(it, get(VALUE, it.owner)).status == 200
    assert count() - before >= 3


def test_what_is_over_a_rate_is_turned_away() -> None:
    with running_keywright(address_rate=1) as it:
        answers = [once(it, get(VALUE, it.owner)) for _ in range(BURST * 2)]
    assert [answer.status for answer in answers[:BURST]] == [404] * BURST
    assert answers[-1].status == 429
    assert (answers[-1].headers["retry-after"], answers[-1].headers["connection"]) == ("1", "close")
    assert json.loads(answers[-1].body)["type"] == "urn:keywright:problem:too-many"


def test_who_guesses_is_turned_away() -> None:
    with running_keywright(refused_rate=1) as it:
        guesses = [once(it, get(VALUE, "kw_0123456789abcdef_" + "x" * 43)).status for _ in range(BURST * 4)]
        assert guesses[:BURST] == [401] * BURST
        assert guesses[-1] == 429
        assert once(it, get(VALUE, it.owner)).status == 404


def test_the_first_fetch_after_a_start_opens_the_data_key() -> None:
    with running_keywright() as it:
        client = it.client()
        client.post("/environments", json={"name": "production"})
        client.put("/environments/production/variables/shop/HOST", json={"value": "db.internal"})
        it.service.keeper.keyrings.heard(None)  # as after a start: no data key is in memory
        answer = once(it, get(VALUE, it.owner))
        assert (answer.status, answer.json["value"]) == (200, "db.internal")
        events = client.get("/events", params={"action": "value.fetch"}).json()["items"]
        assert len(events) == 1
        assert events[0]["request"] == answer.headers["x-request-id"]


def test_a_defect_is_answered_and_nobody_else_suffers(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost(Exception):
        """As if a line of ours were wrong."""

    def fail(*_: object) -> None:
        raise Lost

    with monkeypatch.context() as patched:
        patched.setattr(problems, "_frames", lambda _: False)  # nothing has set up the log here: it would show locals
        patched.setattr(type(it.service.keeper.values), "_plan", fail)
        it.service.keeper.recorder.snapshot.decided.clear()
        assert once(it, get(VALUE, it.owner)).status == 500
        assert once(it, get(CREDENTIAL, it.owner)).status == 200
    assert once(it, get(VALUE, it.owner)).status == 200


def test_an_answer_that_fails_is_500_and_leaves_nothing(it: Keywright, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    app = it._server.app  # type: ignore[union-attr]
    with way(it) as made, monkeypatch.context() as patched:
        patched.setattr("service.http.values.shown", fail)
        made.say(get(VALUE, it.owner))
        answer = made.answer()
        assert (answer.status, answer.headers["connection"]) == (500, "close")
        assert made.ended
    with way(it) as made:
        with monkeypatch.context() as patched:
            patched.setattr(app.state.reception, "count", fail)
            made.say(get(VALUE, it.owner))
            assert made.answer().status == 200, "it was written"
        made.say(get(VALUE, it.owner))
        assert made.answer().status == 200, "and it is not said twice"
    assert app.state.reception.limits.working == 0


def test_one_of_a_batch_that_fails_keeps_no_other_from_its_answer() -> None:
    def asked(over: Callable[[Asked], None]) -> Asked:
        made = Asked(lambda *_: None, "value.fetch", "production", "A")
        made.over = over
        return made

    def fail(_: Asked) -> None:
        raise RuntimeError

    heard: list[Asked] = []
    batch = [asked(fail), asked(heard.append)]
    tell(batch)
    assert heard == batch[1:]
    assert isinstance(batch[0].error, Unanswered)


def test_who_has_said_everything_gets_its_answer(it: Keywright) -> None:
    tag = f"If-None-Match: {once(it, get(VALUE, it.owner)).headers['etag']}"
    for target, more, status in (
        (VALUE, (), 200),
        (CREDENTIAL, (), 200),
        (f"{VALUE}?wait=0", (), 200),
        (f"{PLACE}/values/none", (), 404),
        (f"{VALUE}?wait=50", (tag,), 304),  # it may be gone: that is not waited for
        (f"{VALUE}?wait=50.0", (tag,), 304),
    ):
        with way(it) as made:
            made.say(get(target, it.owner, *more))
            made.socket.shutdown(socket.SHUT_WR)
            answer = made.answer(bare=status == 304)
            # It may have been answered before the end was heard: then the answer does not tell of it yet.
            assert (answer.status, answer.headers.get("connection", "close")) == (status, "close")
            assert made.ended


def test_nothing_is_left_under_way(it: Keywright) -> None:
    for target in (VALUE, CREDENTIAL, f"{PLACE}/values/none"):
        once(it, get(target, it.owner))
    with contextlib.suppress(ConnectionError), way(it) as made:
        made.say(get(VALUE, it.owner))
    assert once(it, get(VALUE, it.owner)).status == 200
    server = it._server
    assert server is not None
    assert server.lane is not None
    assert server.lane._reception.limits.working == 0


def waiting(it: Keywright) -> int:
    return len(set().union(*it._server.app.state.changes._waiting.values()))  # type: ignore[union-attr]


@pytest.mark.parametrize("target", [VALUE, CREDENTIAL])
def test_a_wait_ends_as_it_does_in_the_routes(it: Keywright, target: str) -> None:
    tag = f"If-None-Match: {once(it, get(target, it.owner)).headers['etag']}"
    lane, route = (once(it, get(f"{target}?wait={seconds}", it.owner, tag)) for seconds in ("1", "1.0"))
    assert plain(lane) == plain(route)
    assert lane.status == 304
    for seconds in ("1", "1.0", "61", "0", "-1", "1&wait=1"):  # without anything that is known there is no wait
        answer = once(it, get(f"{target}?wait={seconds}", it.owner))
        assert answer.status == (422 if seconds in ("61", "-1", "1&wait=1") else 200)
    assert once(it, get(f"{target}?wait=50", "kw_0123456789abcdef_" + "x" * 43, tag)).status == 401


def test_who_waits_is_not_counted_as_work_and_goes_on_over_the_same_connection(it: Keywright) -> None:
    limits = it._server.app.state.reception.limits  # type: ignore[union-attr]
    owner = it.client()
    place = "/environments/production/variables/lane/W"
    owner.put(place, json={"value": "one"}).raise_for_status()
    target = f"{PLACE}/values/lane/W"
    with way(it) as made:
        made.say(get(target, it.owner))
        tag = made.answer().headers["etag"]
        for value in ("two", "three"):
            made.say(get(f"{target}?wait=50", it.owner, f"If-None-Match: {tag}"))
            wait_until(lambda: waiting(it) == 1, "it does not wait")
            assert limits.working == 0
            owner.put("/environments/production/variables/lane/X", json={"value": value}).raise_for_status()
            owner.put(place, json={"value": value}).raise_for_status()
            answer = made.answer()
            assert (answer.status, answer.json["value"]) == (200, value)
            tag = answer.headers["etag"]
    assert limits.working == 0


def test_what_becomes_a_reference_while_it_is_waited_for_is_answered_by_the_application() -> None:
    store = FakeStore()
    store.put("x", "from outside")
    with running_keywright(stores={"vault": store}) as it:
        owner = it.client()
        owner.post("/environments", json={"name": "production", "stores": {"vault": ["*"]}}).raise_for_status()
        place, target = "/environments/production/variables/A", f"{PLACE}/values/A"
        owner.put(place, json={"value": "one"}).raise_for_status()
        tag = once(it, get(target, it.owner)).headers["etag"]
        with way(it) as made:
            made.say(get(f"{target}?wait=50", it.owner, f"If-None-Match: {tag}"))
            wait_until(lambda: waiting(it) == 1, "it does not wait")
            owner.put(place, json={"reference": "vault:x"}).raise_for_status()
            answer = made.answer()
            assert (answer.status, answer.json["value"]) == (200, "from outside")
            made.say(get(f"{target}?wait=1", it.owner, f"If-None-Match: {answer.headers['etag']}"))
            assert made.answer(bare=True).status == 304
        assert it._server.app.state.reception.limits.working == 0  # type: ignore[union-attr]


def test_the_same_bytes_again_are_a_request_again(it: Keywright, owner: httpx2.Client) -> None:
    place = "/environments/production/variables/shop/SAME"
    owner.put(place, json={"value": "one"})
    request = get(f"{PLACE}/values/shop/SAME", it.owner)
    with way(it) as made:
        ids = []
        for told in ("one", "one", "two", "two"):
            if told == "two":
                owner.put(place, json={"value": "two"})
            made.say(request)
            answer = made.answer()
            assert (answer.status, answer.json["value"]) == (200, told)
            ids.append(answer.headers["x-request-id"])
        made.say(get(f"{PLACE}/values/none", it.owner))
        assert made.answer().status == 404
        made.say(request)
        assert made.answer().json["value"] == "two"
        for _ in range(2):
            made.say(request + request)  # two in one piece
            assert [made.answer().json["value"] for _ in range(2)] == ["two", "two"]
        made.say(request)
        made.say(request)  # perhaps while the first one is under way
        assert [made.answer().json["value"] for _ in range(2)] == ["two", "two"]
        made.say(request[:50])
        made.say(request[50:])
        assert made.answer().json["value"] == "two"
        made.say(request + request[:70])  # a whole one and a piece
        assert made.answer().json["value"] == "two"
        made.say(request[70:])
        assert made.answer().json["value"] == "two"
    events = owner.get("/events", params={"action": "value.fetch", "resource": "shop/SAME", "limit": 50}).json()[
        "items"
    ]
    assert len({event["request"] for event in events}) == len(events) == 14
    assert set(ids) <= {event["request"] for event in events}


def test_only_a_short_request_is_kept_to_be_known_again(it: Keywright) -> None:
    server = it._server
    assert server is not None
    for padding, kept in ((10, True), (LONGEST_SAME, False), (10, True)):
        with way(it) as made:
            request = get(VALUE, it.owner, f"X: {'x' * padding}")
            for _ in range(2):
                made.say(request)
                assert made.answer().status == 200
            (wire,) = [each for each in server.connections if each._client == made.socket.getsockname()]
            assert (wire._same, wire._plain is not None) == (request if kept else b"", kept)


def test_the_end_of_a_request_is_none_by_itself(it: Keywright) -> None:
    request = get(VALUE, it.owner)
    with way(it) as made:
        made.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            made.say(request[:50])
            time.sleep(0.05)  # so that it is read in pieces, or the test would show less
            made.say(request[50:])
            assert made.answer().status == 200
        made.say(request[50:])
        assert made.answer().status == 400
        assert made.ended


def test_the_same_bytes_of_a_token_that_was_revoked(it: Keywright, owner: httpx2.Client) -> None:
    grant = {"level": "use", "kind": "folder", "environment": "production", "path": "shop"}
    made = owner.post("/tokens", json={"name": "short-lived", "grants": [grant]}).json()
    request = get(VALUE, made["token"])
    with way(it) as connected:
        for _ in range(3):
            connected.say(request)
            assert connected.answer().status == 200
        owner.delete(f"/tokens/{made['id']}")
        for _ in range(2):
            connected.say(request)
            assert connected.answer().status == 401


def test_bytes_that_do_not_end_a_connection_are_not_taken_for_some_that_do(it: Keywright) -> None:
    with way(it) as made:
        last = get(VALUE, it.owner, "Connection: close")
        made.say(get(VALUE, it.owner))
        assert made.answer().status == 200
        made.say(last)
        assert made.answer().headers["connection"] == "close"
        assert made.ended
