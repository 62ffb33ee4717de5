"""The commands of docs/access.md, run as they are written; and its tables."""

import re
from pathlib import Path

import pytest

from service.core.access import Kind, Level
from service.keeper.rule_language import VARIABLES
from service.keeper.rules import checked
from tests.docs.sessions import ROOT, run, to_run
from tests.docs.test_readme import environ
from tests.docs.test_tables import bare, table
from tests.rigs.ports import free_port

PAGE = ROOT / "docs" / "access.md"


@pytest.mark.timeout(300)
def test_access_is_what_its_page_says(tmp_path: Path) -> None:
    port = free_port()
    run(to_run(PAGE, from_16=True), tmp_path, environ(tmp_path, None, port), {"127.0.0.1:8420": f"127.0.0.1:{port}"})


def test_every_level_kind_and_variable_is_told() -> None:
    assert [bare(row[0]) for row in table(PAGE, "level")] == [level.word for level in Level]
    assert [bare(row[0]) for row in table(PAGE, "kind")] == [kind.value for kind in Kind]
    told = [name for row in table(PAGE, "variable") for name in re.findall(r"`([a-z_.]+)`", row[0])]
    assert sorted(told) == sorted(VARIABLES)


def test_functions_are_told_as_they_are() -> None:
    for name in re.findall(r"\.(within|hour|weekday|date)\(", PAGE.read_text(encoding="utf-8")):
        call = "request.address.within('10.0.0.0/8')" if name == "within" else f"request.at.{name}('UTC')"
        assert checked(f"{call} == {call}")
