"""What a rotation, a check and an incident signal: each stage once, in order, and nothing that could be secret."""

from typing import Any

import pytest

from service.core.rotation import Strategy
from service.core.signal import Signal
from service.keeper.incidents import Wanted
from service.keeper.tokens import SYSTEM
from service.ledger import signals
from tests.rigs.rotating import Stand, stand


def told(it: Stand) -> list[Signal]:
    with it.service.ledger.read() as tx:
        return signals.behind(tx.sql, 0, 1000)


@pytest.mark.parametrize("strategy", [Strategy.ALTERNATING, Strategy.SINGLE])
def test_a_rotation_signals_its_stages(strategy: Strategy) -> None:
    with stand(strategy) as it:
        before = len(told(it))
        it.ask()
        it.run()
        found = [signal for signal in told(it)[before:] if signal.kind.startswith("rotation.")]
        kinds = [signal.kind for signal in found]
        announced = ["rotation.announced"] if strategy is Strategy.SINGLE else []
        expected = ["rotation.staged", *announced, "rotation.applied", "rotation.verified", "rotation.published"]
        assert kinds == [*expected, "rotation.draining", "rotation.retired"]
        assert {(signal.environment, signal.resource) for signal in found} == {("production", "shop/db")}
        assert len({signal.told["rotation"] for signal in found}) == 1
        published: Any = next(signal for signal in found if signal.kind == "rotation.published")
        assert published.told["generation"] == 2


def test_an_incident_signals_its_course() -> None:
    with stand(Strategy.ALTERNATING) as it:
        account = it.service.keeper.incidents.begin(SYSTEM, "production", Wanted("shop", "a secret reason", False, 60))
        it.service.keeper.incidents.cancel(SYSTEM, account.incident.id)
        found = [signal for signal in told(it) if signal.kind.startswith("incident.")]
        assert [(signal.kind, signal.resource) for signal in found] == [
            ("incident.begin", "shop"),
            ("incident.cancel", "shop"),
        ]
        assert {signal.told["incident"] for signal in found} == {account.incident.id}
        assert "reason" not in "".join(signal.text() for signal in found)
