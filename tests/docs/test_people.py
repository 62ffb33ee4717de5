"""The commands of docs/people.md, run as they are written."""

from pathlib import Path

import pytest

from tests.docs.sessions import ROOT, run, to_run
from tests.docs.test_readme import environ
from tests.rigs.ports import free_port

PAGE = ROOT / "docs" / "people.md"


@pytest.mark.timeout(300)
def test_people_do_what_their_page_says(tmp_path: Path) -> None:
    port = free_port()
    run(to_run(PAGE, from_16=True), tmp_path, environ(tmp_path, None, port), {"127.0.0.1:8420": f"127.0.0.1:{port}"})
