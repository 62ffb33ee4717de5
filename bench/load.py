"""A load generator in a process of its own: keep-alive connections, each asking again as soon as it was answered.

`python -m bench.load` reads one JSON line (port, path, header, ca, connections, seconds) and writes one
(answers, seconds, p50, p99 in milliseconds, errors). The header comes by the pipe: arguments are seen by everybody.
"""

import asyncio
import json
import ssl
import statistics
import sys
import time

WARM_UP = 0.5
"""Seconds that are not counted."""
_END = b"\r\n\r\n"


class Asker(asyncio.Protocol):
    """One connection."""

    def __init__(self, request: bytes, seen: list[tuple[float, float]], until: float) -> None:
        self._request = request
        self._seen = seen
        self._until = until
        self._buffer = bytearray()
        self._asked = 0.0
        self.errors = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._ask()

    def data_received(self, data: bytes) -> None:
        """When an answer is whole, note how long it took and ask again."""
        self._buffer += data
        head = self._buffer.find(_END)
        if head < 0:
            return
        lower = bytes(self._buffer[:head]).lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < head + len(_END) + length:
            return
        now = time.perf_counter()
        if lower.split(b" ", 2)[1] == b"200":
            self._seen.append((now, now - self._asked))
        else:
            self.errors += 1
        self._buffer.clear()
        if now < self._until:
            self._ask()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, early or not."""
        self.errors += time.perf_counter() < self._until or error is not None
        if not self.done.done():
            self.done.set_result(None)

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)


async def measure(
    port: int, path: str, header: tuple[str, str], ca: str, connections: int, seconds: float
) -> dict[str, float]:
    """What that many connections saw in that many seconds; over TLS where there is a `ca` to verify with."""
    name, secret = header
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{name}: {secret}\r\nAccept: */*\r\n\r\n".encode()
    tls = ssl.create_default_context(cafile=ca) if ca else None
    seen: list[tuple[float, float]] = []
    begin = time.perf_counter() + WARM_UP
    until = begin + seconds
    loop = asyncio.get_running_loop()
    askers = [
        (await loop.create_connection(lambda: Asker(request, seen, until), "127.0.0.1", port, ssl=tls))[1]
        for _ in range(connections)
    ]
    async with asyncio.timeout(WARM_UP + seconds + 30):
        await asyncio.gather(*(asker.done for asker in askers))
    took = sorted(each for at, each in seen if begin <= at <= until)
    return {
        "answers": len(took),
        "seconds": seconds,
        "p50": statistics.median(took) * 1000 if took else float("nan"),
        "p99": took[int(len(took) * 0.99)] * 1000 if took else float("nan"),
        "errors": sum(asker.errors for asker in askers),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(**json.loads(sys.stdin.readline())))))
