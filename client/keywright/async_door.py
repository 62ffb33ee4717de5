"""The native door for who waits without a thread: the same answers as `keywright.door`, in one event loop."""

import contextlib
from collections.abc import Callable, Mapping
from types import TracebackType

import httpx2

from keywright.answers import Reply, failures, reply
from keywright.bearer import Bearer
from keywright.certificate import Certificate
from keywright.door import CUT
from keywright.size import limit_async
from keywright.trust import Trust


class AsyncDoor:
    """One server, asked as one caller, from one event loop. Close it when done."""

    def __init__(
        self,
        address: str,
        token: Callable[[], str] | None,
        *,
        timeout: float = 10.0,
        ca: str | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """As `Door`."""
        self.address = address
        self._token = token
        self._timeout = timeout
        self._trust = Trust(address, ca, certificate)
        self._opened: httpx2.AsyncClient | None = None
        self._former: httpx2.AsyncClient | None = None

    def __repr__(self) -> str:
        return f"AsyncDoor({self.address!r})"

    async def __aenter__(self) -> "AsyncDoor":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for opened in (self._opened, self._former):
            if opened is not None:
                await opened.aclose()
        self._opened = self._former = None

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, *, etag: str | None = None, wait: float = 0.0
    ) -> Reply:
        """As `Door.get`. With `wait` the server may take that many seconds more, until something changed."""
        url = f"{self.address}/api/v1{path}"
        asked = dict(query or {}) | ({"wait": f"{wait:.3f}"} if wait else {})
        headers = {"If-None-Match": etag} if etag else {}
        timeout = httpx2.Timeout(self._timeout, read=self._timeout + wait)
        with failures(self.address, self._timeout + wait):
            try:
                response = await (await self._http()).get(url, params=asked, headers=headers, timeout=timeout)
            except CUT:
                response = await (await self._http()).get(url, params=asked, headers=headers, timeout=timeout)
        return reply(self.address, response)

    async def _http(self) -> httpx2.AsyncClient:
        if self._trust.turned():
            # Others may be asking over the former: it is closed when there is another one.
            before, self._former, self._opened = self._former, self._opened, None
            if before is not None:
                with contextlib.suppress(httpx2.TransportError):
                    await before.aclose()
        if self._opened is None:
            self._opened = httpx2.AsyncClient(
                auth=Bearer(self._token),
                timeout=self._timeout,
                event_hooks={"response": [limit_async]},
                **self._trust.settings(),
            )
        return self._opened
