"""`keywrightd events`, as it is run by hand: exported, pruned, verified."""

import json
import os
import pty
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.core.access import Caller
from service.core.event import Event, Outcome
from service.settings import read
from service.wiring import build
from tests.test_command import PATIENCE, run

NOW = datetime.now(UTC)
DAYS = 500
EACH = 200
CALLER = Caller("shop-id", "shop", "machine", (), "192.0.2.7")
PROGRAM = str(Path(sys.executable).with_name("keywrightd"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two hundred events of each of six days: 500 days ago, 400, … and today; and the owner's token."""
    folder = tmp_path_factory.mktemp("made") / "data"
    for ago in range(DAYS, -1, -100):
        service = build(read({}, data=folder), now=lambda ago=ago: NOW - timedelta(days=ago))
        service.keeper.tokens.first()
        told = Event(NOW - timedelta(days=ago), CALLER, "value.fetch", Outcome.ALLOWED, "production", f"ago/{ago}")
        for _ in range(EACH // 4):
            assert service.ledger.record([told] * 4, service.ledger.epoch())
        service.close()
    return folder


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    """One's own copy of it."""
    return shutil.copytree(made, tmp_path / "data")


def events(data: Path, *words: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return run("events", *words, "--data", str(data), **environ)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_every_event_is_exported_the_oldest_first(data: Path, tmp_path: Path) -> None:
    done = events(data, "export")
    assert (done.returncode, done.stderr) == (0, "")
    found = lines(done.stdout)
    assert [int(each["id"]) for each in found] == list(range(1, len(found) + 1))
    assert len(found) >= 6 * EACH + 1
    assert {"at", "actor", "name", "action", "outcome", "environment", "resource", "detail"} <= set(found[0])
    assert [each["action"] for each in lines(events(data, "export").stdout)][-1] == "event.export"


def test_of_a_time_into_a_new_file(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported.jsonl"
    since, until = NOW - timedelta(days=401), (NOW - timedelta(days=299)).isoformat()
    done = events(data, "export", "--since", since.date().isoformat(), "--until", until, "--out", str(out))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = lines(out.read_text())
    assert {each["resource"] for each in found} == {"ago/400", "ago/300"}
    assert len(found) == 2 * EACH
    assert out.stat().st_mode & 0o777 == 0o600
    again = events(data, "export", "--out", str(out))
    assert again.returncode == 1
    assert again.stderr == f"keywrightd: {out} exists already; it is not overwritten\n"
    assert lines(out.read_text()) == found


def test_a_length_that_is_none_is_a_usage_error(data: Path) -> None:
    done = events(data, "prune", "--keep", "banana")
    assert done.returncode == 2
    assert "--keep" in done.stderr
    assert "must be a duration such as" in " ".join(done.stderr.replace("│", " ").split())


def test_why_nothing_goes_is_told(data: Path) -> None:
    events(data, "checkpoint")
    done = events(data, "prune", "--keep", "600d", "--dry-run")
    assert done.stdout.startswith(
        "0 events would be pruned; the log begins behind event 0 (events go by stretches of 128, "
    )


def test_an_index_that_calls_everything_old_lets_nothing_young_go(data: Path) -> None:
    events(data, "checkpoint")
    events(data, "list")  # which indexes it
    young = (NOW - timedelta(days=250)).timestamp() // 60
    with closing(sqlite3.connect(data / "ledger.sqlite")) as sql, sql:
        sql.execute(f"DELETE FROM postings WHERE term >= 'm{young:012.0f}' AND term < 'n'")
    done = events(data, "prune", "--keep", "250d")
    assert done.returncode == 1
    assert "The index was changed: `keywrightd events verify --index` compares it" in done.stderr
    left = lines(events(data, "export").stdout)
    assert sum(each["resource"] == "ago/200" for each in left) == EACH
    assert events(data, "reindex").returncode == 0
    assert events(data, "prune", "--keep", "250d").returncode == 0


def test_an_index_that_hides_events_is_found_and_built_anew(data: Path) -> None:
    whole = events(data, "verify", "--index")
    assert (whole.returncode, whole.stdout.splitlines()[1]) == (0, "the query index has what the log has")
    with closing(sqlite3.connect(data / "ledger.sqlite")) as sql, sql:
        sql.execute("DELETE FROM postings WHERE term = 'dvalue.fetch'")
    assert events(data, "list", "--action", "value.fetch").stdout == ""
    assert events(data, "verify").returncode == 0
    found = events(data, "verify", "--index")
    assert found.returncode == 3
    assert "the query index differs from the log: of events" in found.stdout
    done = events(data, "reindex")
    assert done.stdout.startswith("the query index was built anew: 1")
    assert len(events(data, "list", "--action", "value.fetch").stdout.splitlines()) == 50
    assert json.loads(events(data, "verify", "--index", "--json").stdout)["index"] == ""


@pytest.mark.parametrize("words", [("export", "--since", "yesterday"), ("prune",), ("prune", "--keep", "soon")])
def test_what_is_not_understood_does_nothing(data: Path, words: tuple[str, ...]) -> None:
    done = events(data, *words)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert json.loads(events(data, "verify", "--json").stdout)["pruned"] == 0


def test_pruning_by_hand(data: Path, tmp_path: Path) -> None:
    whole = lines(events(data, "export").stdout)
    none = events(data, "prune", "--keep", "250d")
    assert none.stdout.startswith("0 events were pruned; the log begins behind event 0 (no checkpoint was exported yet")
    checkpoint = tmp_path / "checkpoint.json"
    checkpoint.write_text(events(data, "checkpoint").stdout)
    dry = json.loads(events(data, "prune", "--keep", "250d", "--dry-run", "--json").stdout)
    upto = dry["upto"]
    assert 2 * EACH < upto <= 3 * EACH + 1  # as far as whole stretches go
    assert (dry["dry_run"], dry["events"], dry["why"]) == (True, upto, "")
    kept = tmp_path / "kept.jsonl"
    kept.write_text(json.dumps(whole[0]) + "\n" + json.dumps(whole[1])[:20])  # an interruption left half a line
    done = events(data, "prune", "--export", str(kept), KEYWRIGHT_EVENTS_KEEP="250d")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"{upto} events were pruned; the log begins behind event {upto}\n",
        "",
    )
    assert lines(kept.read_text()) == [whole[0], *whole[:upto]]
    left = lines(events(data, "export").stdout)
    assert left[: len(whole) - upto] == whole[upto:]
    proof = events(data, "verify", "--checkpoint", str(checkpoint))
    assert proof.returncode == 0
    assert proof.stdout.startswith(f"the chain is whole from event {upto + 1} on, behind {upto} that were pruned: ")
    again = json.loads(events(data, "prune", "--before", NOW.date().isoformat(), "--json").stdout)
    assert again["events"] > 0


def test_a_file_that_cannot_be_written_keeps_the_events(data: Path, tmp_path: Path) -> None:
    events(data, "checkpoint")
    done = events(data, "prune", "--keep", "250d", "--export", str(tmp_path / "no" / "such" / "folder"))
    assert done.returncode == 1
    assert "cannot be written: No such file or directory" in done.stderr
    full = events(data, "prune", "--keep", "250d", "--export", "/dev/full")
    assert full.returncode == 1
    assert json.loads(events(data, "verify", "--json").stdout)["pruned"] == 0


@pytest.mark.parametrize("words", [("verify",), ("export", "--out", "out.jsonl"), ("prune", "--keep", "250d")])
def test_a_terminal_is_told_how_far_it_is(data: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    events(data, "checkpoint")
    ours, theirs = pty.openpty()
    environ = {"TERM": "xterm", "COLUMNS": "100", "LC_ALL": "C.UTF-8"}
    command = [PROGRAM, "events", *words, "--data", str(data)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=theirs, env=environ, cwd=tmp_path, timeout=PATIENCE, check=False
    )
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0, shown
    assert {"verify": "verifying", "export": "exporting", "prune": "pruning"}[words[0]] in shown
    assert b"\x1b" not in done.stdout
