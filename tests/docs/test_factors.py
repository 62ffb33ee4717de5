"""The commands of docs/factors.md, run as they are written, behind those by which docs/people.md signs somebody in."""

from pathlib import Path

import pytest

from tests.docs.sessions import ROOT, run, to_run
from tests.docs.test_readme import environ
from tests.rigs.ports import free_port


@pytest.mark.timeout(300)
def test_factors_do_what_their_page_says(tmp_path: Path) -> None:
    people, page = (to_run(ROOT / "docs" / name, from_16=True) for name in ("people.md", "factors.md"))
    signed_in = next(i for i, block in enumerate(people) if "-c cookies.txt" in block.text) + 1
    assert page
    port = free_port()
    words = {"127.0.0.1:8420": f"127.0.0.1:{port}"}
    run([*people[:signed_in], *page], tmp_path, environ(tmp_path, None, port), words)
