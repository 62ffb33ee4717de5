"""How a connection's health is put together of what each source found last."""

from typing import Any

import pytest

from service.keeper.health import told


@pytest.mark.parametrize("nothing", [{}, {"overdue": []}, {"rotation": None}, {"drift": [], "check": []}])
def test_nothing_to_say_is_well(nothing: dict[str, Any]) -> None:
    assert told(nothing) == ("well", [])


@pytest.mark.parametrize("said", ["a sentence", ["a sentence"]])
@pytest.mark.parametrize(
    ("source", "state"),
    [
        ("overdue", "failing"),
        ("rotation", "failing"),
        ("check", "failing"),
        ("away", "warned"),
        ("drift", "warned"),
        ("registered", "warned"),
        ("fence", "warned"),
    ],
)
def test_each_source_counts(source: str, state: str, said: object) -> None:
    assert told({source: said}) == (state, ["a sentence"])


def test_what_a_reader_of_the_ledger_adds_counts_as_well() -> None:
    assert told({}, warnings=["a warning"]) == ("warned", ["a warning"])
    assert told({}, troubles=["a trouble"]) == ("failing", ["a trouble"])


def test_the_worst_comes_first() -> None:
    health = {"registered": ["TLS is off"], "drift": ["a grant"], "check": ["rejected"], "overdue": ["late"]}
    state, findings = told(health, warnings=["alone"], troubles=["held"])
    assert state == "failing"
    assert findings == ["held", "late", "rejected", "a grant", "TLS is off", "alone"]
