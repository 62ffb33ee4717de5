"""The library's face for who waits without a thread: the same answers as `keywright.Client`."""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType

from keywright import names as naming
from keywright.async_door import AsyncDoor
from keywright.budget import LIMIT, Budget
from keywright.cache import Answer, AsyncCache
from keywright.certificate import Certificate
from keywright.credential import Credential
from keywright.discovery import discover
from keywright.fetched import Value, answer, pair, pairs, queries
from keywright.retrying import patient_async
from keywright.watching import watch


class AsyncClient:
    """Fetches values and credentials of one environment, in one event loop. Make it after a fork.

    What is not given is discovered: see `keywright.discovery`. Every call may raise any of `keywright.errors`.
    """

    def __init__(
        self,
        address: str | None = None,
        token: str | None = None,
        environment: str | None = None,
        *,
        timeout: float = 10.0,
        ca: str | None = None,
        certificate: Certificate | None = None,
        max_age: float = 30.0,
        retries: int = 2,
        refusals: int = LIMIT,
    ) -> None:
        """As `Client`."""
        found = discover(address, token, environment, ca, certificate=certificate)
        self.environment = found.named_environment()
        self.address = found.address
        self.budget = Budget(refusals)
        self._retries = retries
        self._door = AsyncDoor(found.address, found.token, timeout=timeout, ca=found.ca, certificate=found.certificate)
        self._cache = AsyncCache(self._ask, max_age)
        self._watches: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"AsyncClient({self.address!r}, environment={self.environment!r})"

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what watches, and close the connections."""
        for task in self._watches:
            task.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)
        await self._door.close()

    async def value(self, name: str) -> Value:
        """As `Client.value`."""
        path = f"/environments/{self.environment}/values/{naming.path(name)}"
        return pair((await patient_async(lambda: self._door.get(path), self._retries)).body)[1]

    async def values(self, names: Iterable[str] | None = None, *, folder: str | None = None) -> dict[str, Value]:
        """As `Client.values`."""
        path, found = f"/environments/{self.environment}/values", dict[str, Value]()
        for query in queries(names, folder):
            found.update(pairs((await patient_async(partial(self._door.get, path, query), self._retries)).body))
        return found

    async def credential(self, connection: str, *, fresh: bool = False) -> Credential:
        """As `Client.credential`."""
        name = naming.path(connection, "connection")
        return await patient_async(lambda: self._cache.get(name, fresh=fresh), self._retries)

    def known(self, connection: str) -> Credential | None:
        """As `Client.known`."""
        return self._cache.known(connection)

    def watch(self, connection: str, changed: Callable[[Credential], None] | None = None) -> "asyncio.Task[None]":
        """Keep a credential fresh in a task, and call `changed` with each new generation. Cancel it, or close this."""
        name = naming.path(connection, "connection")
        task = asyncio.create_task(
            watch(self._door, self.environment, name, self._cache, changed), name=f"keywright {name}"
        )
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)
        return task

    async def _ask(self, name: str, etag: str | None) -> Answer:
        reply = await self._door.get(f"/environments/{self.environment}/credentials/{name}", etag=etag)
        return answer(self.address, reply, etag)
