"""Starting and stopping a server process for the tests."""

import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE = 30.0
"""Seconds that a server may take to answer for the first time."""


@contextmanager
def running(
    command: Sequence[str], log: Path, answers: Callable[[], bool], env: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command`, wait until `answers()` is true, stop it at the end. Fails the test if it never answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=dict(env), cwd=log.parent)
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers():
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                pytest.fail(f"{command[0]} did not start. Its last words:\n{tail}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
