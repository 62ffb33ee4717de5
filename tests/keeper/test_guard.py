"""Every operation that changes something is guarded, or says why it is not."""

import ast
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from service.core.approval import EXEMPT, GUARDED, REVEALS, Area, Terms, hidden, summary
from service.core.errors import Invalid

ROOMS = (Path("service/keeper"), Path("service/people"))
WRITTEN_OUT = {
    "version.{action[state]}": ["version.undelete", "version.delete", "version.destroy"],
    "rotation.{passage.stage.value}": [],
}
"""Actions that are put together, and what comes of it; the second one is the workers' only, and no person's."""
PASSED_ON: set[str] = set()
"""Actions that a function is told by others of its module, which write them out."""
NOBODYS = {f"{noun}.py" for noun in ("checks", "deliveries", "escrows", "overdue", "passing", "probes", "retention")}
"""Modules whose changes are made by the scheduler and its workers, never by a caller at a door."""
WORKERS = {"rotation.plan", "incident.end", "token.first", "restoration.end"}
"""Done by Keywright itself, in modules that also do what people ask for."""


def actions(function: ast.FunctionDef, module: ModuleType) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Deed" and node.args:
            yield from named(node.args[0], module)


def named(said: ast.expr, module: ModuleType) -> Iterator[str]:
    match said:
        case ast.IfExp():
            yield from (*named(said.body, module), *named(said.orelse, module))
        case ast.Constant():
            yield str(said.value)
        case ast.JoinedStr():
            yield from WRITTEN_OUT[ast.unparse(said)[2:-1]]
        case ast.Name() if hasattr(module, said.id):
            yield str(getattr(module, said.id))
        case _:
            assert ast.unparse(said) in PASSED_ON, f"{module.__name__}: what action is {ast.unparse(said)}?"


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
    for path in (path for room in ROOMS for path in room.glob("*.py")):
        if path.name in NOBODYS:
            continue
        module = import_module(".".join(path.with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and changes(node):
                found.update(actions(node, module))
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
        for path in ROOMS[0].glob("*.py")
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
