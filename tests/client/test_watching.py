"""Watching: a change is known as soon as the server tells, and a server that is away is left alone."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from keywright import AsyncClient, Client, Credential, watching
from keywright.answers import Reply
from keywright.keeping import Answer
from keywright.retrying import Pace
from keywright.watching import ENDS_WITHIN

from tests.client.server import TOKEN, Asked, Server, Told, credential, entry, problem
from tests.rigs.keywright import wait_until

SHOP = "/environments/development/credentials/shop/db"


class Shop:
    """A server that holds `?wait=` until its credential is turned."""

    def __init__(self, server: Server) -> None:
        self.generation = 1
        self.turned = threading.Condition()
        self.waits: list[float] = []
        self.down: Told | None = None
        self.over = False
        server.route("GET", SHOP, self.answer)

    def answer(self, asked: Asked) -> Told:
        with self.turned:
            wait = float(asked.query.get("wait", 0))
            self.waits.append(wait)
            if self.down:
                return self.down
            if asked.headers.get("if-none-match") == self.etag:
                etag = self.etag
                self.turned.wait_for(lambda: self.over or self.etag != etag, timeout=wait)
                if self.etag == etag:
                    return Told(304, headers={"ETag": etag})
            return Told(
                body=credential(entry(password=f"p{self.generation}"), generation=self.generation),
                headers={"ETag": self.etag},
            )

    @property
    def etag(self) -> str:
        return f'"{self.generation}"'

    def turn(self) -> None:
        with self.turned:
            self.generation += 1
            self.turned.notify_all()

    def end(self) -> None:
        with self.turned:
            self.over = True
            self.turned.notify_all()


@pytest.fixture
def shop(server: Server) -> Iterator[Shop]:
    shop = Shop(server)
    yield shop
    shop.end()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.address, TOKEN, "development") as client:
        yield client


def test_a_new_generation_is_told_and_is_in_the_cache(shop: Shop, client: Client) -> None:
    told: list[Credential] = []
    with client.watch("shop/db", told.append):
        wait_until(lambda: any(wait > 10 for wait in shop.waits), "nobody waits")
        shop.turn()
        wait_until(lambda: bool(told), "nobody was told")
        asked = len(shop.waits)
        assert client.credential("shop/db").best.password == "p2"
        assert told[0].generation == 2
        assert len(shop.waits) <= asked + 1  # the watcher's own next question, not the cache's


def test_it_ends_at_once_although_the_server_waits(shop: Shop, client: Client) -> None:
    watcher = client.watch("shop/db")
    wait_until(lambda: any(wait > 10 for wait in shop.waits), "nobody waits")
    watcher.close()
    assert not any(thread.name == "keywright shop/db" for thread in threading.enumerate())
    watcher.close()
    assert ENDS_WITHIN < 10 < max(shop.waits)


def test_it_may_be_closed_from_its_own_callback(shop: Shop, client: Client) -> None:
    closed = threading.Event()

    def changed(_: Credential) -> None:
        watcher.close()
        closed.set()

    watcher = client.watch("shop/db", changed)
    wait_until(lambda: any(wait > 10 for wait in shop.waits), "nobody waits")
    shop.turn()
    assert closed.wait(20)
    wait_until(lambda: all(t.name != "keywright shop/db" for t in threading.enumerate()), "it goes on")


def test_a_callback_that_fails_is_logged_and_watching_goes_on(
    shop: Shop, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    def changed(credential: Credential) -> None:
        raise RuntimeError(f"generation {credential.generation}")

    with client.watch("shop/db", changed):
        for generation in (2, 3):
            wait_until(lambda: any(wait > 10 for wait in shop.waits), "nobody waits")
            shop.turn()
            wait_until(lambda g=generation: f"generation {g}" in caplog.text, "nothing was logged")  # type: ignore[misc]
    assert "p2" not in caplog.text


@pytest.mark.parametrize("told", [problem("unavailable", 503), problem("absent", 404)])
def test_a_server_that_does_not_answer_is_left_alone_longer_each_time(
    shop: Shop, client: Client, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def quick(seconds: float) -> None:
        if not threading.current_thread().name.startswith("keywright "):
            await sleep(seconds)  # another test's
            return
        slept.append(seconds)
        await sleep(0.001)

    monkeypatch.setattr("keywright.watching.asyncio.sleep", quick)
    shop.down = told
    with client.watch("shop/db"):
        wait_until(lambda: len(slept) > 8, "it gave up")
    assert max(slept[:2]) < min(slept[6:8])
    assert max(slept) <= 60


def test_a_server_that_never_waits_is_not_asked_in_a_tight_loop(
    server: Server, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def quick(seconds: float) -> None:
        if not threading.current_thread().name.startswith("keywright "):
            await sleep(seconds)  # another test's
            return
        slept.append(seconds)
        await sleep(0.001)

    monkeypatch.setattr("keywright.watching.asyncio.sleep", quick)
    server.credentials["shop/db"] = ('"7"', credential())
    with client.watch("shop/db"):
        wait_until(lambda: len(slept) > 3, "it gave up")
    assert min(slept) >= 0.5


def test_a_promise_is_renewed_before_it_is_used_up(server: Server, client: Client) -> None:
    server.credentials["shop/db"] = ('"7"', credential(entry(good_for=2)))
    with client.watch("shop/db"):
        wait_until(
            lambda: sum("if-none-match" not in asked.headers for asked in server.asked) >= 2, "it was not asked in full"
        )
    assert max(float(asked.query.get("wait", 0)) for asked in server.asked) <= 1


def test_tasks_watch_too(shop: Shop, server: Server) -> None:
    async def watch() -> None:
        told: asyncio.Queue[Credential] = asyncio.Queue()
        async with AsyncClient(server.address, TOKEN, "development") as client:
            task = client.watch("shop/db", told.put_nowait)
            while not any(wait > 10 for wait in shop.waits):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(shop.turn)
            assert (await asyncio.wait_for(told.get(), 20)).generation == 2
            assert (await client.credential("shop/db")).best.password == "p2"
        assert task.cancelled()

    asyncio.run(watch())


def test_an_answer_of_any_form_does_not_end_the_watching(
    shop: Shop, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "_REFUSAL", Pace(0.01, 0.02))
    odd = iter([RuntimeError("p1"), OverflowError("p1")])
    whole = watching.answer

    def answer(address: str, reply: Reply, etag: str | None) -> Answer:
        for error in odd:
            raise error
        return whole(address, reply, etag)

    monkeypatch.setattr(watching, "answer", answer)
    told: list[Credential] = []
    client.credential("shop/db")
    with client.watch("shop/db", told.append):
        wait_until(lambda: any(wait > 10 for wait in shop.waits), "nobody waits")
        shop.turn()
        wait_until(lambda: bool(told), "nobody was told")
