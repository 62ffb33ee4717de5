"""Applications under load: requests in a loop, from several threads or tasks, and a count of those that failed."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import TypeAlias

THINKS = 0.02
ENDS_WITHIN = 60.0

Request: TypeAlias = Callable[[], str]
"""One request of an application: logs in or takes a connection, and tells as whom it was served."""
AsyncRequest: TypeAlias = Callable[[], Awaitable[str]]
Make: TypeAlias = Callable[[], AbstractContextManager[Request] | AbstractAsyncContextManager[AsyncRequest]]


@dataclass
class Count:
    """What an application saw."""

    name: str
    served: int = 0
    failed: list[str] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def worked(self, user: str) -> None:
        """A request was served."""
        with self.lock:
            self.served += 1
            self.users.add(user)

    def broke(self, error: BaseException) -> None:
        """A request failed. Texts of drivers hold no password."""
        with self.lock:
            self.failed.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__}: {error}")


class Load:
    """An application, from `start` to `stop`: `make` opens it, and gives what a request is, in threads or in tasks."""

    def __init__(self, name: str, make: Make, workers: int = 4, leave: Callable[[], None] | None = None) -> None:
        """`leave` is what each thread does at its end."""
        self.count = Count(name)
        self._leave = leave
        self._make = make
        self._workers = workers
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the requests under way."""
        self._over.set()
        self._thread.join(ENDS_WITHIN)
        if self._thread.is_alive():
            self.count.broke(TimeoutError("the application hangs"))

    def _run(self) -> None:
        try:
            made = self._make()
            if isinstance(made, AbstractAsyncContextManager):
                asyncio.run(self._tasks(made))
            else:
                self._threads(made)
        except Exception as error:  # noqa: BLE001 - whatever it is, it counts
            self.count.broke(error)

    def _threads(self, made: AbstractContextManager[Request]) -> None:
        with made as request:
            workers = [threading.Thread(target=self._ask, args=(request,)) for _ in range(self._workers)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()

    def _ask(self, request: Request) -> None:
        while not self._over.is_set():
            try:
                self.count.worked(request())
            except Exception as error:  # noqa: BLE001 - whatever it is, it counts
                self.count.broke(error)
            self._over.wait(THINKS)
        if self._leave is not None:
            self._leave()

    async def _tasks(self, made: AbstractAsyncContextManager[AsyncRequest]) -> None:
        async with made as request:
            await asyncio.gather(*(self._ask_in_turn(request) for _ in range(self._workers)))

    async def _ask_in_turn(self, request: AsyncRequest) -> None:
        while not self._over.is_set():
            try:
                self.count.worked(await request())
            except Exception as error:  # noqa: BLE001 - whatever it is, it counts
                self.count.broke(error)
            await asyncio.sleep(THINKS)
