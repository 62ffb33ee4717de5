"""However large or packed an answer is, a client's memory is not filled."""

import asyncio
import gzip

import pytest
from keywright import Unexpected
from keywright.async_door import AsyncDoor
from keywright.door import Door
from keywright.size import LARGEST

from tests.client.server import TOKEN, Server, Told

LARGE = Told(body=b'"' + b"a" * LARGEST + b'"')
PACKED = Told(body=gzip.compress(b'"' + b"a" * 100_000_000 + b'"'), headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize(("told", "why"), [(LARGE, "larger than"), (PACKED, "packed")])
def test_an_answer_without_measure_is_refused(server: Server, told: Told, why: str) -> None:
    server.route("GET", "/me", told)
    with Door(server.address, lambda: TOKEN) as door, pytest.raises(Unexpected, match=why):
        door.get("/me")

    async def ask() -> None:
        async with AsyncDoor(server.address, lambda: TOKEN) as door:
            await door.get("/me")

    with pytest.raises(Unexpected, match=why):
        asyncio.run(ask())
    assert [asked.headers["accept-encoding"] for asked in server.asked] == ["identity"] * 2


def test_a_large_answer_is_read(server: Server) -> None:
    server.route("GET", "/me", Told(body=b'"' + b"a" * (LARGEST - 2) + b'"'))
    with Door(server.address, lambda: TOKEN) as door:
        assert len(door.get("/me").body) == LARGEST - 2
