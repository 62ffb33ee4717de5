"""Watching a connection: the server holds the question (`?wait=`) until its credential changed, and what it answers
goes into the client's cache, so that logins find it there.

    answered          into the cache; a new generation is told to the callback; asked again
    nothing changed   asked again: with the ETag, or in full once half of the promise is used up
    no answer         a pause, twice as long each time; what is in the cache is promised for its own time
    refused           a longer pause; the error is told to the log, once until an answer comes
anything else     just so: whatever an answer is made of, the next one is asked for

Never more than one question in `PAUSE` seconds, whatever the server or a proxy before it answers.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

from keywright.async_door import AsyncDoor
from keywright.credential import Credential
from keywright.errors import KeywrightError
from keywright.fetched import answer
from keywright.keeping import Answer
from keywright.retrying import Pace, passing

LONGEST = 50.0
"""Seconds that the server is asked to wait; it waits for 60 at most."""
PAUSE = 0.5
ENDS_WITHIN = 5.0
_OUTAGE = Pace(1.0, 30.0)
_REFUSAL = Pace(5.0, 60.0)
log = logging.getLogger("keywright")


class Kept(Protocol):
    """A cache, as a watcher uses it."""

    def known(self, name: str) -> Credential | None:
        """The last one answered."""

    def question(self, name: str) -> tuple[str | None, float]:
        """The ETag to ask with, and for how many seconds a whole answer is not needed."""

    def put(self, name: str, answer: Answer) -> Credential:
        """Take an answer over."""


async def watch(
    door: AsyncDoor, environment: str, connection: str, kept: Kept, changed: Callable[[Credential], None] | None
) -> None:
    """Watch until it is cancelled. What `changed` raises is logged."""
    failures = 0
    while True:
        etag, patience = kept.question(connection)
        wait = min(LONGEST, patience) if etag else 0.0
        before = kept.known(connection)
        try:
            path = f"/environments/{environment}/credentials/{connection}"
            reply = await door.get(path, etag=etag, wait=wait)
            now = kept.put(connection, answer(door.address, reply, etag))
        except Exception as error:  # noqa: BLE001 - what ends this thread would let the credential grow old unseen
            failures += 1
            ours = error if isinstance(error, KeywrightError) else None
            if failures == 1:  # the text of what nobody foresaw may quote a password
                log.warning("%s is not watched for now: %s", connection, ours or type(error).__name__)
            away = ours is not None and passing(ours)
            await asyncio.sleep((_OUTAGE if away else _REFUSAL).pause(failures, ours))
            continue
        failures = 0
        if changed is not None and before is not None and now.generation != before.generation:
            try:
                changed(now)
            except Exception:  # whatever the application does there, its credential is kept fresh
                log.exception("what was to be done about generation %d of %s failed", now.generation, connection)
        await asyncio.sleep(PAUSE)


class Watcher:
    """Watches in a daemon thread, from `start` to `close`. Not taken over by a fork: start one in each process."""

    def __init__(
        self,
        door: Callable[[], AsyncDoor],
        environment: str,
        connection: str,
        kept: Kept,
        changed: Callable[[Credential], None] | None = None,
    ) -> None:
        """`door` makes what is asked, in the thread; `changed` is called there with each new generation."""
        self._door = door
        self._watched = environment, connection, kept, changed
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"keywright {connection}", daemon=True)

    def __enter__(self) -> "Watcher":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> "Watcher":
        """Begin."""
        self._thread.start()
        self._began.wait(ENDS_WITHIN)
        return self

    def close(self) -> None:
        """End, without waiting for the server. From the callback it ends as soon as that returns."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: it has ended
                loop.call_soon_threadsafe(task.cancel)
        if threading.current_thread() is not self._thread and self._thread.is_alive():
            self._thread.join(ENDS_WITHIN)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._watch())

    async def _watch(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        self._began.set()
        async with self._door() as door:
            await watch(door, *self._watched)
