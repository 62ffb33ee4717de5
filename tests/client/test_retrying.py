"""When it is asked again: after an outage, a few times, later each time; never after an answer."""

import asyncio

import pytest
from keywright import Absent, AsyncClient, Client, Unavailable, Unreachable
from keywright.errors import KeywrightError
from keywright.retrying import Pace, patient

from tests.client.server import TOKEN, Asked, Server, Told, credential, free_port, problem

SHOP = "/environments/development/credentials/shop/db"
VALUE = "/environments/development/values/a"


class Failing:
    """Fails with these errors, one after the other, and then gives "done"."""

    def __init__(self, *errors: KeywrightError) -> None:
        self.errors = list(errors)
        self.asked = 0
        self.pauses: list[float] = []

    def __call__(self) -> str:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"

    def patiently(self, times: int) -> str:
        return patient(self, times, Pace(1.0, 4.0), self.pauses.append)


def test_after_an_outage_it_is_asked_again_later_each_time() -> None:
    failing = Failing(*(Unreachable("away") for _ in range(4)))
    assert failing.patiently(4) == "done"
    for pause, longest in zip(failing.pauses, (1, 2, 4, 4), strict=True):
        assert longest / 2 <= pause <= longest
    assert len({round(pause / longest, 6) for pause, longest in zip(failing.pauses, (1, 2, 4, 4), strict=True)}) > 1


def test_it_is_bounded() -> None:
    failing = Failing(*(Unavailable("busy") for _ in range(9)))
    with pytest.raises(Unavailable):
        failing.patiently(2)
    assert failing.asked == 3


def test_a_refusal_is_an_answer() -> None:
    failing = Failing(Absent("gone"))
    with pytest.raises(Absent):
        failing.patiently(5)
    assert (failing.asked, failing.pauses) == (1, [])


def test_the_servers_own_wish_is_heeded_within_reason() -> None:
    failing = Failing(Unavailable("busy", retry_after=7), Unavailable("busy", retry_after=86400))
    failing.patiently(2)
    assert failing.pauses == [7, 40]


@pytest.mark.parametrize("header", ["1", "0"])
def test_a_busy_server_is_asked_again(server: Server, header: str) -> None:
    refusals = [problem("unavailable", 429), problem("unavailable", 503)]

    def route(_: Asked) -> Told:
        if refusals:
            told = refusals.pop()
            return Told(told.status, told.body, told.headers | {"Retry-After": header if len(refusals) else "x"})
        return Told(body={"name": "a", "value": "b"})

    server.route("GET", VALUE, route)
    with Client(server.address, TOKEN, "development") as client:
        assert client.value("a") == "b"
    assert server.count("GET", VALUE) == 3


def test_what_is_promised_is_given_without_asking_again(server: Server) -> None:
    server.credentials["shop/db"] = ('"7"', credential())
    with Client(server.address, TOKEN, "development", max_age=0, retries=5) as client:
        client.credential("shop/db")
        server.down = problem("unavailable", 503)
        assert client.credential("shop/db").stale
    assert server.count("GET", SHOP) == 2


def test_the_same_for_tasks(server: Server) -> None:
    server.values = {"a": "b"}

    async def ask() -> None:
        async with AsyncClient(server.address, TOKEN, "development", retries=1) as client:
            server.down = problem("unavailable", 503)
            with pytest.raises(Unavailable):
                await client.value("a")
            server.down = None
            assert await client.value("a") == "b"

    asyncio.run(ask())
    assert server.count("GET", VALUE) == 3


def test_without_a_server_it_ends() -> None:
    with (
        Client(f"http://127.0.0.1:{free_port()}", TOKEN, "development", retries=1) as client,
        pytest.raises(Unreachable),
    ):
        client.credential("shop/db")
