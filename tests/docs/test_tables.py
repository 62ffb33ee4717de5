"""Every table of the documents against what it tells about, and every word that a reader may meet."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from service.core import errors
from service.core.connection import Engine, Standing, TlsMode
from service.core.event import Outcome
from service.core.reference import STORES
from service.core.rotation import CredentialState, Stage, Strategy
from service.core.schedule import KEYS, Missed
from service.http import problems
from service.keeper.definitions import STRATEGIES
from service.settings import PREFIX, Settings
from tests.docs.sessions import ROOT

DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "helm" / "README.md", *ROOT.glob("docs/*.md")])


def table(document: Path, heading: str) -> list[list[str]]:
    """The rows of the table whose first cell of the heading is `heading`, code marks left out."""
    rows, inside = [], False
    for line in document.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line[1:-1].split("|")]
        if line.startswith(f"| {heading} |"):
            inside = True
        elif inside and not line.startswith("|"):
            break
        elif inside and not line.startswith("| ---"):
            rows.append(cells)
    assert rows, f"{document.name} has no table '{heading}'"
    return rows


def bare(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.strip("`")


def help_of(command: str, *words: str) -> str:
    """What `--help` says, without boxes and line breaks."""
    program = shutil.which(command, path=str(Path(sys.executable).parent))
    assert program, f"{command} is not installed beside {sys.executable}"
    done = subprocess.run(
        [program, *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "200", "LC_ALL": "C.UTF-8", "TERMINAL_WIDTH": "200"},
        timeout=60,
    )
    return done.stdout


def commands_in(text: str) -> list[str]:
    """The names under `Commands` in what `--help` says."""
    listed = text.split("Commands", 1)[1]
    listed = listed.split("╰")[0] if "╰" in listed else listed.split("\n\n")[0]
    return re.findall(r"^[│ ] {0,1} ?([a-z-]+)  ", listed, re.M)


def test_settings() -> None:
    expected = []
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "" if default is None or default == () or isinstance(default, SecretStr) else str(default)
        expected.append([f"{PREFIX}{name.upper()}", shown, field.description])
    found = table(ROOT / "README.md", "setting")
    assert [[bare(row[0]), bare(row[1]), row[2]] for row in found] == expected


def test_problems() -> None:
    expected = [[problems.TYPE + slug, str(status), title] for status, slug, title in problems.TABLE.values()]
    found = [[bare(r[0]), r[1], r[2]] for r in table(ROOT / "docs" / "api.md", "problem")]
    assert found[: len(expected)] == expected
    others = {bare(r[0]).removeprefix(problems.TYPE) for r in found[len(expected) :]}
    assert others == {"internal", "method-not-allowed", "too-long"}


def test_every_error_has_its_line_in_the_table_of_problems() -> None:
    mentioned = " ".join(r[3] for r in table(ROOT / "docs" / "api.md", "problem"))
    for kind in problems.TABLE:
        assert f"`{kind.__name__}`" in mentioned
    assert errors.Unrecorded.__name__ in mentioned


@pytest.mark.parametrize("command", ["keywrightd", "keywright"])
def test_commands_are_those_of_help(command: str) -> None:
    words = [bare(row[0]).split() for row in table(ROOT / "README.md", f"`{command}`")]
    assert commands_in(help_of(command)) == list(dict.fromkeys(w[0] for w in words))
    for group in dict.fromkeys(w[0] for w in words if len(w) == 2):
        assert commands_in(help_of(command, group)) == [w[1] for w in words if w[0] == group and len(w) == 2]


@pytest.mark.parametrize("command", ["keywrightd", "keywright"])
def test_exit_codes_are_those_of_help(command: str) -> None:
    told = " ".join(help_of(command).split("Exit codes:")[1].split())
    for code, meaning in (row[:2] for row in table(ROOT / "README.md", f"exit code of `{command}`")):
        assert re.search(rf"(^|[ ,]){code} {re.escape(meaning)}(?=,? \d |\.?$)", told), f"{code} {meaning}: {told}"
    assert len(table(ROOT / "README.md", f"exit code of `{command}`")) == len(re.findall(r"\b\d ", told))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("docs/rotation.md", [*Stage, *Strategy, *Standing, *CredentialState, *Missed, *KEYS]),
        ("docs/security.md", [*Outcome, *TlsMode]),
        ("README.md", [*Engine, *(f"{store}:" for store in STORES)]),
    ],
)
def test_every_word_is_told(document: str, words: list[str]) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [str(word) for word in words if not re.search(rf"`[^`\n]*\b{re.escape(word)}", text)] == []


def test_strategies_of_each_database() -> None:
    rows = table(ROOT / "README.md", "engine")
    for engine, strategies in STRATEGIES.items():
        row = next(r for r in rows if r[0].lower().startswith(engine.value))
        assert re.findall(r"`(\w+)`", row[1]) == [s.value for s in strategies]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: str(d.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", document.read_text(encoding="utf-8")):
        if link.startswith("https://"):
            continue
        name, _, place = link.partition("#")
        target = (document.parent / name) if name else document
        assert target.exists(), f"{document.name}: {link}"
        if place:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert place in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings], link
