"""Which rigs (real servers, shared by the whole run) tests can ask for by fixture name."""

import gc
from collections import Counter
from dataclasses import replace

import pytest

pytest_plugins = [
    "tests.rigs.openbao",
    "tests.rigs.moto",
    "tests.rigs.postgresql",
    "tests.rigs.mariadb",
    "tests.rigs.keywright",
    "tests.ledger.homes",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test a name of its own: of those that share one, several processes would run only one."""
    seen: Counter[str] = Counter()
    for item in items:
        seen[item.nodeid] += 1
        if seen[item.nodeid] > 1:
            item._id = replace(item._id, params=str(seen[item.nodeid]))


def pytest_collection_finish() -> None:
    """Thousands of tests stay in memory: to look at all of them again and again, as the garbage collector would, takes
    an eighth of the processor's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
