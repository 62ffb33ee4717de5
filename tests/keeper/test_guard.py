"""Every operation that changes something is guarded, or says why it is not."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from service.core.approval import EXEMPT, GUARDED, REVEALS, Area, Terms, hidden, summary
from service.core.errors import Invalid

KEEPER = Path("service/keeper")
WRITTEN_OUT = {
    "version.{action[state]}": ["version.undelete", "version.delete", "version.destroy"],
    "rotation.{passage.stage.value}": [],
}
"""Actions that are put together, and what comes of it; the second one is the workers' only, and no person's."""
NOBODYS = {f"{noun}.py" for noun in ("checks", "deliveries", "escrows", "overdue", "passing", "probes", "retention")}
"""Modules whose changes are made by the scheduler and its workers, never by a caller at a door."""
WORKERS = {"rotation.plan", "incident.end", "token.first", "restoration.end"}
"""Done by Keywright itself, in modules that also do what people ask for."""


def actions(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Deed" and node.args:
            first = node.args[0]
            if isinstance(first, ast.IfExp):
                yield from (str(each.value) for each in (first.body, first.orelse) if isinstance(each, ast.Constant))
            elif isinstance(first, ast.Constant):
                yield str(first.value)
            elif isinstance(first, ast.JoinedStr):
                yield from WRITTEN_OUT[ast.unparse(first)[2:-1]]


def changes(function: ast.FunctionDef) -> bool:
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "change"
        and ast.unparse(node.func.value).endswith("door")
        for node in ast.walk(function)
    )


def changing() -> set[str]:
    found: set[str] = set()
    for path in KEEPER.glob("*.py"):
        if path.name in NOBODYS:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and changes(node):
                found.update(actions(node))
    return found - WORKERS


def test_every_change_is_guarded_or_says_why_not() -> None:
    assert changing() - GUARDED.keys() - EXEMPT.keys() == set()


def test_what_is_listed_is_there() -> None:
    assert GUARDED.keys() - changing() == set()
    assert not GUARDED.keys() & EXEMPT.keys()
    assert all(EXEMPT.values())
    assert not REVEALS & GUARDED.keys()


def test_no_change_goes_round_the_door() -> None:
    """Whoever opens a change of the ledger without the door is no operation of a person's."""
    found = {
        path.name
        for path in KEEPER.glob("*.py")
        if "ledger.change()" in path.read_text(encoding="utf-8") and path.name != "door.py"
    }
    assert found <= {"keys.py"}, "a change that the guard does not see"


def test_a_summary_shows_what_changed_and_of_secrets_only_that() -> None:
    before = {"live": 1, "value": hidden("aa"), "same": hidden("cc"), "tls": {"mode": "disable"}}
    after = {"live": 2, "value": hidden("bb"), "same": hidden("cc"), "tls": {"mode": "verify-full"}, "new": "x"}
    told = {line.what: (line.old, line.new, line.secret) for line in summary(before, after)}
    assert told == {
        "live": (1, 2, False),
        "new": (None, "x", False),
        "tls": ({"mode": "disable"}, {"mode": "verify-full"}, False),
        "value": (None, None, True),
    }


def test_terms_have_bounds() -> None:
    for wrong in (timedelta(minutes=1), timedelta(days=15)):
        with pytest.raises(Invalid):
            Terms(frozenset({Area.REVEALS}), wrong)
