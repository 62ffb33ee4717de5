"""Shares: slow targets of one environment leave room for those of others, and of one host for other hosts."""

import threading
from itertools import count

import pytest

from scheduler import shares
from scheduler.shares import EACH, MOST, Shares
from service.keeper.deliveries import Due
from tests.rigs.receiver import Receiver, receiver
from tests.scheduler.test_webhooks import Stand, put, stand, target

__all__ = ["stand", "target"]  # fixtures


def fill(running: Shares, environment: str, hosts: int = 50) -> int:
    """Begin whatever may begin, of as many webhooks as there are in an environment. How many."""
    begun = 0
    for number in range(hosts):
        due = Due(f"{environment}{number}", environment, f"{number}.test")
        for _ in range(running.room(due)):
            running.begin(due)
            begun += 1
    return begun


def test_many_environments_without_an_answer_leave_room() -> None:
    running = Shares()
    begun = [fill(running, f"e{number}") for number in range(6)]
    assert begun == [64, 32, 16, 8, 4, 2]
    assert running.room(Due("late", "late", "late.test")) == 1
    assert len(running) < MOST


def test_an_environment_that_had_much_comes_down_to_its_share() -> None:
    running = Shares()
    fill(running, "a")
    begun = Due("a0", "a", "0.test")
    fill(running, "b")
    running.end(begun)
    assert running.room(begun) == 0, "others came meanwhile"


def test_one_host_leaves_room_to_others_and_one_webhook_has_two() -> None:
    running, ids = Shares(), count()
    while running.room(due := Due(f"{next(ids)}", "a", "dead.test")):
        running.begin(due)
        assert running.room(due) < EACH
    assert len(running) == MOST // 4
    assert running.room(Due("other", "a", "alive.test")) == EACH
    assert running.room(Due("other", "b", "dead.test")) == EACH, "another environment's are its own"


def test_slow_targets_of_two_environments_delay_no_third(
    stand: Stand, target: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shares, "MOST", 8)
    with receiver() as slow:
        slow.waits = threading.Event()
        for name in ("staging", "testing"):
            stand.owner.post("/environments", json={"name": name}).raise_for_status()
            for number in range(8):
                stand.webhook(slow.url, f"slow{number}", environment=name)
            put(stand.owner, "shop/A", f"/environments/{name}")
        slow.wait(2)
        hook = stand.webhook(target.url)
        stand.put("shop/A")
        target.wait(1)
        stand.settled(hook, 1, state="delivered")
        slow.waits.set()
        slow.wait(16)
