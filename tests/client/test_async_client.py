"""AsyncClient gives what Client gives: the same answers, the same errors, from the same server."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from keywright import Absent, AsyncClient, Invalid, Unauthenticated, Unexpected

from tests.client.server import PASSWORD, TOKEN, Server, Told, credential, entry, problem, serve

SHOP = "/environments/development/credentials/shop/db"


def asked(server: Server, ask: Callable[[AsyncClient], Awaitable[None]], **more: float) -> None:
    """Run `ask` with a client of its own."""

    async def run() -> None:
        async with AsyncClient(server.address, TOKEN, "development", **more) as client:  # type: ignore[arg-type]
            await ask(client)

    asyncio.run(run())


def test_values(server: Server) -> None:
    server.values = {"shop/db/HOST": "db1", "shop/limits": {"rows": 5}, "mail/HOST": "mx"}

    async def ask(client: AsyncClient) -> None:
        assert await client.value("shop/limits") == {"rows": 5}
        assert await client.values(folder="shop/") == {"shop/db/HOST": "db1", "shop/limits": {"rows": 5}}
        assert await client.values(["mail/HOST"]) == {"mail/HOST": "mx"}
        with pytest.raises(Absent, match="look at the name"):
            await client.value("shop/none")
        with pytest.raises(Invalid):
            await client.values()
        with pytest.raises(Invalid):
            await client.credential("../../me")

    asked(server, ask)


def test_a_credential_is_kept_revalidated_and_renewed(server: Server) -> None:
    server.credentials["shop/db"] = ('"7"', credential())

    async def ask(client: AsyncClient) -> None:
        assert client.known("shop/db") is None
        first = await client.credential("shop/db")
        assert client.known("shop/db") is first
        assert await client.credential("shop/db", fresh=True) is first
        assert server.asked[-1].headers["if-none-match"] == '"7"'
        assert await client.credential("shop/db") is first
        assert server.count("GET", SHOP) == 2
        server.credentials["shop/db"] = ('"8"', credential(entry(password="turned"), generation=8))
        assert (await client.credential("shop/db", fresh=True)).best.password == "turned"
        assert PASSWORD not in repr(client) + repr(vars(client))

    asked(server, ask)


def test_tasks_share_one_question(server: Server) -> None:
    server.credentials["shop/db"] = ('"7"', credential())

    async def ask(client: AsyncClient) -> None:
        told = await asyncio.gather(*(client.credential("shop/db") for _ in range(8)))
        assert all(one is told[0] for one in told)
        assert server.count("GET", SHOP) == 1

    asked(server, ask)


def test_an_outage_leaves_what_is_promised_and_a_refusal_does_not() -> None:
    with serve() as server:
        server.credentials["shop/db"] = ('"7"', credential())

        async def ask(client: AsyncClient) -> None:
            assert not (await client.credential("shop/db")).stale
            server.down = problem("unavailable", 503)
            assert (await client.credential("shop/db")).stale
            server.down, server.token = None, "kw_another"
            with pytest.raises(Unauthenticated):
                await client.credential("shop/db")
            server.token = TOKEN
            server.route("GET", SHOP, Told(304))
            with pytest.raises(Unexpected, match="304"):
                await client.credential("shop/db")

        asked(server, ask, max_age=0)
