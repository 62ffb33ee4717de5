"""Who waits for a change and leaves, and a server that leaves while somebody waits."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from service.core.connection import Engine
from service.http.waiting import Changes
from tests.http.conftest import PASSWORD, furnish
from tests.rigs.fake_database import FakeDatabase
from tests.rigs.keywright import Keywright, running_keywright, running_keywrightd, wait_until
from tests.rigs.listening import PATIENCE, Way

PLACE = "/environments/production"
LONGER = 50
"""Seconds to wait: longer than a server drains, and than anything here may take."""
MANY = 300


OPENED: list[Way] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().socket.close()


@pytest.fixture
def it() -> Iterator[Keywright]:
    database = FakeDatabase()
    database.create("app", PASSWORD)
    database.create("admin", "admin-password")
    with running_keywright(databases={Engine.POSTGRESQL: database}) as served:
        furnish(served.client(), "production")
        yield served


def ways(url: str, count: int) -> list[Way]:
    """Connections."""
    place = urlsplit(url)
    made = [Way(socket.create_connection((place.hostname, place.port), timeout=PATIENCE)) for _ in range(count)]
    OPENED.extend(made)
    return made


def waits(it: Keywright, path: str, count: int = 1) -> list[Way]:
    """Clients that wait for another answer than the present one."""
    tag = it.client().get(PLACE + path).headers["etag"]
    made = ways(it.url, count)
    rest = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.owner}\r\nIf-None-Match: {tag}\r\n\r\n"
    for number, way in enumerate(made):
        seconds = (LONGER, float(LONGER))[number % 2]  # the first ones by the fast lane
        way.say(f"GET /api/v1{PLACE}{path}?wait={seconds} {rest}".encode())
    wait_until(lambda: waiting(it) == count, "they do not wait")
    return made


def asks_for_a_rotation(it: Keywright) -> Way:
    """A client that waits for a rotation which nobody works on."""
    (way,) = ways(it.url, 1)
    body = b'{"connection": "shop/db"}'
    head = f"POST /api/v1{PLACE}/rotations?wait={LONGER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.owner}\r\n"
    way.say(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    wait_until(lambda: waiting(it) == 1, "it does not wait")
    return way


def waiting(it: Keywright) -> int:
    """How many wait."""
    changes: Changes = it._server.app.state.changes  # type: ignore[union-attr]
    return len(set().union(*changes._waiting.values()))


def test_whose_client_went_away_is_forgotten(it: Keywright) -> None:
    assert it._server
    staying, *gone = waits(it, "/values/shop/HOST", 20)
    for way in gone[::2]:
        way.socket.close()
    for way in gone[1::2]:
        way.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: waiting(it) == 1, "they are waited for still")
    wait_until(lambda: len(it._server.working) == 1, "they are worked on still")  # type: ignore[union-attr]
    it.client().put(f"{PLACE}/variables/shop/HOST", json={"value": "two"})
    assert staying.answer().json["value"] == "two"
    way = asks_for_a_rotation(it)
    way.socket.close()
    wait_until(lambda: not waiting(it), "the rotation is waited for still")


@pytest.mark.parametrize("path", ["/values/shop/HOST", "/credentials/shop/db"])
def test_who_waits_while_the_server_is_told_to_stop_is_answered(it: Keywright, path: str) -> None:
    held = waits(it, path, MANY)
    it.stop()
    for way in held:
        answer = way.answer(bare=True)
        assert (answer.status, answer.headers["connection"]) == (304, "close")
        assert way.ended


def test_who_waits_for_a_rotation_is_told_how_far_it_is(it: Keywright) -> None:
    way = asks_for_a_rotation(it)
    it.stop()
    answer = way.answer()
    assert (answer.status, answer.headers["connection"]) == (202, "close")
    assert answer.json["stage"] == "planned"


def test_the_command_answers_who_waits_when_it_is_told_to_stop() -> None:
    with running_keywrightd() as it:
        with it.client() as owner:
            owner.post("/environments", json={"name": "production"}).raise_for_status()
            owner.put(f"{PLACE}/variables/shop/A", json={"value": "one"}).raise_for_status()
            tag = owner.get(f"{PLACE}/values/shop/A").headers["etag"]
        (way,) = ways(it.url, 1)
        head = f"GET /api/v1{PLACE}/values/shop/A?wait={LONGER} HTTP/1.1\r\nHost: x\r\n"
        way.say(f"{head}Authorization: Bearer {it.owner}\r\nIf-None-Match: {tag}\r\n\r\n".encode())
        with it.client() as owner:
            owner.get("/me").raise_for_status()  # it came after: the one before is waited with, or was read
        assert it.terminate() == 0
        assert way.answer(bare=True).status == 304
        assert "cut short" not in it.stderr


def test_who_comes_to_wait_while_the_server_stops_is_answered(it: Keywright) -> None:
    """Its request was begun when the server was told to stop."""
    assert it._server
    (way,) = ways(it.url, 1)
    body = b'{"connection": "shop/db"}'
    head = f"POST /api/v1{PLACE}/rotations?wait={LONGER} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {it.owner}\r\n"
    way.say(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:5])
    listener = it._server
    wait_until(lambda: "/rotations" in "".join([each.scope["path"] for each in listener.working]), "it has not come")
    listener.stop()
    wait_until(lambda: all(wire.leaving for wire in listener.connections), "it does not stop")
    way.say(body[5:])
    assert way.answer().status == 202
