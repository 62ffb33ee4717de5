"""Ledgers that take long to make: made once, kept in bench/out/kept, and copied for every use.

One is used again only if it was made by the same code: a fingerprint of what decides the format is in its name.
"""

import json
import os
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.run import OUT, Run

ROOT = Path(__file__).parents[1]
_FORMAT = ("service/core/event.py", "service/core/sealed.py", "service/ledger/*.py", "service/ledger/migrations/*/*.py")
_ABOUT = "about.json"


def copied(run: Run, name: str, size: int, make: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]]:
    """A copy of the data folder that `make` made, now or in an earlier run, and what it told of it."""
    source = OUT / "kept" / f"{name}-{size}-{fingerprint(name)}"
    if not (source / _ABOUT).is_file():
        _forget(name)
        run.tell(f"making {name} of {size:,}, which is kept for the next time")
        about = make(source)
        (source / _ABOUT).touch(0o600)  # it holds the owner's token
        (source / _ABOUT).write_text(json.dumps(about))
    data = run.new_folder(name)
    shutil.copytree(source, data, dirs_exist_ok=True)
    os.sync()  # hundreds of megabytes on their way to the disk would be in the way of whoever is measured first
    found: dict[str, Any] = json.loads((data / _ABOUT).read_text())
    return data, found


def fingerprint(name: str) -> str:
    """Of the code that decides how it is stored, and of the module that makes it."""
    files = [file for pattern in (*_FORMAT, f"bench/{name}.py") for file in sorted(ROOT.glob(pattern))]
    return sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _forget(name: str) -> None:
    """Those of this name that were not finished, or are of a format that is none any more."""
    for former in (OUT / "kept").glob(f"{name}-*"):
        if not (former / _ABOUT).is_file() or not former.name.endswith(fingerprint(name)):
            shutil.rmtree(former)
