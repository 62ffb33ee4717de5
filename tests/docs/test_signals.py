"""The commands of docs/signals.md, run as they are written; and its table of kinds."""

import re
from pathlib import Path

import pytest

from service.core.signal import KINDS
from tests.docs.sessions import ROOT, run, to_run
from tests.docs.test_readme import environ
from tests.docs.test_tables import table
from tests.rigs.ports import free_port

PAGE = ROOT / "docs" / "signals.md"


@pytest.mark.timeout(300)
def test_signals_do_what_their_page_says(tmp_path: Path) -> None:
    port = free_port()
    run(to_run(PAGE, from_16=True), tmp_path, environ(tmp_path, None, port), {"127.0.0.1:8420": f"127.0.0.1:{port}"})


def test_every_kind_is_told() -> None:
    told = [kind for row in table(PAGE, "kinds") for kind in re.findall(r"`([a-z.-]+)`", row[0])]
    assert sorted(told) == sorted(KINDS)
