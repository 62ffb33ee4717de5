"""The courier: what it takes over at its start, and whom it hears of changes from."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from scheduler import courier
from tests.rigs.keywright import running_keywright, wait_until
from tests.rigs.postgresql import PostgresServer
from tests.rigs.receiver import receiver
from tests.rigs.snapshots import compare
from tests.scheduler.test_webhooks import SETTINGS, put, standing


def test_one_that_starts_sends_what_a_former_one_held() -> None:
    """Where it is the only one: no lease runs out here, since the clock stands still."""
    with receiver() as target, standing() as stand:
        stand.it.service.courier.stop()
        hook = stand.webhook(target.url)
        stand.put("shop/A")
        former = stand.it.service.keeper.deliveries
        former.make()
        assert len(former.claim(hook["id"], 1)) == 1
        stand.it.service.courier.start()
        stand.settled(hook, 1, state="delivered")


def test_many_changes_at_once_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it takes its breath it hears of all of them, and looks once."""
    monkeypatch.setattr(courier, "BREATH", 3600.0)
    with standing() as stand:
        it = stand.it.service.courier
        it.stop()
        looks = []
        monkeypatch.setattr(it, "look", lambda: looks.append(len(looks)))
        it.start()
        wait_until(lambda: bool(looks), "it does not look")
        for number in range(20):
            stand.put(f"shop/{number}")
        assert it._news.is_set()
        it.stop()
        assert looks == [0]


def test_one_that_has_nothing_to_do_hears_of_what_other_processes_change(
    new_postgresql: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "TIDIES", 3600.0)
    server = new_postgresql
    server.execute("CREATE DATABASE courier_ledger")
    url = f"postgresql://postgres:{server.password}@{server.host}:{server.port}/courier_ledger"
    tmp_path.chmod(0o700)
    try:
        with ExitStack() as stack:
            target = stack.enter_context(receiver())
            one = stack.enter_context(running_keywright(ledger_url=url, data=tmp_path, **SETTINGS))
            other = stack.enter_context(running_keywright(ledger_url=url, data=tmp_path, owner=one.owner, **SETTINGS))
            client = other.client()
            client.post("/environments", json={"name": "production"}).raise_for_status()
            hook = client.post("/webhooks", json={"name": "hook", "url": target.url}).json()
            one.service.courier._every = 0.05
            one.service.courier.start()
            wait_until(lambda: not one.service.courier._news.is_set(), "it looks on and on")
            put(client, "shop/A")
            target.wait(1)
            path = f"/webhooks/{hook['id']}/deliveries"
            wait_until(
                lambda: [each["state"] for each in client.get(path).json()["items"]] == ["delivered"], "not sent"
            )
            one.service.courier.stop()
            for it in (one, other):
                compare(it.service)
    finally:
        server.execute("DROP DATABASE courier_ledger WITH (FORCE)")
