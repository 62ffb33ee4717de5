"""Processors that are kept awake: under load, for as long as it lasts, and only where that was wanted."""

import os
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from service.core.errors import Invalid
from service.http.awake import BUSY, DEVICE, Awake
from service.serving import server_of
from service.settings import read
from service.wiring import build
from tests.rigs.keywright import running_keywright, wait_until


class Batches:
    """As many as somebody says."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> int:
        return self.number


def test_it_is_held_while_there_is_load(tmp_path: Path) -> None:
    device = tmp_path / "latency"
    device.write_bytes(b"")
    batches = Batches()
    awake = Awake(batches, device)
    awake.check()
    assert (device.read_bytes(), awake.held) == (bytes(4), False)
    held = []
    for more in (0, BUSY - 1, BUSY, BUSY, BUSY - 1, BUSY):
        batches.number += more
        awake.look()
        held.append(awake.held)
    assert held == [False, False, True, True, False, True]
    awake.close()
    assert not awake.held
    assert not [fd for fd in os.listdir("/proc/self/fd") if _leads_to(fd, device)]


def test_what_may_not_be_written_is_said_before_anybody_is_served(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"KEYWRIGHT_AWAKE needs to write to .*/nowhere.*No such file"):
        Awake(Batches(), tmp_path / "nowhere").check()
    busy = Batches()
    awake = Awake(busy, tmp_path / "nowhere")
    with capture_logs() as said:
        for _ in range(3):  # gone while it serves: nobody's fetch fails for it, and it is said once
            busy.number += BUSY
            awake.look()
    assert not awake.held
    assert [(each["log_level"], "nowhere" in each["reason"]) for each in said] == [("warning", True)]


def test_the_system_hears_it(tmp_path: Path) -> None:
    """The device tells the least that anybody asks for. Where it may not be written, the server says so and ends."""
    try:
        Awake(Batches()).check()
    except Invalid:
        service = build(read({"KEYWRIGHT_AWAKE": "true"}, data=tmp_path))
        try:
            with pytest.raises(Invalid, match="KEYWRIGHT_AWAKE"):
                server_of(service, "127.0.0.1", 0)
        finally:
            service.close()
        return
    with running_keywright(awake=True) as it:
        owner = it.client()
        owner.post("/environments", json={"name": "production"}).raise_for_status()
        owner.put("/environments/production/variables/A", json={"value": "one"}).raise_for_status()
        fetching = it._server.app.state.fetching  # type: ignore[union-attr]
        assert it._server.awake is not None  # type: ignore[union-attr]
        assert not it._server.awake.held  # type: ignore[union-attr]

        def fetched() -> bool:
            before = fetching.batches
            owner.get("/environments/production/values/A").raise_for_status()
            assert fetching.batches > before
            fetching.batches += BUSY  # as if so many had asked
            return bool(it._server.awake.held)  # type: ignore[union-attr]

        wait_until(fetched, "it is not held under load")
        assert _least() == 0
        wait_until(lambda: not it._server.awake.held, "it is held without load")  # type: ignore[union-attr]


def _least() -> int:
    with DEVICE.open("rb") as file:
        return int.from_bytes(file.read(4), "little")


def _leads_to(fd: str, path: Path) -> bool:
    try:
        return Path(f"/proc/self/fd/{fd}").readlink() == path
    except OSError:
        return False
