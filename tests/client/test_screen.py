"""Tables on a terminal: what has no blanks is never broken, and sentences wrap between words."""

from types import SimpleNamespace

import pytest
from keywright.commands import screen

from tests.client.command import Command
from tests.client.server import Server, Told
from tests.client.test_command_rotation import rotation

ID = "0123456789abcdef0123456789abcdef"
REASON = "it waits: the server did not answer, and is asked again in a few seconds, then after longer and longer"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Of 80 columns."""
    monkeypatch.setattr(screen, "sys", SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True)))
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


@pytest.mark.parametrize("columns", ["40", "80", "100", "200"])
def test_ids_and_stages_are_never_folded(keywright: Command, server: Server, columns: str) -> None:
    found = rotation("published", []) | {"id": ID, "reason": REASON, "updated_at": "2026-01-01T00:00:00.123456Z"}
    server.route("GET", "/environments/development/rotations", Told(body={"items": [found, found], "next": None}))
    code, shown = keywright.on_a_terminal("rotations", answers={}, COLUMNS=columns)
    assert code == 0
    for whole in (ID, "published", "alternating", "2026-01-01T00:00:00.123456Z"):
        assert shown.count(whole) == 2, shown
    assert shown.count("seconds,") == 2, shown


@pytest.mark.usefixtures("terminal")
def test_sentences_wrap_between_words(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(["ID", "STAGE", "REASON"], [[ID, "published", REASON], [ID, "stuck", None]])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len([line for line in lines if line.startswith(ID)]) == 2
    assert " ".join(" ".join(line[45:].split()) for line in lines[1:-1]) == REASON


@pytest.mark.usefixtures("terminal")
def test_without_room_each_row_is_told_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(["ID", "OTHER", "REASON"], [[ID, ID, REASON], [ID, None, ""]])
    assert capsys.readouterr().out == f"ID      {ID}\nOTHER   {ID}\nREASON  {REASON}\n\nID      {ID}\n"


@pytest.mark.usefixtures("terminal")
def test_a_table_without_rows_has_a_header(capsys: pytest.CaptureFixture[str]) -> None:
    screen.table(["ID", "REASON"], [])
    assert capsys.readouterr().out.split() == ["ID", "REASON"]
