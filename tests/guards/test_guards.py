"""What `python -m tests.guards` takes out is there, and docs/guards.md tells the same."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guards.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "guards.md"
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Row:
    """A row of the document."""

    name: str
    where: list[str]
    tests: list[str]


def rows() -> list[Row]:
    """All but the head."""
    lines = [line for line in DOCUMENT.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return [Row(name, _CODE.findall(where), _CODE.findall(tests)) for name, _, where, tests in cells]


def there(test: str) -> bool:
    """Is there such a folder or file of tests, with this function in it if one is named?"""
    path, _, function = test.partition("::")
    place = ROOT / path
    if not function or not place.is_file():
        return place.exists() and not function
    found = ast.walk(ast.parse(place.read_text(encoding="utf-8")))
    return function.partition("[")[0] in {node.name for node in found if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_is_once_in_its_file(guard: Guard) -> None:
    assert (ROOT / guard.file).read_text(encoding="utf-8").count(guard.text) == 1
    assert guard.without != guard.text
    assert there(guard.test)


def test_the_document_lists_every_guard_that_is_taken_out() -> None:
    told = {row.name: row for row in rows()}
    for guard in GUARDS:
        assert guard.name in told, f"{guard.name} is missing in docs/guards.md"
        assert told[guard.name].where == [guard.file]
        assert told[guard.name].tests == [guard.test]


def test_what_the_document_names_is_there() -> None:
    found = rows()
    assert len(found) > len(GUARDS)
    for row in found:
        assert row.where
        assert row.tests
        assert [place for place in row.where if not (ROOT / place).exists()] == []
        assert [test for test in row.tests if not there(test)] == [], row.name


def test_the_document_says_which_are_taken_out() -> None:
    """It counts the first so many, and names the others."""
    names = [row.name for row in rows()]
    said = " ".join(DOCUMENT.read_text(encoding="utf-8").split())
    assert "Thirteen of them (the first ten, the drain minimum, the latest moment, the proof) are" in said
    assert [*names[:10], "drain minimum", "the latest moment", "proof"] == sorted(
        (guard.name for guard in GUARDS), key=names.index
    )
    assert len(GUARDS) == 13
