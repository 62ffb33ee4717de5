"""Promise 8 down to the disk: no answer leaves before its event was synced, and none if it could not be."""

from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing

import pytest

from tests.rigs.disk import Disk, held_disk
from tests.rigs.keywright import Keywright, running_keywright, wait_until
from tests.rigs.line import Line, Reply

PLACE = "/environments/production"
VALUE = f"{PLACE}/values/shop/A"
AT_ONCE = 6


@pytest.fixture(scope="module")
def disk() -> Iterator[Disk]:
    with held_disk() as it:
        yield it


@pytest.fixture(scope="module")
def it(disk: Disk) -> Iterator[Keywright]:
    with running_keywright() as served:
        owner = served.client()
        owner.post("/environments", json={"name": "production"}).raise_for_status()
        owner.put(f"{PLACE}/variables/shop/A", json={"value": "one"}).raise_for_status()
        yield served


def ask(it: Keywright, method: str = "GET", path: str = VALUE, data: object = None) -> Reply:
    with closing(Line(it.url, it.owner)) as line:
        return line.ask(method, path, data)


def answered_while_held(disk: Disk, answers: list[Future[Reply]]) -> list[Reply]:
    """Wait until a sync is asked for, or an answer comes without one; the answers that came by then."""
    wait_until(lambda: disk.asked.is_set() or any(map(Future.done, answers)), "neither a sync nor an answer")
    done, _ = wait(answers, timeout=0.3, return_when=FIRST_COMPLETED)
    return [each.result() for each in done]


def test_nobody_is_answered_while_the_disk_has_not_taken_the_events(it: Keywright, disk: Disk) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        disk.hold()
        try:
            answers = [pool.submit(ask, it) for _ in range(AT_ONCE)]
            assert answered_while_held(disk, answers) == []
        finally:
            disk.release()
        for reply in (each.result(30) for each in answers):
            assert reply.status == 200
            assert reply.request_id.encode() in disk.written[: disk.synced]


def test_neither_is_a_refusal_nor_a_change(it: Keywright, disk: Disk) -> None:
    for method, path, data, status in (
        ("GET", f"{PLACE}/values/absent", None, 404),
        ("PUT", f"{PLACE}/variables/shop/A", {"value": "two"}, 200),
    ):
        with ThreadPoolExecutor(1) as pool:
            disk.hold()
            try:
                answer = pool.submit(ask, it, method, path, data)
                assert answered_while_held(disk, [answer]) == []
            finally:
                disk.release()
            assert answer.result(30).status == status


def test_what_the_disk_does_not_take_is_not_answered(it: Keywright, disk: Disk) -> None:
    before = ask(it).json()
    disk.fails = True
    try:
        fetch, change = ask(it), ask(it, "PUT", f"{PLACE}/variables/shop/A", {"value": "three"})
    finally:
        disk.fails = False
    assert (fetch.status, change.status) == (503, 503)
    assert ask(it).json() == before
    listed = ask(it, path="/events?limit=20").json()["items"]
    assert {fetch.request_id, change.request_id} & {event["request"] for event in listed} == set()
    assert ask(it, path="/events/verify").json()["whole"] is True
