"""The end of a server, and what keeps it from beginning."""

import asyncio
import threading

import pytest
from starlette.types import Receive, Scope, Send

from service.core.errors import Unavailable
from service.http.listener import Listener
from tests.rigs.listening import PATIENCE, echo, listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Slow:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.cut = threading.Event()
        self._release: asyncio.Event
        self._loop: asyncio.AbstractEventLoop

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/quick":
            await echo(scope, receive, send)
            return
        self._loop, self._release = asyncio.get_running_loop(), asyncio.Event()
        self.asked.set()
        try:
            await self._release.wait()
        except asyncio.CancelledError:
            self.cut.set()
            raise
        await echo(scope, receive, send)

    def release(self) -> None:
        self._loop.call_soon_threadsafe(self._release.set)


def test_what_is_under_way_is_answered_and_nobody_else_is_let_in() -> None:
    slow = Slow()
    with listening(slow) as it:
        silent, asking = it.way(), it.way()
        silent.say(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        silent.answer()
        asking.say(GET)
        assert slow.asked.wait(PATIENCE)
        it.listener.stop()
        assert silent.ended
        with pytest.raises(OSError):
            it.way()
        slow.release()
        answer = asking.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert asking.ended
        it.thread.join(PATIENCE)
        assert not it.thread.is_alive()


def test_who_is_let_in_while_the_server_is_told_to_stop_does_not_hold_it_up() -> None:
    for number in range(40):
        with listening(drains_within=600) as it:
            for _ in range(number):
                it.way().say(GET)
            it.listener.stop()
            it.thread.join(PATIENCE)
            assert not it.thread.is_alive()


def test_what_does_not_end_in_time_is_cut_short() -> None:
    slow = Slow()
    with listening(slow, drains_within=0.1) as it:
        way = it.way()
        way.say(GET)
        assert slow.asked.wait(PATIENCE)
        it.listener.stop()
        assert slow.cut.wait(PATIENCE)
        it.thread.join(PATIENCE)
        assert not it.thread.is_alive()


def test_a_port_that_is_taken() -> None:
    with listening() as it:
        host, port = it.listener.address
        with pytest.raises(Unavailable, match=f"cannot listen on {host}:{port}: another process listens there"):
            Listener(echo, host, port).bind()
    with pytest.raises(Unavailable, match="no such address"):
        Listener(echo, "192.0.2.1", 0).bind()
    with pytest.raises(Unavailable, match="no such address"):
        Listener(echo, "nowhere.invalid", 0).bind()


def test_a_name_of_two_addresses_is_listened_to_on_both() -> None:
    found = Listener(echo, "localhost", 0)
    found.bind()
    found.close()
