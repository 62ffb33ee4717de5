"""How large an answer may be: Keywright's own end at 4 MiB, and whatever else answers must not fill our memory.

Answers are asked for as they are (Accept-Encoding: identity, RFC 9110, 12.5.3), since a few bytes can unpack to
gigabytes; one that is packed all the same is refused before any of it is unpacked. A stream of events has no end, and
is read line by line.
"""

from collections.abc import AsyncIterator, Iterator

import httpx2

from keywright import errors

LARGEST = 8 * 1024 * 1024
"""Bytes."""
STREAM = "text/event-stream"
HEADERS = {"Accept-Encoding": "identity"}


def limit(response: httpx2.Response) -> None:
    """A hook of `httpx2.Client`: reading the answer raises Unexpected where it passes the limit."""
    if _limited(response) and isinstance(response.stream, httpx2.SyncByteStream):
        response.stream = _Limited(response.stream)


async def limit_async(response: httpx2.Response) -> None:
    """The same of `httpx2.AsyncClient`."""
    if _limited(response) and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _AsyncLimited(response.stream)


def _limited(response: httpx2.Response) -> bool:
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise errors.Unexpected(
            "the answer is packed, which was not asked for: is this Keywright's address?", status=response.status_code
        )
    asked, told = response.request.headers.get("Accept", ""), response.headers.get("Content-Type", "")
    return not (asked == STREAM and response.is_success and told.startswith(STREAM))


def _counted(read: int) -> None:
    if read > LARGEST:
        raise errors.Unexpected(f"the answer is larger than {LARGEST:,} bytes: is this Keywright's address?")


class _Limited(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        for piece in self._stream:
            read += len(piece)
            _counted(read)
            yield piece

    def close(self) -> None:
        self._stream.close()


class _AsyncLimited(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for piece in self._stream:
            read += len(piece)
            _counted(read)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
