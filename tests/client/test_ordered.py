"""Which entry is tried next, after which error, and how often: with drivers that count what they are asked."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from keywright import Credential, Unreachable
from keywright.attempts import log_in, log_in_async
from keywright.budget import AGAIN, ASKS, REST, Budget
from keywright.credential import Entry, from_wire

from tests.client.server import credential, entry


class Refused(Exception):
    """The database does not take this password."""


class Lost(Exception):
    """The network broke."""


def offered(*passwords: str) -> Credential:
    """A set with these passwords of one login, best first."""
    return from_wire(credential(*(entry("live", password) for password in passwords)))


@dataclass
class Stage:
    """A client and a database: `valid` are its passwords, `tried` those it was asked with."""

    sets: list[Credential]
    valid: set[str]
    now: float = 0.0
    tried: list[str] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    error: Exception | None = None
    budget: Budget = field(init=False)

    def __post_init__(self) -> None:
        self.budget = Budget(now=lambda: self.now)

    def credential(self, connection: str, *, fresh: bool = False) -> Credential:
        self.asked.append(fresh)
        if fresh and self.error:
            raise self.error
        return self.sets.pop(0) if len(self.sets) > 1 else self.sets[0]

    def connect(self, credential: Credential, entry: Entry) -> str:
        self.tried.append(entry.password)
        if entry.password == "network":
            raise Lost
        if entry.password not in self.valid:
            raise Refused(entry.password)
        return entry.password

    def log_in(self) -> str:
        return log_in(self, "shop/db", self.connect, lambda error: isinstance(error, Refused))

    def refused(self) -> Refused:
        with pytest.raises(Refused) as caught:
            self.log_in()
        return caught.value


def test_the_first_that_works_is_the_last_that_is_tried() -> None:
    stage = Stage([offered("a", "b", "c")], {"b", "c"})
    assert stage.log_in() == "b"
    assert (stage.tried, stage.asked) == (["a", "b"], [False])


def test_refused_by_all_it_is_asked_anew_once() -> None:
    stage = Stage([offered("a", "b"), offered("b", "c")], {"c"})
    assert stage.log_in() == "c"
    assert (stage.tried, stage.asked) == (["a", "b", "c"], [False, True])


def test_with_nothing_new_the_drivers_own_error_comes_out() -> None:
    stage = Stage([offered("a", "b")], set())
    assert stage.refused().args == ("b",)
    assert (stage.tried, stage.asked) == (["a", "b"], [False, True])


def test_the_drivers_error_stands_where_asking_anew_fails() -> None:
    stage = Stage([offered("a")], set(), error=Unreachable("away"))
    assert stage.refused().args == ("a",)


def test_no_other_password_is_tried_after_another_error() -> None:
    stage = Stage([offered("network", "b")], {"b"})
    with pytest.raises(Lost):
        stage.log_in()
    assert (stage.tried, stage.asked) == (["network"], [False])
    for _ in range(10):  # and it counts for nothing
        with pytest.raises(Lost):
            stage.log_in()


def test_a_refused_password_rests_and_the_others_go_on() -> None:
    stage = Stage([offered("a", "b")], {"b"})
    for _ in range(10):
        assert stage.log_in() == "b"
    assert stage.tried.count("a") == 1
    stage.now += AGAIN + 1
    stage.valid = {"a"}
    assert stage.log_in() == "a"


def test_a_login_is_refused_three_times_in_a_row_and_then_once_a_minute() -> None:
    stage = Stage([offered("a", "b")], set())
    stage.refused()
    for _ in range(60):
        stage.now += 1
        again = stage.refused()
    assert len(stage.tried) == 3
    assert "would lock it" in again.__notes__[0]
    stage.now += REST
    stage.refused()
    stage.refused()
    assert len(stage.tried) == 4
    stage.now += REST
    stage.valid = {"a"}
    assert stage.log_in() == "a"
    stage.valid = set()
    stage.now += AGAIN
    stage.refused()
    assert len(stage.tried) == 7  # one success, and it is counted from nothing


def test_keywright_is_not_asked_in_a_tight_loop() -> None:
    stage = Stage([offered("a")], set())
    for _ in range(50):
        stage.refused()
    assert stage.asked.count(True) == 1
    stage.now += ASKS
    stage.refused()
    assert stage.asked.count(True) == 2


def together(number: int, ask: Callable[[], object]) -> None:
    """Call it in so many threads at once."""
    gate = threading.Barrier(number)

    def run() -> None:
        gate.wait(10)
        ask()

    threads = [threading.Thread(target=run) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)


def test_many_threads_at_once_cost_no_more_refusals() -> None:
    stage = Stage([offered("old", "new")], {"new"})
    connect = stage.connect

    def slow(credential: Credential, entry: Entry) -> str:
        time.sleep(0.02)
        return connect(credential, entry)

    stage.connect = slow  # type: ignore[method-assign]
    together(20, stage.log_in)
    assert stage.tried.count("new") == 20
    assert stage.tried.count("old") <= 2


def test_tasks_do_as_threads_do() -> None:
    stage = Stage([offered("a", "old"), offered("old", "new")], {"new"})

    class Source:
        budget = stage.budget

        async def credential(self, connection: str, *, fresh: bool = False) -> Credential:
            return stage.credential(connection, fresh=fresh)

    async def connect(credential: Credential, entry: Entry) -> str:
        await asyncio.sleep(0.01)
        return stage.connect(credential, entry)

    async def all_of_them() -> list[str]:
        one = log_in_async(Source(), "shop/db", connect, lambda error: isinstance(error, Refused))
        first = await one
        more = (log_in_async(Source(), "shop/db", connect, lambda error: isinstance(error, Refused)) for _ in range(20))
        return [first, *await asyncio.gather(*more)]

    assert asyncio.run(all_of_them()) == ["new"] * 21
    assert (stage.tried.count("a"), stage.tried.count("old")) == (1, 1)


def test_a_login_that_is_given_up_counts_for_nothing() -> None:
    stage = Stage([offered("a")], {"a"})

    class Source:
        budget = stage.budget

        async def credential(self, connection: str, *, fresh: bool = False) -> Credential:
            return stage.credential(connection, fresh=fresh)

    async def never(credential: Credential, entry: Entry) -> str:
        await asyncio.sleep(60)
        return ""

    async def given_up() -> None:
        for _ in range(5):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await log_in_async(Source(), "shop/db", never, lambda error: isinstance(error, Refused))

    asyncio.run(given_up())
    assert stage.log_in() == "a"
