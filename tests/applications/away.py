"""A line to a server that can go away: while it is away, whoever asks is cut off, and counted."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

CHUNK = 65536


class Line:
    """A port of its own in front of a server. `asked` are the moments at which somebody came while it was away."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._there = str(place.hostname), int(place.port or 80)
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self.away = False
        self.asked: list[float] = []
        self.url = ""

    def go(self) -> None:
        """The server goes away: connections are cut, and new ones too."""
        self.away = True
        asyncio.run_coroutine_threadsafe(self._cut(), self._loop).result(10)

    def come_back(self) -> None:
        """It is there again."""
        self.away = False

    def busiest(self, seconds: float) -> int:
        """The most that came within so many seconds while it was away."""
        moments = sorted(self.asked)
        return max((sum(begin <= m < begin + seconds for m in moments) for begin in moments), default=0)

    async def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.away:
            self.asked.append(time.monotonic())
            writer.transport.abort()
            return
        far, onward = await asyncio.open_connection(*self._there)
        self._open |= {writer, onward}
        try:
            with suppress(asyncio.CancelledError):  # the line is stopped: a task that ends so would be told of
                await asyncio.gather(_copy(reader, onward), _copy(far, writer))
        finally:
            self._open -= {writer, onward}
            for end in (writer, onward):
                end.transport.abort()

    async def _serve(self, ready: threading.Event) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        ready.set()

    def run(self, ready: threading.Event) -> None:
        """Until `stop`."""
        self._loop.create_task(self._serve(ready))
        self._loop.run_forever()

    def stop(self) -> None:
        """Close everything."""

        async def end() -> None:
            self._server.close()
            await self._cut()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
                with suppress(asyncio.CancelledError, OSError):
                    await task

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()


@contextmanager
def line(url: str) -> Iterator[Line]:
    """A line to that server."""
    made, ready = Line(url), threading.Event()
    thread = threading.Thread(target=made.run, args=(ready,), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield made
    finally:
        made.stop()
        thread.join(10)
        made._loop.close()
