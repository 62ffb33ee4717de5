"""HTTP/1.1 on real sockets: what is read, what is refused, and who is sent away."""

import asyncio
import base64
import json
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.http import taking, wire
from service.http.reading import MOST_HEADERS
from tests.rigs.keywright import wait_until
from tests.rigs.listening import PATIENCE, Listening, Way, echo, listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def it() -> Iterator[Listening]:
    with listening() as served:
        yield served


AMBIGUOUS = {
    "length and coding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": POST + b"Content-Length: 1, 1\r\n\r\na",
    "a signed length": POST + b"Content-Length: +1\r\n\r\na",
    "two codings": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a list of codings": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding of HTTP/1.0": POST.replace(b"/1.1", b"/1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 1\r\n\r\na",
    "a folded header": POST + b"X: a\r\n b\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\nHost: x\n\n",
    "a bare CR": POST + b"X: a\rb\r\n\r\n",
    "NUL": POST + b"X: a\0b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a version to come": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
    "a tunnel": b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "another scheme": b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_could_be_read_in_two_ways_is_refused(it: Listening, name: str) -> None:
    way = it.way()
    way.say(AMBIGUOUS[name])
    answer = way.answer()
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json"), answer
    assert answer.headers["connection"] == "close"
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    assert way.ended


def test_what_is_read(it: Listening) -> None:
    said = it.sent(
        b"\r\nPUT /a%20b/c?d=%20 HTTP/1.1\r\nHost: x\r\nX-One: 1 \t\r\nX-ONE:\r\nContent-Length: 3\r\n\r\na\0b"
    ).json
    assert (said["method"], said["path"], said["query"]) == ("PUT", "/a b/c", "d=%20")
    assert said["headers"] == [["host", "x"], ["x-one", "1"], ["x-one", ""], ["content-length", "3"]]
    assert base64.b64decode(said["body"]) == b"a\0b"
    assert said["client"][0] == "127.0.0.1"


def test_a_client_address_is_that_of_the_connection(it: Listening) -> None:
    said = it.sent(GET[:-2] + b"X-Forwarded-For: 10.0.0.1\r\nForwarded: for=10.0.0.1\r\n\r\n").json
    assert said["client"][0] == "127.0.0.1"


def test_an_absolute_target(it: Listening) -> None:
    assert it.sent(b"GET http://x/a?b HTTP/1.1\r\nHost: x\r\n\r\n").json["path"] == "/a"
    assert it.sent(b"GET http://x HTTP/1.1\r\nHost: x\r\n\r\n").json["path"] == "/"
    assert it.sent(b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n").json["path"] == "*"


def test_byte_by_byte(it: Listening) -> None:
    way = it.way()
    way.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for number in POST + b"Transfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\nTrailer: t\r\n\r\n":
        way.say(bytes([number]))
    said = way.answer().json
    assert base64.b64decode(said["body"]) == b"abc"
    assert [name for name, _ in said["headers"]] == ["host", "transfer-encoding"], "a trailer is no header"


def test_one_connection_many_requests(it: Listening) -> None:
    way = it.way()
    for number in range(3):
        way.say(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number)
        answer = way.answer()
        assert answer.json["path"] == f"/{number}"
        assert "connection" not in answer.headers
        assert "server" not in answer.headers
    way.say(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
    head = way.answer(bare=True)
    assert int(head.headers["content-length"]) > 0
    way.say(GET[:-2] + b"Connection: close\r\n\r\n")
    assert way.answer().headers["connection"] == "close"
    assert way.ended


def test_an_old_client_gets_one_answer(it: Listening) -> None:
    way = it.way()
    way.say(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert way.answer().headers["connection"] == "close"
    assert way.ended


def test_requests_behind_each_other_are_answered_in_order(it: Listening) -> None:
    way = it.way()
    way.say(b"".join(b"POST /%d HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx" % number for number in range(20)))
    assert [way.answer().json["path"] for _ in range(20)] == [f"/{number}" for number in range(20)]


def test_too_many_behind_each_other(it: Listening) -> None:
    way = it.way()
    way.say(GET * 5000)
    rest = way.rest()
    assert rest.count(b"HTTP/1.1 200 OK") == wire.MOST_BEHIND + 1
    assert rest.count(b"connection: close") == 1


def test_what_cannot_be_read_behind_what_can(it: Listening) -> None:
    way = it.way()
    way.say(GET + b"nonsense\r\n\r\n" + GET)
    assert [way.answer().status, way.answer().status] == [200, 400]
    assert way.ended


def test_nothing_is_read_after_the_last_request(it: Listening) -> None:
    way = it.way()
    way.say(GET[:-2] + b"Connection: close\r\n\r\n" + GET)
    assert way.answer().status == 200
    assert way.ended


def test_an_upgrade_is_answered_as_if_nothing_was_offered(it: Listening) -> None:
    way = it.way()
    way.say(GET[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n")
    answer = way.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_who_waits_for_a_word_before_the_body_gets_it(it: Listening) -> None:
    way = it.way()
    way.say(POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert way.answer().status == 100
    way.say(b"ab")
    assert base64.b64decode(way.answer().json["body"]) == b"ab"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 17_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 4000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 1_000_000,
        GET + b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 17_000 + b"\r\n\r\n",
        b"\r\n" * 10_000,
    ],
)
def test_too_large_a_head(it: Listening, head: bytes) -> None:
    way = it.way()
    way.say(head)
    if head.startswith(GET):
        assert way.answer().status == 200
    assert way.answer().status == 431


@pytest.mark.parametrize(("count", "status"), [(MOST_HEADERS - 1, 200), (MOST_HEADERS, 431)])
def test_too_many_headers(it: Listening, count: int, status: int) -> None:
    answer = it.sent(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * count + b"\r\n")
    assert answer.status == status
    if status == 431:
        assert "100 headers" in answer.json["detail"]


def test_a_connection_that_is_silent_keeps_nothing_of_what_was_asked() -> None:
    with listening() as it:
        way = it.way()
        way.say(b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 90 + b"\r\n")
        assert way.answer().status == 200
        (wire,) = it.listener.connections
        assert (wire._url, wire._headers) == (b"", [])


def test_a_head_may_be_large(it: Listening) -> None:
    assert it.sent(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 16_000 + b"\r\n\r\n").status == 200


def test_a_broken_body(it: Listening) -> None:
    way = it.way()
    way.say(POST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n")
    assert way.answer().status == 400
    assert way.ended


def test_a_body_without_end(it: Listening) -> None:
    way = it.way()
    way.say(POST + b"Transfer-Encoding: chunked\r\n\r\n")
    part = b"1;" + b"x" * 10_000 + b"\r\na\r\n"
    way.say(part * 110)
    assert way.answer().status == 413


def test_who_is_slow_is_sent_away(it: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("HEAD_WITHIN", "BODY_WITHIN", "KEEPS"):
        monkeypatch.setattr(wire, limit, 0)
    head, body, silent, answered = it.way(), it.way(), it.way(), it.way()
    answered.say(GET)
    answered.answer()
    head.say(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow")
    body.say(POST + b"Content-Length: 10\r\n\r\nabc")
    assert (head.answer().status, body.answer().status) == (408, 408)
    assert silent.ended
    assert answered.ended


def test_who_has_said_everything_gets_its_answer(it: Listening) -> None:
    for said, statuses in (
        (GET, [200]),
        (GET * 3, [200] * 3),
        (POST + b"Content-Length: 1\r\n\r\nx", [200]),
        (POST + b"Content-Length: 2\r\n\r\nx", [400]),
        (b"GET / HTTP/1.1\r\nHo", [400]),
        (b"", []),
    ):
        way = it.way()
        way.say(said)
        way.socket.shutdown(socket.SHUT_WR)
        assert [way.answer().status for _ in statuses] == statuses
        assert way.ended


def test_who_has_said_everything_is_waited_with_a_while_and_then_taken_for_gone() -> None:
    let: list[asyncio.Event] = []
    asked = threading.Semaphore(0)
    heard: list[str] = []

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        let.append(asyncio.Event())
        asked.release()
        if scope["path"] == "/":
            await let[0].wait()
            await echo(scope, receive, send)
        else:
            while not heard or heard[-1] == "http.request":
                heard.append((await receive())["type"])

    with listening(slow) as it:
        way = it.way()
        way.say(GET)
        way.socket.shutdown(socket.SHUT_WR)
        assert asked.acquire(timeout=PATIENCE)
        (waits,) = it.listener.connections
        wait_until(lambda: waits._mute, "it was not heard")
        look(it, waits, wire.GONE_AFTER)
        it.listener.loop.call_soon_threadsafe(let[0].set)
        answer = way.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert way.ended
        gone = it.way()
        gone.say(GET.replace(b"/", b"/x", 1))
        gone.socket.shutdown(socket.SHUT_WR)
        assert asked.acquire(timeout=PATIENCE)
        wait_until(lambda: any(each._mute for each in it.listener.connections), "it was not heard")
        (lost,) = [each for each in it.listener.connections if each._mute]
        look(it, lost, wire.GONE_AFTER + 2)
        assert gone.ended
    assert heard[-1] == "http.disconnect"


def look(it: Listening, of: wire.Wire, later: int) -> None:
    """As if so many seconds had passed."""
    looked = threading.Event()

    def late() -> None:
        if of in it.listener.connections:
            of.late(it.listener.now + later)
        looked.set()

    it.listener.loop.call_soon_threadsafe(late)
    assert looked.wait(PATIENCE)


LARGE = 24 * 1024 * 1024


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % LARGE)]}
    await send(head)
    await send({"type": "http.response.body", "body": bytes(LARGE)})


def takes_slowly(it: Listening, way: Way) -> None:
    """Much later it takes some more, again and again; then no more."""
    way.say(GET)
    way.socket.recv(1000)
    (made,) = it.listener.connections
    for number in range(1, 6):
        taken = 0
        while taken < 2_000_000:
            taken += len(way.socket.recv(65536))
        look(it, made, number * (taking.WITHIN + 10))
        assert not made._closing
        assert not made.lost
    for number in range(6, 9):
        look(it, made, number * (taking.WITHIN + 10))
    assert len(way.rest()) < LARGE - 10_000_000


def test_who_takes_slowly_is_left_alone_until_it_takes_nothing() -> None:
    with listening(large) as it:
        takes_slowly(it, it.way())


def test_who_does_not_read_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = threading.Event()

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        gone.set()

    monkeypatch.setattr(taking, "WITHIN", 0)
    with listening(large) as it:
        it.way().say(GET)
        assert gone.wait(30)


def test_an_answer_in_pieces() -> None:
    async def pieces(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"ab", b"", b"c"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    with listening(pieces) as it:
        way = it.way()
        way.say(GET[:-2] + b"Connection: close\r\n\r\n")
        head, _, body = way.rest().partition(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert body == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        way = it.way()
        way.say(b"GET / HTTP/1.0\r\n\r\n")
        assert way.rest().partition(b"\r\n\r\n")[2] == b"abc"


BROKEN: dict[str, list[Message]] = {
    "nothing": [],
    "only a head": [{"type": "http.response.start", "status": 200, "headers": []}],
    "a header of two lines": [
        {"type": "http.response.start", "status": 200, "headers": [(b"x", b"a\r\nset-cookie: b")]},
        {"type": "http.response.body", "body": b""},
    ],
    "a longer body": [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]},
        {"type": "http.response.body", "body": b"abc"},
    ],
    "a shorter body": [
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]},
        {"type": "http.response.body", "body": b"abc"},
    ],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_answer_does_not_leave(name: str) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        for message in BROKEN[name]:
            await send(dict(message))

    with listening(broken) as it:
        way = it.way()
        way.say(GET + GET)
        assert way.answer().status == 500
        assert way.ended


def test_who_went_away_is_noticed() -> None:
    heard: list[str] = []
    noticed = threading.Event()

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        heard.append((await receive())["type"])
        noticed.set()

    with listening(waits) as it:
        way = it.way()
        way.say(GET)
        way.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        way.socket.close()
        assert noticed.wait(30)
    assert heard[-1] == "http.disconnect"


def test_waiting_costs_no_more_than_a_connection() -> None:
    """Hundreds wait at once, one more is answered meanwhile, and all are woken."""
    woken: list[asyncio.Event] = []

    async def waits(scope: Scope, receive: Receive, send: Send) -> None:
        if not woken:
            woken.append(asyncio.Event())
        if scope["path"] == "/wait":
            await woken[0].wait()
        else:
            woken[0].set()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with listening(waits) as it:
        ways = [it.way() for _ in range(400)]
        for way in ways:
            way.say(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        assert it.sent(GET).status == 200
        assert {way.answer().status for way in ways} == {200}


def test_one_connection_too_many() -> None:
    with listening(most=10) as it:
        ways = [it.way() for _ in range(10)]
        for way in ways:
            way.say(GET)
            assert way.answer().status == 200
        more = it.way()
        assert (answer := more.answer()).status == 503
        assert json.loads(answer.body)["type"] == "urn:keywright:problem:unavailable"
        assert more.ended
        # Room was made by closing one that was silent: who comes back finds it.
        again = it.way()
        again.say(GET)
        assert again.answer().status == 200
