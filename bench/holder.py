"""Thousands of clients that wait for a change, in a process of its own.

`python -m bench.holder` reads one JSON line (port, path, token, tag, waiters), opens a connection for each waiter and
asks with `?wait=60` and If-None-Match. It writes a line once all are held (held, refused), and one after every change
(told, and when the last one was). Whoever was answered waits again, for what changes next.
"""

import asyncio
import json
import sys
import time

WAIT = 60
SETTLES = 3.0
"""Seconds without an answer after which all that were asked are held; or without one more, that all were told."""
OPENED_AT_ONCE = 200
TOLD_WITHIN = 30.0


class Crowd:
    """What the waiters have heard."""

    def __init__(self, waiters: int) -> None:
        self.asked = 0
        self.refused = 0
        self.told = 0
        self.last = 0.0
        self.opening = asyncio.Semaphore(OPENED_AT_ONCE)
        self.waiters = waiters


async def waiter(question: dict[str, str], crowd: Crowd) -> None:
    """One of them: asks, is answered, asks again. Whoever is refused, or cut off, is so for good."""
    tag = question["tag"]
    try:
        async with crowd.opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", int(question["port"]))
        while True:
            head = f"GET {question['path']}?wait={WAIT} HTTP/1.1\r\nHost: 127.0.0.1\r\nIf-None-Match: {tag}\r\n"
            writer.write(f"{head}Authorization: Bearer {question['token']}\r\n\r\n".encode())
            crowd.asked += 1
            status, headers = _read(await reader.readuntil(b"\r\n\r\n"))
            await reader.readexactly(0 if status == 304 else int(headers.get("content-length", "0")))
            if status not in (200, 304):
                break
            if status == 200:
                crowd.told += 1
                crowd.last = time.time()
                tag = headers["etag"]
        writer.close()
    except (OSError, asyncio.IncompleteReadError):
        pass
    crowd.refused += 1


async def main(question: dict[str, str]) -> None:
    """All of them, until standard input ends."""
    crowd = Crowd(int(question["waiters"]))
    waiters = [asyncio.create_task(waiter(question, crowd)) for _ in range(crowd.waiters)]
    deadline = time.monotonic() + WAIT / 2
    while crowd.asked < crowd.waiters and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLES)
    _say(held=crowd.waiters - crowd.refused, refused=crowd.refused)
    while True:
        crowd.told = 0
        while not crowd.told:
            await asyncio.sleep(0.05)
        deadline = time.monotonic() + TOLD_WITHIN
        while crowd.told < crowd.waiters - crowd.refused and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        _say(told=crowd.told, last=crowd.last)
        if not waiters:
            return


def _read(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = [line.split(": ", 1) for line in lines if ": " in line]
    return int(first.split(" ", 2)[1]), {name.lower(): value for name, value in headers}


def _say(**words: float) -> None:
    print(json.dumps(words), flush=True)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.stdin.readline())))
