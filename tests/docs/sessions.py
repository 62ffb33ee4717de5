"""Documents as shell sessions: their fenced blocks are run in order, and what they show is compared.

```sh                            is run; all of a document's blocks run in one bash session
<!-- not run: why -->            before a block: it is not
<!-- from PostgreSQL 16 on -->   before a block: it is run where that is the server's version
```text                          right after a block: its standard output, `…` standing for anything
"""

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 240.0
"""Seconds that a whole session may take."""
_FENCE = re.compile(r"^```(\w*)$")
_NOTE = re.compile(r"^<!-- (.*) -->$")


@dataclass(frozen=True)
class Block:
    """One fenced block: `line` is where it begins, `note` the comment before it, `shown` the output after it."""

    language: str
    text: str
    line: int
    note: str
    shown: str | None


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a document."""
    found: list[Block] = []
    lines = text.splitlines()
    note, adjacent, at = "", False, 0
    while at < len(lines):
        if fence := _FENCE.match(lines[at]):
            end = lines.index("```", at + 1)
            body = "\n".join(lines[at + 1 : end])
            if fence[1] == "text" and adjacent and found and found[-1].language == "sh":
                found[-1] = Block("sh", found[-1].text, found[-1].line, found[-1].note, body)
            else:
                found.append(Block(fence[1], body, at + 2, note, None))
            note, adjacent, at = "", True, end + 1
            continue
        if lines[at].strip():
            comment = _NOTE.match(lines[at])
            note, adjacent = comment[1] if comment else "", False
        at += 1
    return found


def to_run(document: Path, *, from_16: bool) -> list[Block]:
    """The blocks of a document that are run."""
    chosen = []
    for block in blocks(document.read_text(encoding="utf-8")):
        if block.language != "sh" or block.note.startswith("not run: "):
            continue
        assert block.note in ("", "from PostgreSQL 16 on"), f"{document.name}:{block.line}: what is '{block.note}'?"
        if from_16 or not block.note:
            chosen.append(block)
    return chosen


def fits(shown: str, said: str) -> bool:
    """Does the output look as it is shown? A line that is only `…` stands for any number of lines."""
    parts = [r"(?:.*\n)*?" if line == "…" else _line(line) + r"\n" for line in shown.splitlines()]
    return re.fullmatch("".join(parts), said.rstrip("\n") + "\n") is not None


def _line(line: str) -> str:
    return r"[^\n]*".join(map(re.escape, line.split("…")))


def run(chosen: list[Block], folder: Path, environ: Mapping[str, str], replaced: Mapping[str, str]) -> None:
    """Run blocks in one session in `folder`, with some words replaced. Fails naming the line that failed."""
    script = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    chosen = [_replaced(block, replaced) for block in chosen]
    for number, block in enumerate(chosen):
        script += [f"echo; echo '::{number}'; echo '::{number}' >&2", block.text]
    script.append("echo; echo '::end'")
    file = folder / "session.sh"
    file.write_text("\n".join(script) + "\n", encoding="utf-8")
    said, wrong = _bash(file, folder, environ)
    parts = re.split(r"^::(?:\d+|end)\n", said, flags=re.M)[1:]
    log = folder / "serve.log"
    trouble = re.split(r"^::\d+\n", wrong, flags=re.M)[-1] + (log.read_text()[-2000:] if log.exists() else "")
    for block, part, whole in zip(chosen, parts, [True] * (len(parts) - 1) + [False], strict=False):
        if not whole:
            pytest.fail(f"line {block.line} failed:\n{block.text}\n--- it said\n{part}\n---\n{trouble}")
        if block.shown is not None and not fits(block.shown, part):
            pytest.fail(f"line {block.line} shows\n{block.shown}\n--- it said\n{part}\n---\n{trouble}")


def _replaced(block: Block, words: Mapping[str, str]) -> Block:
    text, shown = block.text, block.shown
    for word, other in words.items():
        text, shown = text.replace(word, other), shown and shown.replace(word, other)
    return replace(block, text=text, shown=shown)


def _bash(file: Path, folder: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    # A group of its own, so that a server started by the session ends with it.
    process = subprocess.Popen(
        ["bash", str(file)],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        return process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, wrong = process.communicate()
        return said, f"{wrong}\n(not done after {PATIENCE:g} seconds)"
