"""A real Keywright with values to be changed, and `keywright` beside it, in a folder of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.rigs.keywright import Keywright, wait_until

PROGRAM = str(Path(sys.executable).with_name("keywright"))


@dataclass
class Place:
    """`folder` is where everything runs; what is said there is in the file `log`."""

    keywright: Keywright
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def environ(self, **more: str) -> dict[str, str]:
        """The surroundings of a command."""
        return {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "KEYWRIGHT_ADDR": self.keywright.url,
            "KEYWRIGHT_TOKEN": self.keywright.owner,
            "KEYWRIGHT_ENVIRONMENT": "production",
            **more,
        }

    def put(self, **values: Any) -> None:
        """Give variables in the folder `shop` new values."""
        for name, value in values.items():
            answer = self.keywright.client().put(
                f"/environments/production/variables/shop/{name}", json={"value": value}
            )
            assert answer.status_code in (200, 201), answer.text

    def start(self, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """Begin a command."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [PROGRAM, *arguments],
                env=self.environ(**more),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def call(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [PROGRAM, *arguments],
            env=self.environ(**more),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def write(self, name: str, text: str) -> str:
        """A file in the folder."""
        (self.folder / name).write_text(text)
        return name

    def read(self, name: str) -> str:
        """What a file holds; nothing while it is not there."""
        file = self.folder / name
        return file.read_text() if file.exists() else ""

    def until(self, name: str, text: str) -> None:
        """Wait until a file holds a text."""
        wait_until(
            lambda: text in self.read(name),
            lambda: f"{name} holds {self.read(name)!r}, and not {text!r}\n{self.read('log')}",
        )

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> int:
        """End one, and its exit code."""
        process.send_signal(number)
        return process.wait(60)


@contextmanager
def place(keywright: Keywright, folder: Path) -> Iterator[Place]:
    """With `shop/HOST` and `shop/KEY`. What still runs afterwards is killed."""
    keywright.client().post("/environments", json={"name": "production"}).raise_for_status()
    made = Place(keywright, folder)
    made.put(HOST="db1", KEY="k1-secret")
    try:
        yield made
    finally:
        for process in made.started:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.terminate()
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(20)


def alive(pid: int) -> bool:
    """Does it run, and not only wait to be gathered?"""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (ProcessLookupError, FileNotFoundError):
        return False
