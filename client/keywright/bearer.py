"""The token in a request's header (RFC 6750, 2.1), asked anew for every request.

A source that signs in by itself (`Renewing`) is asked once more when the server does not take its token: it may have
been revoked, or the server restored.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Protocol, runtime_checkable

import httpx2


@runtime_checkable
class Renewing(Protocol):
    """A source of tokens that can get others."""

    def __call__(self) -> str:
        """The token. May ask the server, and then raises any of `errors`."""

    def refused(self, token: str) -> bool:
        """The server did not take this one. True if asking again gives another."""


class Bearer(httpx2.Auth):
    """Kept out of the client's headers, so that no dump of those holds the token."""

    def __init__(self, token: Callable[[], str] | None) -> None:
        self._token = token

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        """With the token, and after a 401 with another one if there is."""
        if self._token is None:
            yield request
            return
        token = self._token()
        response = yield _signed(request, token)
        if response.status_code == 401 and isinstance(self._token, Renewing) and self._token.refused(token):
            yield _signed(request, self._token())

    async def async_auth_flow(self, request: httpx2.Request) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """The same; a source that may ask the server does so in a thread."""
        if self._token is None:
            yield request
            return
        source = self._token
        renewing = isinstance(source, Renewing)
        token = await asyncio.to_thread(source) if renewing else source()
        response = yield _signed(request, token)
        if response.status_code == 401 and isinstance(source, Renewing) and source.refused(token):
            yield _signed(request, await asyncio.to_thread(source))


def _signed(request: httpx2.Request, token: str) -> httpx2.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request
