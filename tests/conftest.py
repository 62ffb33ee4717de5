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


BEGUN_FIRST = (
    "tests/strangers/test_agents.py",
    "tests/docs/test_readme.py",
    "tests/http/test_openapi.py",
    "tests/access/test_matrix.py",
    "tests/scheduler/test_host_rules.py",
    "tests/http/test_factor_pages.py",
    "tests/demo/test_demo.py",
    "tests/http/test_step_up.py",
    "tests/agent/test_rotations.py",
    "tests/scheduler/test_killed.py",
    "tests/agent/test_agent.py",
    "tests/scheduler/test_one_at_a_time.py",
    "tests/scheduler/test_replicas.py",
)
"""The files that take longest, so that no worker is left alone with one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, and give every test a name of its own: of those that share one, several processes
    would run only one."""
    places = {file: place for place, file in enumerate(BEGUN_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(BEGUN_FIRST)))
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
