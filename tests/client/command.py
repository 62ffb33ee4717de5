"""The command as its users run it: a process of its own, with or without a terminal."""

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.client.server import TOKEN, Server

Inside = Callable[..., subprocess.CompletedProcess[str]]
PROGRAM = str(Path(sys.executable).with_name("keywright"))


@dataclass
class Command:
    """Runs `keywright` against a server, in surroundings that hold what is given and nothing else."""

    server: Server
    home: Path

    @property
    def login_file(self) -> Path:
        return self.home / "keywright" / "login.json"

    def environ(self, **more: str | None) -> dict[str, str]:
        all_ = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "XDG_CONFIG_HOME": str(self.home),
            "KEYWRIGHT_ADDR": self.server.address,
            "KEYWRIGHT_TOKEN": TOKEN,
            "KEYWRIGHT_ENVIRONMENT": "development",
            **more,
        }
        return {name: text for name, text in all_.items() if text is not None}

    def __call__(self, *arguments: str, stdin: str = "", **more: str | None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            env=self.environ(**more),
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROGRAM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environ(),
        )

    def on_a_terminal(
        self, *arguments: str, answers: Mapping[str, str | Callable[[str], str]], **more: str | None
    ) -> tuple[int, str]:
        """Exit code and everything shown. `answers`: what to type once a prompt is seen, in order; a function is told
        what was shown so far."""
        with warnings.catch_warnings():
            # Python 3.12 warns of a fork beside threads; this child does nothing before it becomes the program.
            warnings.simplefilter("ignore", DeprecationWarning)
            child, terminal = pty.fork()
        if child == 0:
            try:
                os.execve(PROGRAM, [PROGRAM, *arguments], self.environ(TERM="xterm", **more))
            finally:
                os._exit(99)
        shown, waiting, until = b"", list(answers.items()), time.monotonic() + 30
        from_ = 0
        with contextlib.suppress(OSError):  # EIO: the child has closed the terminal
            while time.monotonic() < until:
                if not select.select([terminal], [], [], 1)[0]:
                    continue
                piece = os.read(terminal, 4096)
                if not piece:
                    break
                shown += piece
                if waiting and waiting[0][0].encode() in shown[from_:]:
                    from_ = len(shown)
                    time.sleep(0.05)  # the prompt is shown before the echo is switched off
                    answer = waiting.pop(0)[1]
                    typed = answer if isinstance(answer, str) else answer(shown.decode())
                    os.write(terminal, typed.encode() + b"\n")
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shown.decode()


def command_lines() -> str:
    """What every process of this machine was started with, as any user can see it (proc(5), cmdline)."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
    return "\n".join(found)
