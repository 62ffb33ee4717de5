"""Batches of an event loop: who is recorded together with whom."""

import asyncio
from types import SimpleNamespace
from typing import Any

from service.http.fetching import Fetching
from service.keeper.asked import Asked


class Recorder:
    """Notes how many were recorded together."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def evaluate(self, _: Asked) -> None:
        """Nothing is asked of a ledger."""

    def record_at_once(self, batch: list[Asked]) -> bool:
        """They are."""
        self.sizes.append(len(batch))
        return True


def recorded(*turns: int) -> list[int]:
    """The batches, if so many came in each turn of the loop."""
    recorder = Recorder()
    keeper: Any = SimpleNamespace(recorder=recorder)

    async def come() -> None:
        fetching = Fetching(keeper, None)  # type: ignore[arg-type]  # nobody waits for a change here
        for number in turns:
            for _ in range(number):
                fetching.submit(Asked(lambda *_: None, "value.fetch", "production", "A"))
            await asyncio.sleep(0)
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run(come())
    assert sum(recorder.sizes) == sum(turns)
    return recorder.sizes


def test_what_comes_in_one_turn_is_recorded_at_once() -> None:
    assert recorded(1) == [1]
    assert recorded(3, 3, 5) == [3, 3, 5]


def test_a_smaller_batch_waits_for_who_asks_at_the_same_time() -> None:
    assert recorded(3, 1, 1, 1) == [3, 3]  # and no longer than until it is as large
    assert recorded(3, 1, 1, 0, 1) == [3, 2, 1]  # or nothing new comes
    assert recorded(3, 1, 0, 1, 1) == [3, 1, 1, 1]  # from then on that is how many come


def test_one_alone_waits_for_nobody() -> None:
    assert recorded(*[1] * 5) == [1] * 5
